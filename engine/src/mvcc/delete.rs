//! Deleting a range, be it one key or a million, in one revision.
//!
//! LIVE is walked in batches: a batch of keys is copied out, the walk is left, the keys are deleted, and the walk goes
//! on behind them. So the memory that it takes beside the transaction's own pages is one batch, and the events.

use super::arena::Arena;
use super::changes::deletion_event;
use super::error::MvccError;
use super::keyrange::{KeyRange, successor};
use super::live::LiveRow;
use super::reader::{Reader, decode_live_row};
use super::trees::LIVE;
use super::txn::ApplyTxn;
use crate::tree::TreeRead;
use bytes::Bytes;
use std::ops::Range;

/// Keys in a batch.
const BATCH_KEYS: usize = 512;
/// A batch is closed early when its keys have this many bytes: keys may be long.
const BATCH_BYTES: usize = 1 << 20;

/// Most bytes that an event of an ordinary key takes beside the key: two tags, its length, a revision.
const EVENT_OVERHEAD_BYTES: usize = 12;

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Keys deleted.
    pub count: i64,
    /// Their versions before, in wire form and key order, if asked for.
    pub prev_kvs: Vec<Bytes>,
}

impl ApplyTxn {
    /// Deletes every key of a range (see [`KeyRange`]): one change for each key, in key order.
    ///
    /// # Panics
    ///
    /// Outside a revision.
    pub fn delete_range(
        &mut self,
        key: &[u8],
        range_end: &[u8],
        prev_kvs: bool,
    ) -> Result<Deleted, MvccError> {
        let range = KeyRange::new(key, range_end);
        let mut deleted = Deleted::default();
        let mut batch = Batch::default();
        let mut from = key.to_vec();
        loop {
            batch.fill(&self.reader(), range.starting_at(&from))?;
            if prev_kvs {
                batch.copy_records(&self.reader(), &mut deleted.prev_kvs)?;
            }
            let events = batch.events(self.writing());
            for ((key, row), event) in batch.iter().zip(events) {
                self.delete_one(key, row, event)?;
            }
            deleted.count += batch.rows.len() as i64;
            match batch.iter().last() {
                Some((last, _)) if batch.is_cut => from = successor(last),
                _ => return Ok(deleted),
            }
        }
    }
}

/// Rows of LIVE, copied out.
#[derive(Default)]
struct Batch {
    keys: Vec<u8>,
    rows: Vec<(Range<usize>, LiveRow)>,
    /// Whether there may be more rows behind it.
    is_cut: bool,
}

impl Batch {
    fn fill<T: TreeRead>(&mut self, reader: &Reader<'_, T>, range: KeyRange<'_>) -> Result<(), MvccError> {
        self.keys.clear();
        self.rows.clear();
        self.is_cut = false;
        if range.is_empty() {
            return Ok(());
        }
        if let Some(key) = range.single() {
            if let Some(row) = reader.live_row(key)? {
                self.push(key, row);
            }
            return Ok(());
        }
        let mut cursor = reader.tree.cursor(LIVE);
        cursor.seek(range.from())?;
        while let Some((key, value)) = cursor.entry()?
            && !range.is_past(key)
        {
            self.push(key, decode_live_row(key, value)?);
            if self.rows.len() >= BATCH_KEYS || self.keys.len() >= BATCH_BYTES {
                self.is_cut = true;
                break;
            }
            cursor.next()?;
        }
        Ok(())
    }

    fn push(&mut self, key: &[u8], row: LiveRow) {
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.rows.push((start..self.keys.len(), row));
    }

    /// The events of the deletions in revision `main`, in shared blocks: there may be millions of them.
    fn events(&self, main: i64) -> Vec<Bytes> {
        let mut arena = Arena::new(self.rows.len(), self.keys.len() + EVENT_OVERHEAD_BYTES * self.rows.len());
        for (key, _) in self.iter() {
            arena.push_with(|out| deletion_event(key, main).encode_into(out));
        }
        arena.finish()
    }

    fn copy_records<T: TreeRead>(
        &self,
        reader: &Reader<'_, T>,
        to: &mut Vec<Bytes>,
    ) -> Result<(), MvccError> {
        let bytes = self.rows.iter().map(|(_, row)| row.info.record_len as usize).sum();
        let mut arena = Arena::new(self.rows.len(), bytes);
        for record in reader.records(self.rows.iter().map(|(_, row)| &row.info))? {
            arena.push(record);
        }
        to.extend(arena.finish());
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &LiveRow)> {
        self.rows.iter().map(|(span, row)| (&self.keys[span.clone()], row))
    }
}
