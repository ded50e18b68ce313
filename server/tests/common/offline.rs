//! Looks into a database file that no server has open, and changes nothing in it.

use std::path::Path;
use std::sync::Arc;

use holdfast_engine::file::MappedFile;
use holdfast_engine::mvcc::{Store, trees};
use holdfast_engine::tree::{Db, DbOptions};

/// What a whole, faultless file holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contents {
    /// The newest revision.
    pub(crate) revision: i64,
    /// The entry of the log up to which everything is in it.
    pub(crate) applied: u64,
    /// Keys alive.
    pub(crate) keys: u64,
}

/// Opens the file, walks over every page, and compares the trees with each other; what is wrong is the error.
pub(crate) fn check(path: &Path) -> Result<Contents, String> {
    check_from(path, 0)
}

/// Like [`check`], beside a log that begins after `log_start`: an older state than that is of no use.
pub(crate) fn check_from(path: &Path, log_start: u64) -> Result<Contents, String> {
    let options = DbOptions { min_mark: log_start, ..DbOptions::default() };
    let file = MappedFile::open_read_only(path, 1 << 40).map_err(|error| error.to_string())?;
    let db = Db::open(Arc::new(file), trees::SPECS, options).map_err(|error| error.to_string())?;
    let pages = db.check();
    if let Some(fault) = pages.faults.first() {
        return Err(format!("{} faults in pages, the first: {fault}", pages.faults.len()));
    }
    if pages.entries == 0 {
        // Created, and never checkpointed since.
        return Ok(Contents { revision: 1, applied: 0, keys: 0 });
    }
    let store = Store::open(db).map_err(|error| error.to_string())?;
    let view = store.view().map_err(|error| error.to_string())?;
    let report = view.check().map_err(|error| error.to_string())?;
    if !report.is_clean() {
        return Err(format!(
            "{} faults among the trees, the first: {:?}",
            report.fault_count,
            report.faults.first()
        ));
    }
    Ok(Contents { revision: view.revision(), applied: view.mark(), keys: report.live })
}
