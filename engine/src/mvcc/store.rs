//! The store: a tree file with the trees of MVCC in it.

use super::error::MvccError;
use super::meta::{self, FORMAT, MVCC_FORMAT, Position};
use super::txn::ApplyTxn;
use super::view::View;
use crate::tree::{Db, TreeRead};

/// A multi-version key-value store. Cheap to clone: all clones are the same store.
///
/// One writer at a time goes through [`Store::begin`]; any number of readers go through [`Store::view`] without a
/// lock. What a writer publishes is seen by later views at once, and is durable after the next checkpoint of
/// [`Store::db`].
#[derive(Clone)]
pub struct Store {
    db: Db,
}

impl Store {
    /// Takes the store in `db`, which must have been opened with [`super::trees::SPECS`]. A new file gets the format
    /// of this release; a file with a newer format is refused. Nothing is loaded: it takes the same time at any size.
    pub fn open(db: Db) -> Result<Self, MvccError> {
        let format = meta::read_format(&db.snapshot())?;
        if format.is_none() {
            let mut txn = db.write();
            // Another opener may have been faster.
            if meta::read_format(&txn)?.is_none() {
                meta::write_number(&mut txn, MVCC_FORMAT, FORMAT)?;
                txn.publish()?;
            }
        }
        let store = Self { db };
        store.view()?.check_ends()?;
        Ok(store)
    }

    /// Pins the newest published state.
    pub fn view(&self) -> Result<View, MvccError> {
        View::new(self.db.snapshot())
    }

    /// Starts to write a batch; waits for another writer. Nothing is seen by readers, or kept, before
    /// [`ApplyTxn::publish`].
    pub fn begin(&self) -> Result<ApplyTxn, MvccError> {
        ApplyTxn::new(self.db.write())
    }

    /// The tree file below: for checkpoints, statistics and its own check.
    pub fn db(&self) -> &Db {
        &self.db
    }
}

impl Position {
    /// The last record must not be newer than the current revision: otherwise the next write would overwrite it.
    fn check_last(&self, tree: &impl TreeRead) -> Result<(), MvccError> {
        match meta::last_record(tree)? {
            Some(last) if last > self.revision => Err(meta::corrupt(
                meta::CURRENT_REVISION,
                "the last record is newer than the current revision",
            )),
            _ => Ok(()),
        }
    }
}

impl View {
    fn check_ends(&self) -> Result<(), MvccError> {
        self.position().check_last(self.tree())
    }
}
