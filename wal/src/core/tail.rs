//! The newest state of the log as numbers: last index, terms, hard state, and where the log starts.
//!
//! Terms change rarely, so they are kept as runs: the first index of each and its term.

use std::collections::VecDeque;

use crate::types::{HardState, LogStart};

/// First index and term of a run of entries of one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TermRun {
    first: u64,
    term: u64,
}

/// Where the log ends, and where it starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    last: u64,
    released: LogStart,
    terms: VecDeque<TermRun>,
    hard_state: Option<HardState>,
}

impl Tail {
    /// A log that starts behind `released` and has its next entry at `next_index`.
    pub(crate) fn new(released: LogStart, next_index: u64) -> Tail {
        Tail { last: next_index - 1, released, terms: VecDeque::new(), hard_state: None }
    }

    /// Index of the last entry; where the log starts if it is empty.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Where the log starts.
    pub(crate) fn released(&self) -> LogStart {
        self.released
    }

    /// The newest hard state.
    pub(crate) fn hard_state(&self) -> Option<HardState> {
        self.hard_state
    }

    /// An entry was added; it replaces what was at its index and after.
    pub(crate) fn entry(&mut self, index: u64, term: u64) {
        while self.terms.back().is_some_and(|run| run.first >= index) {
            self.terms.pop_back();
        }
        if self.terms.back().is_none_or(|run| run.term != term) {
            self.terms.push_back(TermRun { first: index, term });
        }
        self.last = index;
    }

    /// The hard state was replaced.
    pub(crate) fn set_hard_state(&mut self, state: HardState) {
        self.hard_state = Some(state);
    }

    /// All entries were dropped.
    pub(crate) fn reset(&mut self, start: LogStart) {
        self.terms.clear();
        self.last = start.index;
        self.released = start;
    }

    /// Entries up to `index`, and not beyond the last, are needed no more. True if that changes anything.
    pub(crate) fn release(&mut self, index: u64) -> bool {
        let index = index.min(self.last);
        if index <= self.released.index {
            return false;
        }
        let term = self.term_of(index).unwrap_or(self.released.term);
        self.mark_released(LogStart { index, term });
        true
    }

    /// The log is known to have been released this far.
    pub(crate) fn mark_released(&mut self, start: LogStart) {
        if start.index <= self.released.index {
            return;
        }
        self.released = start;
        self.last = self.last.max(start.index);
        while self.terms.get(1).is_some_and(|next| next.first <= start.index) {
            self.terms.pop_front();
        }
    }

    /// Term of an entry that is there, or of the one before the first.
    pub(crate) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.released.index {
            return Some(self.released.term);
        }
        if index < self.released.index || index > self.last {
            return None;
        }
        let after = self.terms.partition_point(|run| run.first <= index);
        after.checked_sub(1).and_then(|at| self.terms.get(at)).map(|run| run.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_overwrites_and_releases() {
        let mut tail = Tail::new(LogStart::default(), 1);
        for (index, term) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            tail.entry(index, term);
        }
        assert_eq!(
            (1..=6).map(|i| tail.term_of(i)).collect::<Vec<_>>(),
            [Some(1), Some(1), Some(2), Some(2), Some(3), None]
        );
        tail.entry(4, 4);
        assert_eq!((tail.last(), tail.term_of(4), tail.term_of(5)), (4, Some(4), None));
        assert!(tail.release(3));
        assert_eq!(tail.released(), LogStart { index: 3, term: 2 });
        assert_eq!((tail.term_of(2), tail.term_of(3), tail.term_of(4)), (None, Some(2), Some(4)));
        assert!(!tail.release(3));
        assert!(tail.release(100), "not beyond the last entry");
        assert_eq!(tail.released(), LogStart { index: 4, term: 4 });
        tail.entry(5, 4);
        assert_eq!(tail.term_of(5), Some(4));
        tail.reset(LogStart { index: 50, term: 7 });
        assert_eq!((tail.last(), tail.term_of(50), tail.term_of(5)), (50, Some(7), None));
    }
}
