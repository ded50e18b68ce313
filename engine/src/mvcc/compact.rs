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

/// A step is closed early when it has collected this many bytes of keys: keys may be long.
const STEP_BYTES: usize = 4 << 20;

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

/// What a step has found, before it removes anything.
#[derive(Default)]
struct Step {
    /// Keys of rows of HISTORY.
    rows: Vec<Vec<u8>>,
    /// Records of superseded versions, and of deletions.
    records: Vec<RecordKey>,
    bytes: usize,
    /// Where the next step starts; `None` when everything has been seen.
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

    /// One step of the physical half: looks at no more than `max_rows` records (at least one).
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
        let mut step = self.find_step(start, target, held, max_rows.max(1))?;
        self.remove(&mut step)?;
        if let Some(next) = step.next {
            self.write_cursor(next)?;
            return Ok(CompactProgress::More);
        }
        self.txn.delete(META, COMPACT_CURSOR)?;
        meta::write_compaction(&mut self.txn, FINISHED_COMPACT, target)?;
        self.position.finished = target;
        Ok(CompactProgress::Done { revision: target })
    }

    /// Each tree is left in one go and in its own order, so that neighbours share the way down.
    fn remove(&mut self, step: &mut Step) -> Result<(), MvccError> {
        step.records.sort_unstable();
        for record in &step.records {
            let key = record.encode();
            if !self.txn.delete(RECORDS, &key)? {
                return Err(corrupt(RECORDS, &key, "a row names this record, but it is missing"));
            }
        }
        step.rows.sort_unstable();
        for row_key in &step.rows {
            if !self.txn.delete(HISTORY, row_key)? {
                return Err(corrupt(HISTORY, row_key, "the row was there a moment ago"));
            }
        }
        Ok(())
    }

    fn find_step(
        &self,
        start: RecordKey,
        target: i64,
        held: Option<i64>,
        max_rows: usize,
    ) -> Result<Step, MvccError> {
        let mut step = Step::default();
        let mut cursor = self.txn.cursor(RECORDS);
        cursor.seek(&start.encode())?;
        let mut rows = 0;
        while let Some((key, wire)) = cursor.entry()? {
            let record = decode_record_key(key)?;
            if record.revision.main > target {
                break;
            }
            let is_held = held.is_some_and(|held| record.revision.main >= held);
            if is_held || rows == max_rows || step.bytes >= STEP_BYTES {
                step.next = Some(record);
                break;
            }
            self.look_at(record, wire, target, &mut step)?;
            rows += 1;
            cursor.next()?;
        }
        Ok(step)
    }

    fn look_at(&self, record: RecordKey, wire: &[u8], target: i64, step: &mut Step) -> Result<(), MvccError> {
        let kv =
            KeyValue::decode(wire).ok_or_else(|| corrupt(RECORDS, &record.encode(), "unreadable record"))?;
        // The first version of a key superseded nothing, and a look-up costs more than this.
        let is_first = !record.tombstone && kv.version == 1;
        if !is_first {
            self.look_before(kv.key, record, step)?;
        }
        if record.tombstone && record.revision.main < target {
            step.records.push(record);
        }
        Ok(())
    }

    /// Finds what the record has superseded.
    fn look_before(&self, key: &[u8], record: RecordKey, step: &mut Step) -> Result<(), MvccError> {
        let reader = self.reader();
        if !record.tombstone
            && let Some(LiveRow { info, previous: Some(previous) }) = reader.live_row(key)?
            && info.modified == record.revision
        {
            // A compaction that was overtaken by the next may have been here before.
            if self.has_record(&info, &previous)? {
                step.records.push(RecordKey::put(previous.modified));
            }
            return Ok(());
        }
        if let Some((row_key, row)) = reader.last_superseded_entry(key, record.revision)?
            && row.by == record.revision
        {
            step.bytes += row_key.len();
            step.rows.push(row_key.to_vec());
            step.records.push(RecordKey::put(row.info.modified));
        }
        Ok(())
    }

    fn write_cursor(&mut self, record: RecordKey) -> Result<(), MvccError> {
        Ok(self.txn.put(META, COMPACT_CURSOR, &record.encode())?)
    }
}
