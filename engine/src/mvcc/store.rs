//! The store: a tree file with the trees of MVCC in it.

use super::error::MvccError;
use super::hashing::HashCache;
use super::hold::{HoldStats, Holds};
use super::meta::{self, FORMAT, MVCC_FORMAT, Position};
use super::txn::ApplyTxn;
use super::view::View;
use crate::tree::{Db, TreeRead};
use std::sync::Arc;

/// A multi-version key-value store. Cheap to clone: all clones are the same store.
///
/// One writer at a time goes through [`Store::begin`]; any number of readers go through [`Store::view`] without a
/// lock. What a writer publishes is seen by later views at once, and is durable after the next checkpoint of
/// [`Store::db`].
#[derive(Clone)]
pub struct Store {
    db: Db,
    holds: Arc<Holds>,
    hashes: Arc<HashCache>,
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
        let store = Self { db, holds: Arc::default(), hashes: Arc::default() };
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
        ApplyTxn::new(self.db.write(), Arc::clone(&self.holds))
    }

    /// A tick of the caller's clock: reads in chunks that are older than their limit (in these ticks) no longer hold
    /// back physical compaction, and end with [`MvccError::Outlived`].
    pub fn tick_holds(&self) {
        self.holds.tick();
    }

    /// Figures about the reads that hold back physical compaction.
    pub fn hold_stats(&self) -> HoldStats {
        self.holds.stats()
    }

    pub(crate) fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    pub(crate) fn hashes(&self) -> &HashCache {
        &self.hashes
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
