//! Which segments there are, and which of them nothing needs any more.
//!
//! A segment may go when all its entries are released, *and* the release is itself durable in a group of a later
//! segment. That group's segment began with the newest hard state, so nothing is lost with the old one; and recovery
//! sees from the group why the log starts where it does.

use std::collections::VecDeque;

use crate::format::group::Lap;

/// A segment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentState {
    /// Its number.
    pub(crate) sequence: u64,
    /// The lap that it is in.
    pub(crate) lap: Lap,
    /// Length of its file.
    pub(crate) bytes: u64,
    /// Greatest index of an entry in it; 0 for none.
    pub(crate) max_index: u64,
}

/// All segments, oldest first, without gaps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segments {
    list: VecDeque<SegmentState>,
}

impl Segments {
    /// Adds the next segment.
    pub(crate) fn push(&mut self, sequence: u64, lap: Lap, bytes: u64) {
        if let Some(last) = self.list.back() {
            assert_eq!(last.sequence + 1, sequence, "segments are numbered without gaps");
        }
        self.list.push_back(SegmentState { sequence, lap, bytes, max_index: 0 });
    }

    /// Number of segments.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The oldest segment.
    pub(crate) fn first(&self) -> Option<SegmentState> {
        self.list.front().copied()
    }

    /// Entries up to `max_index` were written to a segment.
    pub(crate) fn note_entries(&mut self, sequence: u64, max_index: u64) {
        if let Some(segment) = self.list.iter_mut().rev().find(|segment| segment.sequence == sequence) {
            segment.max_index = segment.max_index.max(max_index);
        }
    }

    /// A durable reset in `sequence` made all earlier entries void: the segments before it are needed no longer than
    /// until the log is released up to the reset's index. (Its own segment may hold later entries already.)
    pub(crate) fn note_reset(&mut self, sequence: u64, index: u64) {
        for segment in self.list.iter_mut().filter(|segment| segment.sequence < sequence) {
            segment.max_index = segment.max_index.min(index);
        }
    }

    /// Takes off the segments that may go, given the newest durable group: its segment and the release it carries.
    pub(crate) fn take_unneeded(&mut self, durable_in: u64, released: u64) -> Vec<SegmentState> {
        let mut gone = Vec::new();
        while let Some(first) = self.list.front() {
            if first.sequence >= durable_in || first.max_index > released {
                break;
            }
            gone.extend(self.list.pop_front());
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_released_segments_before_the_durable_one_go() {
        let mut segments = Segments::default();
        for sequence in 4..8 {
            segments.push(sequence, Lap { number: sequence, salt: 1 }, 4096);
            segments.note_entries(sequence, sequence * 10);
        }
        assert!(segments.take_unneeded(7, 39).is_empty());
        assert!(segments.take_unneeded(4, 99).is_empty());
        let gone = |segments: Vec<SegmentState>| segments.iter().map(|s| s.sequence).collect::<Vec<_>>();
        assert_eq!(gone(segments.take_unneeded(7, 50)), [4, 5]);
        segments.note_reset(7, 60);
        assert_eq!(gone(segments.take_unneeded(7, 60)), [6]);
        assert_eq!(segments.len(), 1);
        assert_eq!(segments.first().map(|s| s.sequence), Some(7));
    }
}
