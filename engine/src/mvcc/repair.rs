//! Building a store anew from what is whole of a damaged one, on request only.
//!
//! The records are the truth: LIVE, HISTORY and `LEASE_KEYS` follow from them, and the list of free pages from all. So
//! when any of these is damaged, and RECORDS and the small trees are whole, nothing is lost: a new file is made of them,
//! as a snapshot from another member would be. The damaged file is only read, and stays for whoever wants to look into it.
//! When a page of the records or of a small tree is damaged, nothing is made up: the repair fails with the page's name, and
//! what helps is a snapshot or another member.
//!
//! The new file holds the same state: the same revision, compactions, mark, and hash. A compaction that was under way is
//! begun again.

use std::sync::Arc;

use super::error::MvccError;
use super::meta::{self, Position};
use super::store::Store;
use super::trees::{
    ALARMS, AUTH, AUTH_ROLES, AUTH_USERS, CLUSTER, LEASES, MEMBERS, MEMBERS_REMOVED, META, RECORDS, SPECS,
};
use super::txn::ApplyTxn;
use crate::error::{EngineError, OpenError};
use crate::file::PageFile;
use crate::tree::{Db, DbOptions, Snapshot, TreeId, TreeRead};

/// The trees that are copied as they are.
const SMALL: &[TreeId] =
    &[LEASES, ALARMS, MEMBERS, MEMBERS_REMOVED, CLUSTER, AUTH, AUTH_USERS, AUTH_ROLES, META];

/// Bytes of entries written in one transaction: bounds the memory that a repair takes.
const BATCH_BYTES: usize = 8 << 20;

/// What a repair has carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Records, deletions included.
    pub records: u64,
    /// Keys that exist.
    pub live: u64,
    /// Superseded versions.
    pub history: u64,
    /// Entries of the small trees.
    pub small: u64,
    /// The current revision.
    pub revision: i64,
    /// The mark: up to where in the log everything is in it.
    pub mark: u64,
}

/// Why a store cannot be built anew. The damaged file is as it was; the new one is to be thrown away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// What cannot be rebuilt is damaged too.
    #[error("the records or a small tree cannot be read, and they follow from nothing else: {0}")]
    Read(#[source] MvccError),
    /// The file to build in holds something.
    #[error("{file} is not empty; name a file that does not exist")]
    NotEmpty {
        /// That file.
        file: String,
    },
    /// The damaged file has trees that this release does not know.
    #[error(
        "the database has trees of a later release ({trees}), which cannot be carried over; use that release"
    )]
    UnknownTrees {
        /// Their names.
        trees: String,
    },
    /// The new file cannot be created.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new file cannot be written, or the records contradict each other.
    #[error("the new database cannot be written: {0}")]
    Write(#[source] MvccError),
    /// The new file is not what it should be.
    #[error("the records do not make a whole store: {0}")]
    StillWrong(String),
}

impl From<EngineError> for RepairError {
    fn from(e: EngineError) -> Self {
        Self::Read(e.into())
    }
}

impl Store {
    /// Builds the store whose records and small trees are in `damaged` in the empty file `target`, makes it durable, and
    /// checks it. Takes the time of loading all records. `damaged` must have been opened with [`SPECS`].
    pub fn rebuild(
        damaged: &Db,
        target: Arc<dyn PageFile>,
        options: DbOptions,
    ) -> Result<(Self, Repaired), RepairError> {
        if !target.is_empty() {
            return Err(RepairError::NotEmpty { file: target.name() });
        }
        let unknown = damaged.unknown_trees();
        if !unknown.is_empty() {
            return Err(RepairError::UnknownTrees { trees: unknown.join(", ") });
        }
        let from = damaged.snapshot();
        meta::read_format(&from).map_err(RepairError::Read)?;
        let position = Position::read(&from).map_err(RepairError::Read)?;
        let store = Self::open(Db::open(target, SPECS, options)?).map_err(RepairError::Write)?;
        let records = copy(&from, &store, RECORDS, ApplyTxn::load_record)?;
        let mut small = 0;
        for &tree in SMALL {
            small += copy(&from, &store, tree, |txn, key, value| {
                if tree == META && meta::is_reserved(key) { Ok(()) } else { txn.aux_put(tree, key, value) }
            })?;
        }
        let finish = || {
            let mut txn = store.begin()?;
            txn.load_compaction(position.scheduled, position.finished)?;
            txn.position.revision = txn.position.revision.max(position.revision);
            txn.set_mark(from.mark());
            txn.publish()?;
            store.db().checkpoint().map_err(MvccError::from)
        };
        finish().map_err(RepairError::Write)?;
        let repaired = Repaired { records, small, ..checked(&store)? };
        Ok((store, repaired))
    }
}

/// Copies one tree, entry by entry, in transactions of [`BATCH_BYTES`]. Returns the number of entries.
fn copy(
    from: &Snapshot,
    to: &Store,
    tree: TreeId,
    write: impl Fn(&mut ApplyTxn, &[u8], &[u8]) -> Result<(), MvccError>,
) -> Result<u64, RepairError> {
    let mut cursor = from.cursor(tree);
    cursor.seek_first()?;
    let (mut entries, mut more) = (0, true);
    while more {
        let mut txn = to.begin().map_err(RepairError::Write)?;
        let mut bytes = 0;
        more = false;
        while let Some((key, value)) = cursor.entry()? {
            write(&mut txn, key, value).map_err(RepairError::Write)?;
            (entries, bytes) = (entries + 1, bytes + key.len() + value.len());
            cursor.next()?;
            if bytes > BATCH_BYTES {
                more = true;
                break;
            }
        }
        txn.publish().map_err(RepairError::Write)?;
    }
    if entries != from.len(tree) {
        let what = format!("{entries} entries were found, where {} should be", from.len(tree));
        return Err(RepairError::StillWrong(what));
    }
    Ok(entries)
}

fn checked(store: &Store) -> Result<Repaired, RepairError> {
    if let Some(fault) = store.db().check().faults.first() {
        return Err(RepairError::StillWrong(fault.to_string()));
    }
    let view = store.view().map_err(RepairError::Write)?;
    let report = view.check().map_err(RepairError::Write)?;
    if let Some(fault) = report.faults.first() {
        return Err(RepairError::StillWrong(fault.to_string()));
    }
    let (revision, mark) = (view.revision(), view.mark());
    Ok(Repaired { live: report.live, history: report.history, revision, mark, ..Repaired::default() })
}
