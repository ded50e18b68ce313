//! Fills groups from what waits, gives them their place, and tells what is durable as their writes complete.
//!
//! The rules, in the order in which they matter:
//!
//! 1. What waits is taken strictly in order; a group is all that waits, up to a large bound. A batch may be split over
//!    groups, record by record. Since a group counts only when all before it do, a hard state that stands behind its
//!    entries is never durable before them.
//! 2. A group never crosses the end of a segment. If the next record has no room, the log rolls to a new segment, whose
//!    first group begins with the newest hard state.
//! 3. Writes may complete in any order, but a group counts as durable only with all before it. Its ticket is reported
//!    then, and its number goes into the next header as "durable through".
//! 4. A release is written down with the next group. If segments could go because of it and nothing else waits, an
//!    empty group is written for it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::segments::{SegmentState, Segments};
use super::summary::Summary;
use super::tail::Tail;
use crate::buffer::AlignedBuffer;
use crate::format::group::{GroupBuilder, HEADER_BYTES, Lap};
use crate::format::segment::{SegmentHeader, area_bytes};
use crate::format::{record, round_up};
use crate::index::Place;
use crate::types::{Batch, Entry, HardState, LogStart};

/// What waits to be written, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// Records, and the ticket to report when they are durable.
    Batch(PendingBatch),
    /// Entries up to this index are needed no more.
    Release(u64),
}

/// A batch of which the front may have gone into a group already.
#[derive(Debug)]
pub(crate) struct PendingBatch {
    reset: Option<LogStart>,
    entries: std::vec::IntoIter<Entry>,
    hard_state: Option<HardState>,
    ticket: u64,
}

impl PendingBatch {
    /// A batch of which nothing was written yet.
    pub(crate) fn new(batch: Batch, ticket: u64) -> Self {
        let Batch { reset, entries, hard_state } = batch;
        PendingBatch { reset, entries: entries.into_iter(), hard_state, ticket }
    }

    /// Bytes of the next record; nothing when all were taken.
    fn next_bytes(&self) -> Option<u64> {
        let bytes = if self.reset.is_some() {
            record::RESET_BYTES
        } else if let Some(entry) = self.entries.as_slice().first() {
            record::entry_bytes(entry.data.len())
        } else {
            self.hard_state.map(|_| record::HARD_STATE_BYTES)?
        };
        Some(bytes as u64)
    }
}

/// A group whose write was handed out.
#[derive(Debug)]
struct InFlight {
    number: u64,
    place: Place,
    lap: Lap,
    summary: Summary,
    released: LogStart,
    ticket: Option<u64>,
    data_bytes: u64,
    done: bool,
}

/// The segment that is being filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    /// Its number.
    pub(crate) sequence: u64,
    /// Its lap.
    pub(crate) lap: Lap,
    /// Where the next group goes.
    pub(crate) offset: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// True when no group of this lap is in it yet.
    pub(crate) empty: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Nothing waits.
    Nothing,
    /// A new segment is needed first.
    Roll,
    /// The buffer holds a group: write it there.
    Group(GroupWrite),
}

/// A group to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupWrite {
    /// Its number.
    pub(crate) number: u64,
    /// Where it goes.
    pub(crate) place: Place,
}

/// What came of a completed write.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    /// Groups that count as durable now: for the index.
    pub(crate) durable: Vec<(Place, Lap, Summary)>,
    /// Where the log starts, as far as that is durable.
    pub(crate) released: LogStart,
    /// Bytes of entry data that became durable.
    pub(crate) data_bytes: u64,
    /// Segments that are needed no more.
    pub(crate) unneeded: Vec<SegmentState>,
}

/// Everything that the assembler starts from; recovery makes it, or a new log.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) block: u32,
    pub(crate) metadata: Bytes,
    pub(crate) active: Active,
    pub(crate) highest_lap: u64,
    pub(crate) next_group: u64,
    pub(crate) tail: Tail,
    pub(crate) segments: Segments,
    /// True when the last group holds nothing that damage to it could lose.
    pub(crate) sealed: bool,
}

/// The state of the running log.
#[derive(Debug)]
pub(crate) struct Assembler {
    start: Start,
    max_group_bytes: u64,
    /// Without syncs no group is known to be durable, so none says so.
    claims: bool,
    durable_through: u64,
    /// Release carried by the last group that was made.
    written_release: u64,
    in_flight: VecDeque<InFlight>,
    ready: Option<u64>,
}

impl Assembler {
    /// Continues from where the log stands. All groups before `next_group` are durable.
    pub(crate) fn new(start: Start, max_group_bytes: u32, no_sync: bool) -> Assembler {
        let max_group_bytes = round_up(u64::from(max_group_bytes), start.block);
        Assembler {
            durable_through: start.next_group - 1,
            start,
            max_group_bytes,
            claims: !no_sync,
            written_release: 0,
            in_flight: VecDeque::new(),
            ready: None,
        }
    }

    /// Number of the last group that is durable with all before it.
    pub(crate) fn durable_through(&self) -> u64 {
        self.durable_through
    }

    /// The segments.
    pub(crate) fn segments(&self) -> &Segments {
        &self.start.segments
    }

    /// The highest ticket that is durable, once.
    pub(crate) fn take_ready(&mut self) -> Option<u64> {
        self.ready.take()
    }

    /// Puts the next group into the empty buffer, or says what is to be done instead.
    pub(crate) fn fill(&mut self, waiting: &mut VecDeque<Item>, out: &mut AlignedBuffer) -> Fill {
        let Some(next) = self.next_record(waiting) else {
            return if self.wants_release_group() { self.fill_empty(out) } else { Fill::Nothing };
        };
        let least = HEADER_BYTES as u64 + self.head_bytes() + next;
        let Some(limit) = self.limit(least) else { return Fill::Roll };
        let head = self.head();
        let mut builder = GroupBuilder::new(out);
        let mut made = Made::default();
        if let Some(state) = head {
            builder.hard_state(&state);
        }
        while let Some(item) = waiting.front_mut() {
            match item {
                Item::Release(index) => {
                    self.start.tail.release(*index);
                }
                Item::Batch(batch) => {
                    if !self.take_records(batch, limit, &mut builder, &mut made) {
                        break;
                    }
                    made.ticket = Some(batch.ticket);
                }
            }
            waiting.pop_front();
        }
        self.close_group(builder, made)
    }

    /// An empty group that says that all before it are durable, so that damage to the last one can be told from a torn
    /// write. For a log that is being closed; nothing when there is no room or no need.
    pub(crate) fn fill_seal(&mut self, out: &mut AlignedBuffer) -> Fill {
        let idle = self.in_flight.is_empty() && self.claims;
        if !idle || self.start.sealed || self.start.active.empty || self.limit(HEADER_BYTES as u64).is_none()
        {
            return Fill::Nothing;
        }
        let builder = GroupBuilder::new(out);
        let fill = self.close_group(builder, Made::default());
        self.start.sealed = true;
        fill
    }

    /// A group without records, for a release alone.
    fn fill_empty(&mut self, out: &mut AlignedBuffer) -> Fill {
        let head = self.head();
        if self.limit(HEADER_BYTES as u64 + self.head_bytes()).is_none() {
            return Fill::Roll;
        }
        let mut builder = GroupBuilder::new(out);
        if let Some(state) = head {
            builder.hard_state(&state);
        }
        self.close_group(builder, Made::default())
    }

    /// Takes what needs no group off the front, and gives the length of the record that is next.
    fn next_record(&mut self, waiting: &mut VecDeque<Item>) -> Option<u64> {
        while let Some(item) = waiting.front() {
            match item {
                Item::Release(index) => {
                    self.start.tail.release(*index);
                }
                Item::Batch(batch) => {
                    if let Some(bytes) = batch.next_bytes() {
                        return Some(bytes);
                    }
                    // Nothing to write: durable as soon as all before it is.
                    match self.in_flight.back_mut() {
                        Some(last) => last.ticket = Some(batch.ticket),
                        None => self.ready = Some(batch.ticket),
                    }
                }
            }
            waiting.pop_front();
        }
        None
    }

    /// Adds records of the batch while they fit. True when all of it is taken.
    fn take_records(
        &mut self,
        batch: &mut PendingBatch,
        limit: u64,
        builder: &mut GroupBuilder<'_>,
        made: &mut Made,
    ) -> bool {
        while let Some(bytes) = batch.next_bytes() {
            if builder.bytes() + bytes > limit {
                return false;
            }
            let tail = &mut self.start.tail;
            if let Some(start) = batch.reset.take() {
                builder.reset(start);
                made.summary.reset(start);
                tail.reset(start);
            } else if let Some(entry) = batch.entries.next() {
                builder.entry(&entry);
                made.summary.entry(entry.index);
                made.data_bytes += entry.data.len() as u64;
                tail.entry(entry.index, entry.term);
            } else if let Some(state) = batch.hard_state.take() {
                builder.hard_state(&state);
                tail.set_hard_state(state);
            }
        }
        true
    }

    /// Greatest length of a group that must hold at least `least` bytes; nothing if the segment has no room for it.
    fn limit(&self, least: u64) -> Option<u64> {
        let room = self.start.active.bytes - self.start.active.offset;
        let least = round_up(least, self.start.block);
        (least <= room).then(|| room.min(self.max_group_bytes.max(least)))
    }

    /// The hard state that a segment's first group begins with.
    fn head(&self) -> Option<HardState> {
        self.start.tail.hard_state().filter(|_| self.start.active.empty)
    }

    fn head_bytes(&self) -> u64 {
        self.head().map_or(0, |_| record::HARD_STATE_BYTES as u64)
    }

    /// True when a segment could go if only the release were written down, in a later segment than its own.
    fn wants_release_group(&self) -> bool {
        let Some(first) = self.start.segments.first() else { return false };
        let released = self.start.tail.released().index;
        first.sequence < self.start.active.sequence
            && first.max_index <= released
            && (self.written_release < first.max_index || self.start.active.empty)
    }

    fn close_group(&mut self, builder: GroupBuilder<'_>, made: Made) -> Fill {
        let Active { sequence, lap, offset, .. } = self.start.active;
        let number = self.start.next_group;
        let released = self.start.tail.released();
        let claim = if self.claims { self.durable_through } else { 0 };
        let bytes = builder.finish(number, claim, released, lap, self.start.block);
        let place = Place { segment: sequence, offset, bytes };
        self.start.segments.note_entries(sequence, made.summary.max_index);
        self.in_flight.push_back(InFlight {
            number,
            place,
            lap,
            summary: made.summary,
            released,
            ticket: made.ticket,
            data_bytes: made.data_bytes,
            done: false,
        });
        self.start.active.offset += bytes;
        assert!(self.start.active.offset <= self.start.active.bytes, "a group stays inside its segment");
        self.start.active.empty = false;
        self.start.next_group += 1;
        self.start.sealed = false;
        self.written_release = released.index;
        Fill::Group(GroupWrite { number, place })
    }

    /// The write of a group has completed.
    pub(crate) fn complete(&mut self, number: u64) -> Completed {
        let group = self.in_flight.iter_mut().find(|group| group.number == number);
        group.expect("only what was handed out can complete").done = true;
        let mut completed = Completed { released: LogStart::default(), ..Completed::default() };
        while self.in_flight.front().is_some_and(|group| group.done) {
            let Some(group) = self.in_flight.pop_front() else { break };
            assert_eq!(group.number, self.durable_through + 1, "groups become durable in order");
            self.durable_through = group.number;
            if let Some(reset) = group.summary.reset {
                self.start.segments.note_reset(group.place.segment, reset.index);
            }
            completed.durable.push((group.place, group.lap, group.summary));
            completed.released = group.released;
            completed.data_bytes += group.data_bytes;
            self.ready = group.ticket.or(self.ready);
            completed
                .unneeded
                .extend(self.start.segments.take_unneeded(group.place.segment, group.released.index));
        }
        completed
    }

    /// The header of the segment after the active one.
    pub(crate) fn next_header(&self, salt: u64, segment_bytes: u64) -> SegmentHeader {
        SegmentHeader {
            block: self.start.block,
            sequence: self.start.active.sequence + 1,
            lap: self.start.highest_lap + 1,
            salt,
            segment_bytes,
            first_group: self.start.next_group,
            first_index: self.start.tail.last() + 1,
            durable_through: if self.claims { self.durable_through } else { 0 },
            released: self.start.tail.released(),
            metadata: self.start.metadata.clone(),
        }
    }

    /// The segment with this header is there and is the active one now.
    pub(crate) fn rolled(&mut self, header: &SegmentHeader) {
        let lap = Lap { number: header.lap, salt: header.salt };
        self.start.segments.push(header.sequence, lap, header.segment_bytes);
        self.start.highest_lap = header.lap;
        self.start.active = Active {
            sequence: header.sequence,
            lap,
            offset: area_bytes(header.block),
            bytes: header.segment_bytes,
            empty: true,
        };
    }
}

/// What went into a group while it was made.
#[derive(Debug, Default)]
struct Made {
    summary: Summary,
    ticket: Option<u64>,
    data_bytes: u64,
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
