//! A pinned state of the store, for readers.

use super::changes::RevisionChanges;
use super::check::{self, MvccReport};
use super::entries::Entries;
use super::error::MvccError;
use super::hash::HashKv;
use super::live::VersionInfo;
use super::meta::Position;
use super::query::RangeQuery;
use super::range::RangeResult;
use super::reader::Reader;
use crate::tree::{Snapshot, TreeId, TreeRead};
use bytes::Bytes;
use std::sync::Arc;

/// Everything that was published when it was made; later writes do not touch it. It can be sent to another thread and
/// kept, at the price of the pages that it pins. A clone is the same pinned state.
#[derive(Clone)]
pub struct View {
    snapshot: Arc<Snapshot>,
    position: Position,
}

impl View {
    pub(crate) fn new(snapshot: Snapshot) -> Result<Self, MvccError> {
        let position = Position::read(&snapshot)?;
        Ok(Self { snapshot: Arc::new(snapshot), position })
    }

    /// The current revision.
    pub fn revision(&self) -> i64 {
        self.position.revision
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn tree(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn reader(&self) -> Reader<'_, Snapshot> {
        Reader {
            tree: &self.snapshot,
            revision: self.position.revision,
            compact_revision: self.position.compact_revision(),
        }
    }

    /// Compares the trees with each other, row by row, and names what does not fit. It reads all of this state, and pins
    /// it meanwhile: see [`super::Store::check`] for a store that goes on.
    pub fn check(&self) -> Result<MvccReport, MvccError> {
        check::check(&self.reader(), self.position)
    }
}

/// The reads that a [`View`] and an [`super::ApplyTxn`] have in common.
macro_rules! reads {
    ($type:ty) => {
        impl $type {
            /// The last compaction, the oldest revision that can be read; −1 if there never was one.
            pub fn compact_revision(&self) -> i64 {
                self.reader().compact_revision
            }

            /// Number published with this state: the applied index.
            pub fn mark(&self) -> u64 {
                self.reader().tree.mark()
            }

            /// Answers a range read.
            pub fn range(&self, query: &RangeQuery<'_>) -> Result<RangeResult, MvccError> {
                self.reader().range(query)
            }

            /// The `KeyValue` of `key` in wire form, as it was at `revision` (0 or less: now).
            pub fn get(&self, key: &[u8], revision: i64) -> Result<Option<Bytes>, MvccError> {
                self.reader().get(key, revision)
            }

            /// The numbers of `key` without its value, as they were at `revision` (0 or less: now).
            pub fn version(&self, key: &[u8], revision: i64) -> Result<Option<VersionInfo>, MvccError> {
                let reader = self.reader();
                reader.version(key, reader.at(revision)?)
            }

            /// The keys attached to `lease`, ascending.
            pub fn lease_keys(&self, lease: i64) -> Result<Vec<Bytes>, MvccError> {
                self.reader().lease_keys(lease)
            }

            /// Changes from revision `from` on, whole revisions in order: at most `max_revisions`, and no further one
            /// once the events make `max_bytes`; one at least if there is any. `from` may be the compacted revision,
            /// of which what was kept is told; below it is [`MvccError::Compacted`].
            pub fn changes(
                &self,
                from: i64,
                max_revisions: usize,
                max_bytes: usize,
            ) -> Result<Vec<RevisionChanges>, MvccError> {
                self.reader().changes(from, max_revisions, max_bytes)
            }

            /// etcd's hash of the history up to `revision` (0: now). Reads all records up to there, in one go: see
            /// [`super::Store::hash_kv`] for a state that is not pinned.
            pub fn hash_kv(&self, revision: i64) -> Result<HashKv, MvccError> {
                self.reader().hash_kv(revision)
            }

            /// An entry of any tree, as it is stored.
            pub fn aux(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, MvccError> {
                Ok(self.reader().tree.get(tree, key)?)
            }

            /// All entries of any tree, as they are stored, ascending.
            pub fn aux_entries(&self, tree: TreeId) -> Result<Entries<'_>, MvccError> {
                self.aux_entries_from(tree, &[])
            }

            /// The entries of any tree from `key` on.
            pub fn aux_entries_from(&self, tree: TreeId, key: &[u8]) -> Result<Entries<'_>, MvccError> {
                Entries::from(self.reader().tree, tree, key)
            }

            /// Number of entries of any tree.
            pub fn aux_len(&self, tree: TreeId) -> u64 {
                self.reader().tree.len(tree)
            }
        }
    };
}
pub(crate) use reads;

reads!(View);
