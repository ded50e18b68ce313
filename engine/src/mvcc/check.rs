//! Whether the trees of a store agree with each other.
//!
//! The tree layer checks pages; this checks meaning. Every tree is walked once, and every row is looked up where it
//! must have its counterpart:
//!
//! - a row of LIVE or HISTORY has its record, with the same key, numbers and length, and so has the version before in a
//!   row of LIVE, unless compaction has passed it;
//! - a row of HISTORY has the record that superseded it, which continues the same lifetime or ends it, and the versions
//!   of a key follow each other without overlap;
//! - a record has a row, unless it is a deletion; nothing is left that compaction has passed;
//! - main revisions above the last compaction follow each other without a gap, sub revisions count from 0;
//! - `LEASE_KEYS` holds exactly the leases of LIVE;
//! - the current revision is not below the last record.

use super::error::{MvccError, printable};
use super::history::HistoryRow;
use super::keyvalue::KeyValue;
use super::leases;
use super::live::{self, LiveRow, VersionInfo};
use super::meta::{self, FIRST_REVISION, Position};
use super::reader::{Reader, decode_history};
use super::revision::{RecordKey, Revision};
use super::trees::{HISTORY, LEASE_KEYS, LIVE, RECORDS, name};
use crate::tree::{TreeId, TreeRead};
use std::fmt;

/// Most faults that a report lists.
const MAX_FAULTS: usize = 1000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MvccReport {
    /// The first faults, in the order in which they were met.
    pub faults: Vec<MvccFault>,
    /// How many there are.
    pub fault_count: u64,
    /// Records looked at.
    pub records: u64,
    /// Rows of LIVE looked at.
    pub live: u64,
    /// Rows of HISTORY looked at.
    pub history: u64,
    /// Rows of `LEASE_KEYS` looked at.
    pub lease_keys: u64,
}

impl MvccReport {
    /// Whether everything fits.
    pub fn is_clean(&self) -> bool {
        self.fault_count == 0
    }

    fn add(&mut self, fault: MvccFault) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// Something that does not fit. Keys are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MvccFault {
    /// An entry that cannot be read.
    Unreadable {
        /// Name of the tree.
        tree: &'static str,
        /// Key of the entry.
        key: String,
    },
    /// A row without its record.
    RecordMissing {
        /// Name of the row's tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Where the record should be.
        revision: Revision,
    },
    /// A row that says something else than its record.
    RecordDiffers {
        /// Name of the row's tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Where the record is.
        revision: Revision,
    },
    /// A superseded version without the record that superseded it, or with one that does not continue it.
    SupersederDiffers {
        /// The user's key.
        key: String,
        /// The superseded version.
        revision: Revision,
        /// What should have superseded it.
        by: Revision,
    },
    /// Two versions of a key that were readable at the same time.
    Overlap {
        /// The user's key.
        key: String,
        /// The later version.
        revision: Revision,
    },
    /// A record that no row knows.
    RowMissing {
        /// The user's key.
        key: String,
        /// Where the record is.
        revision: Revision,
    },
    /// Something that compaction should have removed.
    NotCompacted {
        /// Name of the tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Its revision.
        revision: Revision,
    },
    /// Revisions are missing before this one.
    Gap {
        /// The first one behind the gap.
        revision: Revision,
    },
    /// A record newer than the current revision.
    BeyondCurrent {
        /// Its revision.
        revision: Revision,
    },
    /// A living key names a lease that does not know it.
    LeaseKeyMissing {
        /// The user's key.
        key: String,
        /// The lease.
        lease: i64,
    },
    /// A lease names a key that is not attached to it.
    LeaseKeyStray {
        /// The user's key.
        key: String,
        /// The lease.
        lease: i64,
    },
}

impl fmt::Display for MvccFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { tree, key } => write!(f, "tree {tree}: the entry of {key} cannot be read"),
            Self::RecordMissing { tree, key, revision } => {
                write!(f, "tree {tree}: key {key} has no record at {revision}")
            }
            Self::RecordDiffers { tree, key, revision } => {
                write!(f, "tree {tree}: the row of key {key} differs from its record at {revision}")
            }
            Self::SupersederDiffers { key, revision, by } => {
                write!(f, "key {key}: version {revision} is not continued by the record at {by}")
            }
            Self::Overlap { key, revision } => {
                write!(f, "key {key}: version {revision} overlaps the one before it")
            }
            Self::RowMissing { key, revision } => {
                write!(f, "key {key}: no row knows the record at {revision}")
            }
            Self::NotCompacted { tree, key, revision } => {
                write!(f, "tree {tree}: key {key} at {revision} should have been compacted")
            }
            Self::Gap { revision } => write!(f, "revisions are missing before {revision}"),
            Self::BeyondCurrent { revision } => {
                write!(f, "the record at {revision} is newer than the current revision")
            }
            Self::LeaseKeyMissing { key, lease } => {
                write!(f, "key {key} is attached to lease {lease}, which does not know it")
            }
            Self::LeaseKeyStray { key, lease } => {
                write!(f, "lease {lease} names key {key}, which is not attached to it")
            }
        }
    }
}

/// Checks everything. The error is one of reading the trees; what does not fit is in the report.
pub(crate) fn check<T: TreeRead>(
    reader: &Reader<'_, T>,
    position: Position,
) -> Result<MvccReport, MvccError> {
    // A finished compaction has left the deletions at its revision, for the next one.
    let (walked, tombstones_gone) = match meta::read_cursor(reader.tree)? {
        Some(cursor) => (cursor.revision, cursor.revision.min(Revision::new(position.scheduled, 0))),
        None => (Revision::new(position.finished.saturating_add(1), 0), Revision::new(position.finished, 0)),
    };
    let report = MvccReport::default();
    let mut checker = Checker { reader, position, walked, tombstones_gone, report };
    checker.live()?;
    checker.history()?;
    checker.records()?;
    checker.lease_keys()?;
    Ok(checker.report)
}

/// An unreadable row is reported where its tree is walked.
fn if_readable<R>(row: Result<Option<R>, MvccError>) -> Result<Option<R>, MvccError> {
    match row {
        Err(MvccError::Corrupt { .. }) => Ok(None),
        other => other,
    }
}

struct Checker<'c, 't, T> {
    reader: &'c Reader<'t, T>,
    position: Position,
    /// Compaction has passed every record before this one.
    walked: Revision,
    /// It has removed every deletion before this one.
    tombstones_gone: Revision,
    report: MvccReport,
}

impl<'t, T: TreeRead> Checker<'_, 't, T> {
    fn each(
        &mut self,
        tree: TreeId,
        mut look: impl FnMut(&mut Self, &'t [u8], &'t [u8]) -> Result<(), MvccError>,
    ) -> Result<u64, MvccError> {
        let mut cursor = self.reader.tree.cursor(tree);
        cursor.seek_first()?;
        let mut entries = 0;
        while let Some((key, value)) = cursor.entry()? {
            entries += 1;
            look(self, key, value)?;
            cursor.next()?;
        }
        Ok(entries)
    }

    fn unreadable(&mut self, tree: TreeId, key: &[u8]) {
        self.report.add(MvccFault::Unreadable { tree: name(tree), key: printable(key) });
    }

    fn live(&mut self) -> Result<(), MvccError> {
        self.report.live = self.each(LIVE, |this, key, value| {
            let Some(LiveRow { info, previous }) = LiveRow::decode(value) else {
                this.unreadable(LIVE, key);
                return Ok(());
            };
            this.record_of(LIVE, key, &info)?;
            if let Some(previous) = &previous {
                this.previous_of(key, &info, previous)?;
            }
            let first = previous.unwrap_or(info).modified;
            let row = if_readable(this.reader.last_superseded(key, info.modified))?;
            if row.is_some_and(|row| row.by > first) {
                this.report.add(MvccFault::Overlap { key: printable(key), revision: first });
            }
            if info.lease != 0 {
                this.lease_of(key, info.lease)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// The version before that a row of LIVE carries: once compaction has passed the newest one, its record is gone.
    fn previous_of(
        &mut self,
        key: &[u8],
        info: &VersionInfo,
        previous: &VersionInfo,
    ) -> Result<(), MvccError> {
        let record = RecordKey::put(previous.modified).encode();
        let is_there = self.reader.tree.get(RECORDS, &record)?.is_some();
        if is_there && info.modified < self.walked {
            let (tree, revision) = (name(LIVE), previous.modified);
            self.report.add(MvccFault::NotCompacted { tree, key: printable(key), revision });
        } else if is_there || info.modified.main > self.position.scheduled {
            self.record_of(LIVE, key, previous)?;
        }
        Ok(())
    }

    fn lease_of(&mut self, key: &[u8], lease: i64) -> Result<(), MvccError> {
        let mut row_key = Vec::new();
        leases::encode_key(lease, key, &mut row_key);
        if self.reader.tree.get(LEASE_KEYS, &row_key)?.is_none() {
            self.report.add(MvccFault::LeaseKeyMissing { key: printable(key), lease });
        }
        Ok(())
    }

    /// Compares a row with its record.
    fn record_of(&mut self, tree: TreeId, key: &[u8], info: &VersionInfo) -> Result<(), MvccError> {
        let revision = info.modified;
        let fault = match self.reader.tree.get(RECORDS, &RecordKey::put(revision).encode())? {
            None => MvccFault::RecordMissing { tree: name(tree), key: printable(key), revision },
            Some(wire) => {
                let fits = KeyValue::decode(wire).is_some_and(|kv| {
                    let expected = info.keys_only(key);
                    // A record without bytes is a jump over revisions: it has no number of its own.
                    let mod_revision = if wire.is_empty() { revision.main } else { kv.mod_revision };
                    KeyValue { mod_revision, ..kv.without_value() } == expected
                        && wire.len() as u64 == info.record_len
                });
                if fits {
                    return Ok(());
                }
                MvccFault::RecordDiffers { tree: name(tree), key: printable(key), revision }
            }
        };
        self.report.add(fault);
        Ok(())
    }

    fn history(&mut self) -> Result<(), MvccError> {
        let mut before: Option<(Vec<u8>, HistoryRow)> = None;
        self.report.history = self.each(HISTORY, |this, row_key, value| {
            let Ok((key, row)) = decode_history(row_key, value) else {
                this.unreadable(HISTORY, row_key);
                return Ok(());
            };
            let revision = row.info.modified;
            this.record_of(HISTORY, &key, &row.info)?;
            this.superseder_of(&key, &row)?;
            if row.by < this.walked {
                let tree = name(HISTORY);
                this.report.add(MvccFault::NotCompacted { tree, key: printable(&key), revision });
            }
            let overlaps =
                before.as_ref().is_some_and(|(last, earlier)| *last == *key && earlier.by > revision);
            if overlaps || row.by <= revision {
                this.report.add(MvccFault::Overlap { key: printable(&key), revision });
            }
            before = Some((key.into_owned(), row));
            Ok(())
        })?;
        Ok(())
    }

    fn superseder_of(&mut self, key: &[u8], row: &HistoryRow) -> Result<(), MvccError> {
        let by = RecordKey { revision: row.by, tombstone: row.by_tombstone };
        let continued = match self.reader.tree.get(RECORDS, &by.encode())?.map(KeyValue::decode) {
            Some(Some(kv)) if row.by_tombstone => kv.key == key,
            Some(Some(kv)) => {
                let is_jump = key.is_empty() && kv.version == 0;
                let continues =
                    kv.create_revision == row.info.create_revision && kv.version == row.info.version + 1;
                kv.key == key && (continues || is_jump)
            }
            _ => false,
        };
        if !continued {
            let (key, revision) = (printable(key), row.info.modified);
            self.report.add(MvccFault::SupersederDiffers { key, revision, by: row.by });
        }
        Ok(())
    }

    fn records(&mut self) -> Result<(), MvccError> {
        // The last revision that may be followed by a gap.
        let mut last = Revision::new(self.position.compact_revision().max(FIRST_REVISION), i64::MAX);
        self.report.records = self.each(RECORDS, |this, key, wire| {
            let record = RecordKey::decode(key);
            let (Some(record), Some(kv)) = (record, KeyValue::decode(wire)) else {
                this.unreadable(RECORDS, key);
                return Ok(());
            };
            let revision = record.revision;
            if revision > last {
                let follows = if revision.main == last.main {
                    revision.sub == last.sub.saturating_add(1)
                } else {
                    revision.main == last.main.saturating_add(1) && revision.sub == 0
                };
                if !follows {
                    this.report.add(MvccFault::Gap { revision });
                }
                last = revision;
            }
            if revision.main > this.position.revision {
                this.report.add(MvccFault::BeyondCurrent { revision });
            }
            this.row_of(record, kv.key)
        })?;
        if last.main < self.position.revision {
            self.report.add(MvccFault::Gap { revision: Revision::new(self.position.revision + 1, 0) });
        }
        Ok(())
    }

    fn row_of(&mut self, record: RecordKey, key: &[u8]) -> Result<(), MvccError> {
        let revision = record.revision;
        if record.tombstone {
            if revision < self.tombstones_gone {
                let tree = name(RECORDS);
                self.report.add(MvccFault::NotCompacted { tree, key: printable(key), revision });
            }
            return Ok(());
        }
        let lives = match self.reader.tree.get(LIVE, key)? {
            Some(value) => live::decode(value).is_some_and(|info| info.modified == revision),
            None => false,
        };
        if !lives && if_readable(self.reader.superseded(key, revision))?.is_none() {
            self.report.add(MvccFault::RowMissing { key: printable(key), revision });
        }
        Ok(())
    }

    fn lease_keys(&mut self) -> Result<(), MvccError> {
        self.report.lease_keys = self.each(LEASE_KEYS, |this, row_key, _| {
            let Some((lease, key)) = leases::decode_key(row_key) else {
                this.unreadable(LEASE_KEYS, row_key);
                return Ok(());
            };
            let attached = match this.reader.tree.get(LIVE, key)? {
                Some(value) => live::decode(value).is_some_and(|info| info.lease == lease),
                None => false,
            };
            if !attached || lease == 0 {
                this.report.add(MvccFault::LeaseKeyStray { key: printable(key), lease });
            }
            Ok(())
        })?;
        Ok(())
    }
}
