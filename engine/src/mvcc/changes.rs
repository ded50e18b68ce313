//! What changed, revision by revision: the events of watches.
//!
//! While a batch is applied its changes are handed out as they are made. A watcher that lags, or asks for the past,
//! reads them again from RECORDS, where they stand in order and in the same bytes. A put's event carries the stored
//! `KeyValue` as it is; a deletion's carries the key and the revision of the deletion, which its record does not hold.

use super::error::MvccError;
use super::keyvalue::{KeyValue, key_span};
use super::reader::{Reader, corrupt, decode_record_key};
use super::revision::{RecordKey, Revision};
use super::trees::RECORDS;
use crate::tree::TreeRead;
use bytes::Bytes;

/// All changes of one main revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionChanges {
    /// The main revision.
    pub revision: i64,
    /// In the order in which they were made.
    pub changes: Vec<Change>,
}

/// One change, as a watch event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The user's key: a slice of `kv`.
    pub key: Bytes,
    /// The event's `KeyValue` in wire form: of a put the whole version, of a deletion key and mod revision only.
    pub kv: Bytes,
    /// Whether it is a deletion.
    pub deleted: bool,
    /// Whether it is a put that created the key (create revision = mod revision).
    pub created: bool,
}

impl Change {
    /// A put, from its record as [`KeyValue::encode`] writes it.
    pub(crate) fn put(record: Bytes, key_len: usize, created: bool) -> Self {
        Self { key: record.slice(key_span(key_len)), kv: record, deleted: false, created }
    }

    /// A deletion, from the `KeyValue` of its event.
    pub(crate) fn deletion(event: Bytes, key_len: usize) -> Self {
        Self { key: event.slice(key_span(key_len)), kv: event, deleted: true, created: false }
    }
}

/// The `KeyValue` of a delete event.
pub(crate) fn deletion_event(key: &[u8], main: i64) -> KeyValue<'_> {
    KeyValue { key, mod_revision: main, ..KeyValue::default() }
}

impl<T: TreeRead> Reader<'_, T> {
    /// The changes from revision `from` on, whole revisions only: at most `max_revisions` of them, and no further one
    /// once `max_bytes` of events are collected. Empty when there are none yet. `from` may be the compacted revision
    /// itself, of which what compaction keeps is still told.
    pub(crate) fn changes(
        &self,
        from: i64,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<Vec<RevisionChanges>, MvccError> {
        if from < self.compact_revision {
            return Err(self.compacted(from));
        }
        let mut cursor = self.tree.cursor(RECORDS);
        cursor.seek(&Revision::new(from.max(0), 0).to_bytes())?;
        let mut told: Vec<RevisionChanges> = Vec::new();
        let mut bytes = 0;
        while let Some((key, wire)) = cursor.entry()? {
            let record_key = decode_record_key(key)?;
            let main = record_key.revision.main;
            if main > self.revision {
                break;
            }
            if told.last().is_none_or(|last| last.revision != main) && !wire.is_empty() {
                if told.len() >= max_revisions || (bytes >= max_bytes && !told.is_empty()) {
                    break;
                }
                told.push(RevisionChanges { revision: main, changes: Vec::new() });
            }
            if let Some(change) = change_of(record_key, wire)? {
                bytes += change.kv.len();
                told.last_mut().expect("pushed above").changes.push(change);
            }
            cursor.next()?;
        }
        Ok(told)
    }
}

/// The change that a record tells; an empty record (a revision skipped by a restore) tells none.
fn change_of(key: RecordKey, wire: &[u8]) -> Result<Option<Change>, MvccError> {
    if wire.is_empty() {
        return Ok(None);
    }
    let kv = KeyValue::decode(wire).ok_or_else(|| corrupt(RECORDS, &key.encode(), "unreadable record"))?;
    if key.tombstone {
        let event = deletion_event(kv.key, key.revision.main).encode();
        return Ok(Some(Change::deletion(Bytes::from(event), kv.key.len())));
    }
    let created = kv.create_revision == kv.mod_revision;
    let key_bytes = kv.key;
    let record = Bytes::copy_from_slice(wire);
    if record.get(key_span(key_bytes.len())) == Some(key_bytes) {
        return Ok(Some(Change::put(record, key_bytes.len(), created)));
    }
    // Fields in another order: legal protobuf, though no etcd writes it.
    let key = Bytes::copy_from_slice(key_bytes);
    Ok(Some(Change { key, kv: record, deleted: false, created }))
}
