//! Compaction: forgetting what was superseded up to a revision C.
//!
//! The logical half happens at once: C is written down, and nothing below it can be read any more. The physical half
//! runs in bounded steps, each in a transaction together with the place that it has reached, so that a crash costs at
//! most the last step.
//!
//! A step walks RECORDS from the last compaction up to C. Each record there superseded at most one version, which stands
//! in the row of LIVE that the record's own version has, or else in HISTORY just before it. Its record goes, and its row
//! of HISTORY; in LIVE it may stay (see `live`). A deletion's own record goes too if it is below C; at exactly C
//! it stays until the next compaction, because a watch may still start at C and must be told. So the next walk starts
//! at the last compacted revision itself. What is left at or below C is the newest version of each living key.
//!
//! The cost follows the number of changes since the last compaction, not the size of the store.
//!
//! A read in chunks holds it back (`hold`): a step looks only at records below the lowest revision that is held.

use super::error::MvccError;
use super::hashing::CompactionSpan;
use super::keyvalue::KeyValue;
use super::live::LiveRow;
use super::meta::{self, COMPACT_CURSOR, FINISHED_COMPACT, SCHEDULED_COMPACT};
use super::reader::{corrupt, decode_record_key};
use super::revision::{RecordKey, Revision};
use super::trees::{HISTORY, META, RECORDS};
use super::txn::ApplyTxn;
use crate::tree::TreeRead;

/// Records are looked at in rounds of so many; what a round has found is removed tree by tree, each in its own order. At
/// scattered places each row costs the pages of its own, so this is also how far a step may exceed its bound of pages.
const ROUND_ROWS: usize = 128;
/// A round is closed early when it has collected this many bytes of keys: keys may be long.
const ROUND_BYTES: usize = 4 << 20;
/// A step ends with the round that has changed this many pages. Copying, changing and writing a page takes some 5 µs,
/// so that a step keeps other writes waiting for a few milliseconds, wherever its rows lie.
const STEP_PAGES: usize = 384;

/// How far the physical half of compaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactProgress {
    /// There is nothing to do.
    Idle,
    /// There is more to do.
    More,
    /// There is more to do, but a read in chunks needs what would go next. Nothing was changed.
    Held {
        /// The lowest revision that is held.
        by: i64,
    },
    /// This step was the last one.
    Done {
        /// The compacted revision.
        revision: i64,
    },
}

/// What a round has found, before it removes anything.
#[derive(Default)]
struct Round {
    /// Keys of rows of HISTORY.
    rows: Vec<Vec<u8>>,
    /// Records of superseded versions, and of deletions.
    records: Vec<RecordKey>,
    bytes: usize,
    /// Records looked at.
    seen: usize,
    /// Where the next round starts; `None` when everything has been seen.
    next: Option<RecordKey>,
}

impl ApplyTxn {
    /// Compacts at `revision`, logically and at once; [`ApplyTxn::compact_step`] does the rest. It must be above the
    /// last compaction and not above the current revision. Returns what of it is to be hashed, if the compaction before
    /// was complete.
    pub fn compact(&mut self, revision: i64) -> Result<Option<CompactionSpan>, MvccError> {
        let last = self.position.compact_revision();
        if revision <= last {
            return Err(MvccError::Compacted { revision, compact_revision: last });
        }
        if revision > self.revision() {
            return Err(MvccError::FutureRevision { revision, current: self.revision() });
        }
        // An unfinished walk may have left deletions at its own target, which are below the new one.
        if let Some(cursor) = meta::read_cursor(&self.txn)?
            && cursor.revision.main >= last
        {
            self.write_cursor(RecordKey::put(Revision::new(last, 0)))?;
        }
        meta::write_compaction(&mut self.txn, SCHEDULED_COMPACT, revision)?;
        self.position.scheduled = revision;
        let was_complete = last == self.position.finished;
        Ok(was_complete.then_some(CompactionSpan { from: last, to: revision }))
    }

    /// One step of the physical half: looks at no more than `max_rows` records (at least one), and changes a bounded
    /// number of pages. What it does depends on the data alone, not on the time it takes.
    pub fn compact_step(&mut self, max_rows: usize) -> Result<CompactProgress, MvccError> {
        let target = self.position.scheduled;
        if target <= self.position.finished {
            return Ok(CompactProgress::Idle);
        }
        let holds = &self.holds;
        let held = self.step.get_or_insert_with(|| holds.begin_step()).0.filter(|held| *held < target);
        let start = match meta::read_cursor(&self.txn)? {
            Some(cursor) => cursor,
            None => RecordKey::put(Revision::new(self.position.finished.max(0), 0)),
        };
        if let Some(by) = held.filter(|held| start.revision.main >= *held) {
            return Ok(CompactProgress::Held { by });
        }
        if let Some(next) = self.remove_from(start, target, held, max_rows.max(1))? {
            self.write_cursor(next)?;
            return Ok(CompactProgress::More);
        }
        self.txn.delete(META, COMPACT_CURSOR)?;
        meta::write_compaction(&mut self.txn, FINISHED_COMPACT, target)?;
        self.position.finished = target;
        Ok(CompactProgress::Done { revision: target })
    }

    /// The rounds of a step. Returns where the next step starts, `None` when everything has been seen.
    fn remove_from(
        &mut self,
        mut start: RecordKey,
        target: i64,
        held: Option<i64>,
        max_rows: usize,
    ) -> Result<Option<RecordKey>, MvccError> {
        let most_pages = self.txn.changed_pages() + STEP_PAGES;
        let mut rows_left = max_rows;
        loop {
            let mut round = self.find(start, target, held, rows_left.min(ROUND_ROWS))?;
            self.remove(&mut round)?;
            rows_left -= round.seen;
            match round.next {
                // A round that has seen nothing stands before a record that is held.
                Some(next) if round.seen > 0 && rows_left > 0 && self.txn.changed_pages() < most_pages => {
                    start = next;
                }
                next => return Ok(next),
            }
        }
    }

    /// Each tree is left in one go and in its own order, so that neighbours share the way down.
    fn remove(&mut self, round: &mut Round) -> Result<(), MvccError> {
        round.records.sort_unstable();
        for record in &round.records {
            let key = record.encode();
            if !self.txn.delete(RECORDS, &key)? {
                return Err(corrupt(RECORDS, &key, "a row names this record, but it is missing"));
            }
        }
        round.rows.sort_unstable();
        for row_key in &round.rows {
            if !self.txn.delete(HISTORY, row_key)? {
                return Err(corrupt(HISTORY, row_key, "the row was there a moment ago"));
            }
        }
        Ok(())
    }

    fn find(
        &self,
        start: RecordKey,
        target: i64,
        held: Option<i64>,
        max_rows: usize,
    ) -> Result<Round, MvccError> {
        let mut round = Round::default();
        let mut cursor = self.txn.cursor(RECORDS);
        cursor.seek(&start.encode())?;
        while let Some((key, wire)) = cursor.entry()? {
            let record = decode_record_key(key)?;
            if record.revision.main > target {
                break;
            }
            let is_held = held.is_some_and(|held| record.revision.main >= held);
            if is_held || round.seen == max_rows || round.bytes >= ROUND_BYTES {
                round.next = Some(record);
                break;
            }
            self.look_at(record, wire, target, &mut round)?;
            round.seen += 1;
            cursor.next()?;
        }
        Ok(round)
    }

    fn look_at(
        &self,
        record: RecordKey,
        wire: &[u8],
        target: i64,
        round: &mut Round,
    ) -> Result<(), MvccError> {
        let kv =
            KeyValue::decode(wire).ok_or_else(|| corrupt(RECORDS, &record.encode(), "unreadable record"))?;
        // The first version of a key superseded nothing, and a look-up costs more than this.
        let is_first = !record.tombstone && kv.version == 1;
        if !is_first {
            self.look_before(kv.key, record, round)?;
        }
        if record.tombstone && record.revision.main < target {
            round.records.push(record);
        }
        Ok(())
    }

    /// Finds what the record has superseded.
    fn look_before(&self, key: &[u8], record: RecordKey, round: &mut Round) -> Result<(), MvccError> {
        let reader = self.reader();
        if !record.tombstone
            && let Some(LiveRow { info, previous: Some(previous) }) = reader.live_row(key)?
            && info.modified == record.revision
        {
            // A compaction that was overtaken by the next may have been here before.
            if self.has_record(&info, &previous)? {
                round.records.push(RecordKey::put(previous.modified));
            }
            return Ok(());
        }
        if let Some((row_key, row)) = reader.last_superseded_entry(key, record.revision)?
            && row.by == record.revision
        {
            round.bytes += row_key.len();
            round.rows.push(row_key.to_vec());
            round.records.push(RecordKey::put(row.info.modified));
        }
        Ok(())
    }

    fn write_cursor(&mut self, record: RecordKey) -> Result<(), MvccError> {
        Ok(self.txn.put(META, COMPACT_CURSOR, &record.encode())?)
    }
}
