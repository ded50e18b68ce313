//! The keys of META that belong to the MVCC layer.
//!
//! `scheduledCompactRev` and `finishedCompactRev` are etcd's own, 17 bytes of revision with sub 0, so that they travel
//! with an import or an export. Three are ours: the current revision, which must survive a compaction of everything
//! (a revision never goes backwards, and the last record may be gone); how far an unfinished compaction has come; and
//! the format of the rows.

use super::error::{MvccError, printable};
use super::revision::{RecordKey, Revision};
use super::trees::{META, RECORDS, name};
use crate::tree::{TreeRead, WriteTxn};

/// Revision of the last compaction that was asked for.
pub const SCHEDULED_COMPACT: &[u8] = b"scheduledCompactRev";
/// Revision of the last compaction that is physically complete.
pub const FINISHED_COMPACT: &[u8] = b"finishedCompactRev";
/// The current revision, 8 bytes, highest first.
pub const CURRENT_REVISION: &[u8] = b"currentRevision";
/// Key of the next record that an unfinished compaction has to look at.
pub const COMPACT_CURSOR: &[u8] = b"compactCursor";
/// Format of the rows of RECORDS, LIVE, HISTORY and LEASE_KEYS, 8 bytes, highest first.
pub const MVCC_FORMAT: &[u8] = b"mvccFormat";

/// The format written by this release.
pub const FORMAT: u64 = 1;
/// "Never compacted".
pub const NEVER: i64 = -1;
/// Revision of a store without a single write.
pub const FIRST_REVISION: i64 = 1;

/// Whether only the MVCC layer may write this key of META.
pub(crate) fn is_reserved(key: &[u8]) -> bool {
    [SCHEDULED_COMPACT, FINISHED_COMPACT, CURRENT_REVISION, COMPACT_CURSOR, MVCC_FORMAT].contains(&key)
}

/// Where the store stands in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The current revision.
    pub(crate) revision: i64,
    /// The last compaction asked for, −1 for none: nothing below it can be read.
    pub(crate) scheduled: i64,
    /// The last compaction that is complete, −1 for none.
    pub(crate) finished: i64,
}

impl Position {
    /// Reads it from a root: three look-ups in one small leaf.
    pub(crate) fn read(tree: &impl TreeRead) -> Result<Self, MvccError> {
        let finished = read_compaction(tree, FINISHED_COMPACT)?;
        // A file of etcd may have the finished mark alone.
        let scheduled = read_compaction(tree, SCHEDULED_COMPACT)?.max(finished);
        let revision = read_number(tree, CURRENT_REVISION)?.unwrap_or(0);
        let revision = i64::try_from(revision)
            .map_err(|_| corrupt(CURRENT_REVISION, "the number does not fit a revision"))?;
        Ok(Self { revision: revision.max(scheduled).max(FIRST_REVISION), scheduled, finished })
    }

    /// The oldest revision that can be read, −1 if never compacted.
    pub(crate) fn compact_revision(&self) -> i64 {
        self.scheduled
    }
}

fn read_compaction(tree: &impl TreeRead, key: &[u8]) -> Result<i64, MvccError> {
    match tree.get(META, key)? {
        None => Ok(NEVER),
        Some(bytes) => Revision::from_bytes(bytes)
            .map(|revision| revision.main)
            .ok_or_else(|| corrupt(key, "not a revision")),
    }
}

pub(crate) fn write_compaction(txn: &mut WriteTxn, key: &[u8], main: i64) -> Result<(), MvccError> {
    Ok(txn.put(META, key, &Revision::new(main, 0).to_bytes())?)
}

pub(crate) fn read_number(tree: &impl TreeRead, key: &[u8]) -> Result<Option<u64>, MvccError> {
    let Some(bytes) = tree.get(META, key)? else { return Ok(None) };
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| corrupt(key, "not a number of 8 bytes"))?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

pub(crate) fn write_number(txn: &mut WriteTxn, key: &[u8], number: u64) -> Result<(), MvccError> {
    Ok(txn.put(META, key, &number.to_be_bytes())?)
}

/// Refuses rows of a newer release; `None` when the store has never been written.
pub(crate) fn read_format(tree: &impl TreeRead) -> Result<Option<u64>, MvccError> {
    match read_number(tree, MVCC_FORMAT)? {
        Some(found) if found > FORMAT => Err(MvccError::Format { found, supported: FORMAT }),
        known => Ok(known),
    }
}

/// The next record for an unfinished compaction to look at.
pub(crate) fn read_cursor(tree: &impl TreeRead) -> Result<Option<RecordKey>, MvccError> {
    let Some(bytes) = tree.get(META, COMPACT_CURSOR)? else { return Ok(None) };
    RecordKey::decode(bytes).map(Some).ok_or_else(|| corrupt(COMPACT_CURSOR, "not the key of a record"))
}

/// Main revision of the last record, if there is one.
pub(crate) fn last_record(tree: &impl TreeRead) -> Result<Option<i64>, MvccError> {
    let mut cursor = tree.cursor(RECORDS);
    cursor.seek_last()?;
    let Some((key, _)) = cursor.entry()? else { return Ok(None) };
    let key = RecordKey::decode(key).ok_or_else(|| MvccError::Corrupt {
        tree: name(RECORDS),
        key: printable(key),
        what: "not the key of a record",
    })?;
    Ok(Some(key.revision.main))
}

pub(crate) fn corrupt(key: &[u8], what: &'static str) -> MvccError {
    MvccError::Corrupt { tree: name(META), key: printable(key), what }
}
