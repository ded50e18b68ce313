//! Rebuilds the log's state from its groups, in order, and refuses what could not have been written.

use std::collections::VecDeque;

use super::scan::GroupAt;
use crate::core::segments::Segments;
use crate::core::summary::Summary;
use crate::core::tail::Tail;
use crate::format::group::Lap;
use crate::format::record::Record;
use crate::format::segment::SegmentHeader;
use crate::index::Index;
use crate::types::Entry;

/// The state so far.
pub(crate) struct Replay {
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) tail: Tail,
    pub(crate) index: Index,
    pub(crate) segments: Segments,
    /// The last group had no records.
    pub(crate) last_was_empty: bool,
}

impl Replay {
    /// A log whose first segment is this one.
    pub(crate) fn new(first: &SegmentHeader) -> Replay {
        Replay {
            entries: VecDeque::new(),
            tail: Tail::new(first.released, first.first_index),
            index: Index::new(first.released.index),
            segments: Segments::default(),
            last_was_empty: false,
        }
    }

    /// Takes the next group. An error is a sentence about what is wrong with it.
    pub(crate) fn group(&mut self, group: GroupAt, lap: Lap) -> Result<(), String> {
        let mut summary = Summary::default();
        self.last_was_empty = group.records.is_empty();
        for record in group.records {
            match record {
                Record::HardState(state) => self.tail.set_hard_state(state),
                Record::Reset(start) => {
                    self.entries.clear();
                    self.tail.reset(start);
                    summary.reset(start);
                }
                Record::Entry(entry) => {
                    self.check_entry(&entry)?;
                    self.tail.entry(entry.index, entry.term);
                    summary.entry(entry.index);
                    let keep =
                        self.entries.front().map_or(0, |first| entry.index.saturating_sub(first.index));
                    self.entries.truncate(keep as usize);
                    self.entries.push_back(entry);
                }
            }
        }
        let released = group.header.released;
        if released.index > self.tail.last() {
            return Err(format!(
                "it releases entries up to {}, but the last one is {}",
                released.index,
                self.tail.last()
            ));
        }
        if let Some(reset) = summary.reset {
            self.segments.note_reset(group.place.segment, reset.index);
        }
        self.segments.note_entries(group.place.segment, summary.max_index);
        self.index.apply(group.place, lap, &summary);
        self.index.release(released.index);
        self.tail.mark_released(released);
        while self.entries.front().is_some_and(|entry| entry.index <= released.index) {
            self.entries.pop_front();
        }
        Ok(())
    }

    fn check_entry(&self, entry: &Entry) -> Result<(), String> {
        let (lowest, highest) = (self.tail.released().index + 1, self.tail.last() + 1);
        if (lowest..=highest).contains(&entry.index) {
            return Ok(());
        }
        Err(format!("it holds entry {}, which must be in {lowest}..={highest}", entry.index))
    }

    /// Checks that nothing is missing between where the log starts and its first entry.
    pub(crate) fn check_complete(&self) -> Result<(), String> {
        let released = self.tail.released().index;
        let first = self.entries.front().map_or(self.tail.last() + 1, |entry| entry.index);
        if first == released + 1 {
            return Ok(());
        }
        Err(format!("the log was released up to entry {released}, but its first entry is {first}"))
    }
}
