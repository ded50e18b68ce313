//! The writer: a batch of revisions in one transaction.
//!
//! ```text
//! begin_revision   put, delete_range …   end_revision → changes      once for each log entry that writes
//! …
//! set_mark, publish                                                  once for the batch
//! ```
//!
//! All writes between `begin_revision` and `end_revision` share one main revision, their order is the sub revision. A
//! revision is used only if something changed. Reads in between see what was written so far, at the revision that is
//! being written.
//!
//! One change writes up to five rows: its record; the row of LIVE, which takes the version that it supersedes along; a
//! row of HISTORY for the version that had been there so far; and those of `LEASE_KEYS`. After an error the transaction
//! must be dropped: part of a change may be in it.

use super::changes::{Change, RevisionChanges};
use super::entries::Entries;
use super::error::MvccError;
use super::hash::HashKv;
use super::history::{self, HistoryRow};
use super::hold::{Holds, StepTurn};
use super::keyvalue::{KeyValue, key_span};
use super::leases;
use super::live::{self, LiveRow, VersionInfo};
use super::meta::{self, CURRENT_REVISION, Position};
use super::query::RangeQuery;
use super::range::RangeResult;
use super::reader::{Reader, corrupt, decode_live_row};
use super::revision::{RecordKey, Revision};
use super::trees::{HISTORY, LIVE, META, RECORDS, is_versioned, name};
use super::view::reads;
use crate::tree::{TreeId, TreeRead, WriteTxn};
use bytes::Bytes;
use std::sync::Arc;

/// A batch of writes. Dropped without [`ApplyTxn::publish`] it leaves no trace.
pub struct ApplyTxn {
    pub(super) txn: WriteTxn,
    pub(super) position: Position,
    /// The current revision when the batch began.
    began_at: i64,
    open: Option<OpenRevision>,
    pub(super) scratch: Scratch,
    /// The last record given to [`ApplyTxn::load_record`].
    pub(super) last_loaded: Option<Revision>,
    pub(super) holds: Arc<Holds>,
    /// From the first step of compaction in this transaction until its end.
    pub(super) step: Option<(Option<i64>, StepTurn)>,
}

/// The revision that is being written.
struct OpenRevision {
    main: i64,
    changes: Vec<Change>,
}

/// Buffers that are used again for each row.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl ApplyTxn {
    pub(crate) fn new(txn: WriteTxn, holds: Arc<Holds>) -> Result<Self, MvccError> {
        let position = Position::read(&txn)?;
        let began_at = position.revision;
        Ok(Self {
            txn,
            position,
            began_at,
            open: None,
            scratch: Scratch::default(),
            last_loaded: None,
            holds,
            step: None,
        })
    }

    pub(crate) fn reader(&self) -> Reader<'_, WriteTxn> {
        Reader {
            tree: &self.txn,
            revision: self.revision(),
            compact_revision: self.position.compact_revision(),
        }
    }

    /// The current revision: the one that is being written, as soon as something was written in it.
    pub fn revision(&self) -> i64 {
        match &self.open {
            Some(open) if !open.changes.is_empty() => open.main,
            _ => self.position.revision,
        }
    }

    /// Starts a revision.
    ///
    /// # Panics
    ///
    /// When one is open already.
    pub fn begin_revision(&mut self) {
        assert!(self.open.is_none(), "the revision before has not been ended");
        let main =
            self.position.revision.checked_add(1).expect("2^63 revisions are never reached by counting");
        self.open = Some(OpenRevision { main, changes: Vec::new() });
    }

    /// Ends the revision and tells what changed; `None`, and no revision is used, when nothing did.
    ///
    /// # Panics
    ///
    /// When none is open.
    pub fn end_revision(&mut self) -> Option<RevisionChanges> {
        let open = self.open.take().expect("end_revision without begin_revision");
        if open.changes.is_empty() {
            return None;
        }
        self.position.revision = open.main;
        Some(RevisionChanges { revision: open.main, changes: open.changes })
    }

    /// Writes a version of `key`, attached to `lease` (0: to none). Whether the lease exists is the caller's business.
    ///
    /// # Panics
    ///
    /// Outside a revision.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> Result<(), MvccError> {
        let modified = self.next_revision();
        let (mut record, mut created) = (Vec::new(), false);
        let (old, left) = self.txn.update(LIVE, key, |row, out| {
            let old = row.map(|row| decode_live_row(key, row)).transpose()?;
            if old.is_some_and(|old| old.info.modified >= modified) {
                return Err(corrupt(LIVE, key, "its version is newer than the current revision"));
            }
            let (create_revision, version) = old.map_or((modified.main, 1), |old| {
                (old.info.create_revision, old.info.version.saturating_add(1))
            });
            created = create_revision == modified.main;
            let kv = KeyValue { key, create_revision, mod_revision: modified.main, version, value, lease };
            record = kv.encode();
            let record_len = record.len() as u64;
            let info = VersionInfo { create_revision, modified, version, lease, record_len };
            Ok::<_, MvccError>((old, live::replace(info, old.as_ref(), out)))
        })?;
        self.write_record(key, modified, &record, lease, old.as_ref(), left)?;
        self.note(Change::put(Bytes::from(record), key.len(), created));
        Ok(())
    }

    /// Deletes a living key; `event` is the `KeyValue` of the event.
    pub(super) fn delete_one(&mut self, key: &[u8], old: &LiveRow, event: Bytes) -> Result<(), MvccError> {
        let at = self.next_revision();
        // The event is the record with the revision behind it.
        let record = &event[..key_span(key.len()).end];
        self.write_tombstone(key, at, record, Some(old))?;
        self.note(Change::deletion(event, key.len()));
        Ok(())
    }

    /// Main revision of the writes.
    pub(super) fn writing(&self) -> i64 {
        self.open.as_ref().expect("a write outside begin_revision and end_revision").main
    }

    /// The revision of the next change.
    fn next_revision(&self) -> Revision {
        let changes = self.open.as_ref().map_or(0, |open| open.changes.len());
        Revision::new(self.writing(), changes as i64)
    }

    fn note(&mut self, change: Change) {
        self.open.as_mut().expect("a change was just written in it").changes.push(change);
    }

    /// The rows of a version that was written elsewhere.
    pub(super) fn write_version(
        &mut self,
        key: &[u8],
        info: &VersionInfo,
        record: &[u8],
    ) -> Result<(), MvccError> {
        let (old, left) = self.txn.update(LIVE, key, |row, out| {
            let old = row.map(|row| decode_live_row(key, row)).transpose()?;
            Ok::<_, MvccError>((old, live::replace(*info, old.as_ref(), out)))
        })?;
        self.write_record(key, info.modified, record, info.lease, old.as_ref(), left)
    }

    /// All rows of a version but that of LIVE. `old` is the row that was there before, `left` what the new one could
    /// not take along of its newest version.
    fn write_record(
        &mut self,
        key: &[u8],
        modified: Revision,
        record: &[u8],
        lease: i64,
        old: Option<&LiveRow>,
        left: Option<VersionInfo>,
    ) -> Result<(), MvccError> {
        self.txn.put(RECORDS, &RecordKey::put(modified).encode(), record)?;
        if let Some(old) = old {
            self.keep_previous(key, old)?;
        }
        if let Some(left) = left {
            self.supersede(key, &left, modified, false)?;
        }
        let old_lease = old.map_or(0, |old| old.info.lease);
        leases::move_key(&mut self.txn, key, old_lease, lease, &mut self.scratch.key)
    }

    /// The rows of a deletion at `at`; `old` is the row of the living version that it supersedes.
    pub(super) fn write_tombstone(
        &mut self,
        key: &[u8],
        at: Revision,
        record: &[u8],
        old: Option<&LiveRow>,
    ) -> Result<(), MvccError> {
        self.txn.put(RECORDS, &RecordKey::tombstone(at).encode(), record)?;
        let Some(old) = old else { return Ok(()) };
        self.keep_previous(key, old)?;
        self.supersede(key, &old.info, at, true)?;
        self.txn.delete(LIVE, key)?;
        leases::move_key(&mut self.txn, key, old.info.lease, 0, &mut self.scratch.key)
    }

    /// Moves the version before that a row of LIVE carries to HISTORY, as the row goes or changes.
    fn keep_previous(&mut self, key: &[u8], row: &LiveRow) -> Result<(), MvccError> {
        match row.previous {
            Some(previous) if self.has_record(&row.info, &previous)? => {
                self.supersede(key, &previous, row.info.modified, false)
            }
            _ => Ok(()),
        }
    }

    /// Whether compaction has left the record of a version that `by` superseded. Only while a compaction is under way
    /// the record itself must be asked for.
    pub(super) fn has_record(&self, by: &VersionInfo, version: &VersionInfo) -> Result<bool, MvccError> {
        if by.modified.main > self.position.scheduled {
            return Ok(true);
        }
        if by.modified.main <= self.position.finished {
            return Ok(false);
        }
        let record = RecordKey::put(version.modified).encode();
        Ok(self.txn.get(RECORDS, &record)?.is_some())
    }

    fn supersede(
        &mut self,
        key: &[u8],
        old: &VersionInfo,
        by: Revision,
        by_tombstone: bool,
    ) -> Result<(), MvccError> {
        history::encode_key(key, old.modified, &mut self.scratch.key);
        HistoryRow { by, by_tombstone, info: *old }.encode(&mut self.scratch.value);
        Ok(self.txn.put(HISTORY, &self.scratch.key, &self.scratch.value)?)
    }

    /// Writes an entry of one of the small trees.
    ///
    /// # Panics
    ///
    /// When the tree, or the key of META, is the store's own.
    pub fn aux_put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), MvccError> {
        assert_small(tree, key);
        Ok(self.txn.put(tree, key, value)?)
    }

    /// Deletes an entry of one of the small trees; tells whether there was one.
    ///
    /// # Panics
    ///
    /// As [`ApplyTxn::aux_put`].
    pub fn aux_delete(&mut self, tree: TreeId, key: &[u8]) -> Result<bool, MvccError> {
        assert_small(tree, key);
        Ok(self.txn.delete(tree, key)?)
    }

    /// An entry of any tree, as it is stored.
    pub fn aux_get(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, MvccError> {
        self.aux(tree, key)
    }

    /// Sets the number that is published with the batch: the index of the last entry applied in it.
    pub fn set_mark(&mut self, applied_index: u64) {
        self.txn.set_mark(applied_index);
    }

    /// Shows the batch to readers, all at once. It is durable after the next checkpoint.
    ///
    /// # Panics
    ///
    /// When a revision is still open.
    pub fn publish(mut self) -> Result<(), MvccError> {
        assert!(self.open.is_none(), "publish inside a revision");
        if self.position.revision != self.began_at {
            meta::write_number(&mut self.txn, CURRENT_REVISION, self.position.revision as u64)?;
        }
        self.txn.publish()?;
        Ok(())
    }

    /// Whether writes would belong to an open revision.
    pub(super) fn in_revision(&self) -> bool {
        self.open.is_some()
    }
}

fn assert_small(tree: TreeId, key: &[u8]) {
    assert!(!is_versioned(tree), "tree {} is written by puts and deletes only", name(tree));
    assert!(tree != META || !meta::is_reserved(key), "META key {} is the store's own", key.escape_ascii());
}

reads!(ApplyTxn);
