//! The part of the log that raft reads from memory.
//!
//! The log on disk is the durable one; this view holds the entries that raft may still ask for: those not yet applied
//! and a bounded tail behind them for followers that lag. It is filled before a batch is handed to the disk, because
//! raft-rs reads entries back from its storage as soon as it has been told that they were accepted.

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// Entries `(compacted, last]` in memory, with what raft has to know about the end of the part that is gone.
#[derive(Debug)]
pub struct LogView {
    hard_state: HardState,
    conf_state: ConfState,
    compacted_index: u64,
    compacted_term: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl LogView {
    /// A view of a log whose entries up to `compacted_index` (of `compacted_term`) are gone, because the state machine
    /// holds their effect.
    pub fn new(
        hard_state: HardState,
        conf_state: ConfState,
        compacted_index: u64,
        compacted_term: u64,
    ) -> Self {
        Self { hard_state, conf_state, compacted_index, compacted_term, entries: VecDeque::new(), bytes: 0 }
    }

    /// Adds entries at the end, or replaces what stands from the first one's index on.
    ///
    /// # Panics
    /// When the entries would leave a gap behind the last one, or reach into the part that is gone: the caller has
    /// broken the log.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.compacted_index && first.index <= self.last() + 1,
            "an append at {} does not continue the log ({}, {}]",
            first.index,
            self.compacted_index,
            self.last()
        );
        let keep = (first.index - self.compacted_index - 1) as usize;
        for dropped in self.entries.drain(keep..) {
            self.bytes -= dropped.data.len();
        }
        self.bytes += entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
    }

    /// Forgets entries up to `index`, but keeps the newest `keep_entries` of them as long as all that is kept has no
    /// more than `keep_bytes` bytes of payload. Entries after `index` are never touched.
    pub fn compact(&mut self, index: u64, keep_entries: u64, keep_bytes: usize) {
        while let Some(front) = self.entries.front() {
            let behind = index.saturating_sub(front.index.saturating_sub(1));
            if front.index > index || (behind <= keep_entries && self.bytes <= keep_bytes) {
                return;
            }
            self.compacted_index = front.index;
            self.compacted_term = front.term;
            self.bytes -= front.data.len();
            self.entries.pop_front();
        }
    }

    /// Bytes of payload held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(super) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    fn last(&self) -> u64 {
        self.compacted_index + self.entries.len() as u64
    }

    fn at(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.compacted_index + 1)?;
        self.entries.get(offset as usize)
    }
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.compacted_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        let mut taken = Vec::new();
        let mut bytes = 0u64;
        for index in low..high {
            let entry = self.at(index).expect("the bounds were checked against the entries held");
            bytes += entry.data.len() as u64 + ENTRY_OVERHEAD_BYTES;
            if !taken.is_empty() && bytes > limit {
                break;
            }
            taken.push(entry.clone());
        }
        Ok(taken)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.compacted_index {
            return Ok(self.compacted_term);
        }
        if index < self.compacted_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.at(index).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.compacted_index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// A database image is not made on raft's word: it is sent by the shell when one is needed.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// What an entry costs on the wire besides its payload: type, term, index and lengths.
const ENTRY_OVERHEAD_BYTES: u64 = 24;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(index: u64, term: u64, bytes: usize) -> Entry {
        Entry { index, term, data: vec![0; bytes].into(), ..Entry::default() }
    }

    fn view(range: std::ops::RangeInclusive<u64>) -> LogView {
        let mut view = LogView::new(HardState::default(), ConfState::default(), range.start() - 1, 1);
        let entries: Vec<Entry> = range.map(|index| entry(index, 1, 10)).collect();
        view.append(&entries);
        view
    }

    #[test]
    fn an_append_replaces_the_tail() {
        let mut view = view(5..=10);
        view.append(&[entry(8, 2, 3)]);
        assert_eq!(view.last_index().unwrap(), 8);
        assert_eq!(view.term(8).unwrap(), 2);
        assert_eq!(view.bytes(), 33);
    }

    #[test]
    #[should_panic(expected = "does not continue the log")]
    fn a_gap_is_refused() {
        view(5..=10).append(&[entry(12, 2, 3)]);
    }

    #[test]
    fn compaction_keeps_a_tail_bounded_by_count_and_bytes() {
        let mut by_count = view(1..=10);
        by_count.compact(8, 3, usize::MAX);
        assert_eq!(by_count.first_index().unwrap(), 6);
        assert_eq!(by_count.term(5).unwrap(), 1);
        assert!(matches!(by_count.term(4), Err(Error::Store(StorageError::Compacted))));

        let mut by_bytes = view(1..=10);
        by_bytes.compact(8, 100, 45);
        assert_eq!(by_bytes.first_index().unwrap(), 7, "four entries of ten bytes remain");

        let mut unapplied = view(1..=10);
        unapplied.compact(2, 0, 0);
        assert_eq!(unapplied.first_index().unwrap(), 3, "what is not applied stays whatever it costs");
    }

    #[test]
    fn a_slice_has_at_least_one_entry_and_respects_the_limit() {
        let view = view(1..=10);
        let context = || GetEntriesContext::empty(false);
        assert_eq!(view.entries(1, 11, Some(0), context()).unwrap().len(), 1);
        assert_eq!(view.entries(1, 11, Some(70), context()).unwrap().len(), 2);
        assert_eq!(view.entries(1, 11, None, context()).unwrap().len(), 10);
        assert!(view.entries(0, 3, None, context()).is_err());
        assert!(view.entries(1, 12, None, context()).is_err());
    }
}
