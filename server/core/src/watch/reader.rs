//! What the hub reads of the store.

use bytes::Bytes;
use holdfast_engine::mvcc::{MvccError, RevisionChanges, View};

/// The store at one moment. Everything read from one value belongs together.
pub trait Reader {
    /// The current revision.
    fn revision(&self) -> i64;

    /// The last compaction; −1 if there never was one.
    fn compact_revision(&self) -> i64;

    /// Whole revisions from `from` on, in order: at most `max_revisions`, none after `max_bytes` of events are reached, but
    /// one at least if there is any.
    ///
    /// # Errors
    /// [`MvccError::Compacted`] when `from` lies below the last compaction; any other means a damaged store.
    fn changes(
        &self,
        from: i64,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<Vec<RevisionChanges>, MvccError>;

    /// The `KeyValue` of `key` in wire form as it was at `revision`.
    ///
    /// # Errors
    /// As [`Reader::changes`].
    fn get(&self, key: &[u8], revision: i64) -> Result<Option<Bytes>, MvccError>;
}

impl Reader for View {
    fn revision(&self) -> i64 {
        View::revision(self)
    }

    fn compact_revision(&self) -> i64 {
        View::compact_revision(self)
    }

    fn changes(
        &self,
        from: i64,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<Vec<RevisionChanges>, MvccError> {
        View::changes(self, from, max_revisions, max_bytes)
    }

    fn get(&self, key: &[u8], revision: i64) -> Result<Option<Bytes>, MvccError> {
        View::get(self, key, revision)
    }
}
