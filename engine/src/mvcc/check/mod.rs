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
//!
//! Each of these speaks of rows that stand in one root. So the check need not see all rows in the same root: it takes the
//! newest one for every chunk of rows ([`Store::check`]), pins none for long, and runs beside writes and compaction. It
//! holds the report, which is bounded, and nothing that grows with the store.

mod report;

use super::error::{MvccError, printable};
use super::history::HistoryRow;
use super::keyvalue::KeyValue;
use super::leases;
use super::live::{self, LiveRow, VersionInfo};
use super::meta::{self, FIRST_REVISION, Position};
use super::reader::{Reader, decode_history};
use super::revision::{RecordKey, Revision};
use super::store::Store;
use super::trees::{HISTORY, LEASE_KEYS, LIVE, RECORDS, name};
use crate::tree::{TreeId, TreeRead};
pub use report::{MvccFault, MvccReport};

/// Rows looked at over one root.
#[cfg(not(test))]
const CHUNK_ROWS: u64 = 1000;
/// In tests few, so that small stores have many chunks.
#[cfg(test)]
const CHUNK_ROWS: u64 = 3;

/// The trees in the order in which they are looked at.
const ORDER: [TreeId; 4] = [LIVE, HISTORY, RECORDS, LEASE_KEYS];

/// A check that is under way. Made by [`Store::check_in_chunks`].
pub struct CheckWalk {
    store: Store,
    progress: Progress,
}

impl Store {
    /// Compares the trees with each other, row by row, and names what does not fit. It reads the whole store, in chunks
    /// over the newest states.
    pub fn check(&self) -> Result<MvccReport, MvccError> {
        let mut walk = self.check_in_chunks();
        loop {
            if let Some(report) = walk.step()? {
                return Ok(report);
            }
        }
    }

    /// Like [`Store::check`], for a caller that wants to pause or stop in between.
    pub fn check_in_chunks(&self) -> CheckWalk {
        CheckWalk { store: self.clone(), progress: Progress::default() }
    }
}

impl CheckWalk {
    /// Looks at the next chunk of rows, over the newest state; the report when everything has been looked at. The error
    /// is one of reading the trees; what does not fit is in the report.
    pub fn step(&mut self) -> Result<Option<MvccReport>, MvccError> {
        let view = self.store.view()?;
        let done = self.progress.step(&view.reader(), view.position(), CHUNK_ROWS)?;
        Ok(done.then(|| std::mem::take(&mut self.progress).report))
    }
}

/// Checks everything over one root.
pub(crate) fn check<T: TreeRead>(
    reader: &Reader<'_, T>,
    position: Position,
) -> Result<MvccReport, MvccError> {
    let mut progress = Progress::default();
    while !progress.step(reader, position, u64::MAX)? {}
    Ok(progress.report)
}

/// How far a check has come.
#[derive(Default)]
struct Progress {
    /// Place in [`ORDER`].
    tree: usize,
    /// The first key of that tree that has not been looked at.
    from: Vec<u8>,
    /// The last record that was looked at.
    last_record: Revision,
    report: MvccReport,
}

impl Progress {
    /// Looks at no more than `max_rows` rows of one tree. True when everything has been looked at.
    fn step<T: TreeRead>(
        &mut self,
        reader: &Reader<'_, T>,
        position: Position,
        max_rows: u64,
    ) -> Result<bool, MvccError> {
        let Some(&tree) = ORDER.get(self.tree) else { return Ok(true) };
        // A finished compaction has left the deletions at its revision, for the next one.
        let finished = position.finished;
        let (walked, tombstones_gone) = if let Some(cursor) = meta::read_cursor(reader.tree)? {
            (cursor.revision, cursor.revision.min(Revision::new(position.scheduled, 0)))
        } else {
            (Revision::new(finished.saturating_add(1), 0), Revision::new(finished, 0))
        };
        let mut checker = Checker { reader, position, walked, tombstones_gone, report: &mut self.report };
        let rows = Rows { tree, from: &self.from, limit: max_rows };
        let rest = match tree {
            LIVE => checker.live(rows)?,
            HISTORY => checker.history(rows)?,
            RECORDS => checker.records(rows, &mut self.last_record)?,
            _ => checker.lease_keys(rows)?,
        };
        self.tree += usize::from(rest.is_none());
        self.from = rest.unwrap_or_default();
        Ok(self.tree == ORDER.len())
    }
}

/// The rows of one step.
struct Rows<'p> {
    tree: TreeId,
    from: &'p [u8],
    limit: u64,
}

/// The key of the first row that was not looked at.
type Rest = Option<Vec<u8>>;

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
    report: &'c mut MvccReport,
}

impl<'t, T: TreeRead> Checker<'_, 't, T> {
    fn each(
        &mut self,
        rows: &Rows<'_>,
        mut look: impl FnMut(&mut Self, &'t [u8], &'t [u8]) -> Result<(), MvccError>,
    ) -> Result<Rest, MvccError> {
        let mut cursor = self.reader.tree.cursor(rows.tree);
        cursor.seek(rows.from)?;
        let mut looked = 0;
        while let Some((key, value)) = cursor.entry()? {
            if looked == rows.limit {
                return Ok(Some(key.to_vec()));
            }
            looked += 1;
            *self.report.rows_of(rows.tree) += 1;
            look(self, key, value)?;
            cursor.next()?;
        }
        Ok(None)
    }

    fn unreadable(&mut self, tree: TreeId, key: &[u8]) {
        self.report.add(MvccFault::Unreadable { tree: name(tree), key: printable(key) });
    }

    fn live(&mut self, rows: Rows<'_>) -> Result<Rest, MvccError> {
        self.each(&rows, |this, key, value| {
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
        })
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

    fn history(&mut self, rows: Rows<'_>) -> Result<Rest, MvccError> {
        let mut before = self.history_row_before(rows.from)?;
        self.each(&rows, |this, row_key, value| {
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
        })
    }

    /// The row of HISTORY before a key, if it can be read: an unreadable one was reported when it was looked at.
    fn history_row_before(&self, key: &[u8]) -> Result<Option<(Vec<u8>, HistoryRow)>, MvccError> {
        let mut cursor = self.reader.tree.cursor(HISTORY);
        cursor.seek_before(key)?;
        let Some((row_key, value)) = cursor.entry()? else { return Ok(None) };
        let row = if_readable(decode_history(row_key, value).map(Some))?;
        Ok(row.map(|(key, row)| (key.into_owned(), row)))
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

    fn records(&mut self, rows: Rows<'_>, last: &mut Revision) -> Result<Rest, MvccError> {
        // What compaction has let go may have gaps; it may have gone on since the last chunk.
        let compacted = self.position.compact_revision().max(FIRST_REVISION);
        *last = (*last).max(Revision::new(compacted, i64::MAX));
        let rest = self.each(&rows, |this, key, wire| {
            let record = RecordKey::decode(key);
            let (Some(record), Some(kv)) = (record, KeyValue::decode(wire)) else {
                this.unreadable(RECORDS, key);
                return Ok(());
            };
            let revision = record.revision;
            if revision > *last {
                let follows = if revision.main == last.main {
                    revision.sub == last.sub.saturating_add(1)
                } else {
                    revision.main == last.main.saturating_add(1) && revision.sub == 0
                };
                if !follows {
                    this.report.add(MvccFault::Gap { revision });
                }
                *last = revision;
            }
            if revision.main > this.position.revision {
                this.report.add(MvccFault::BeyondCurrent { revision });
            }
            this.row_of(record, kv.key)
        })?;
        if rest.is_none() && last.main < self.position.revision {
            self.report.add(MvccFault::Gap { revision: Revision::new(self.position.revision + 1, 0) });
        }
        Ok(rest)
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

    fn lease_keys(&mut self, rows: Rows<'_>) -> Result<Rest, MvccError> {
        self.each(&rows, |this, row_key, _| {
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
        })
    }
}
