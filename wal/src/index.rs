//! Where each entry is on disk, kept in memory: one run of 40 bytes for each group, whatever it holds.
//!
//! A run says "entries `first` to `first + count` stand in this group". Runs are in ascending order and touch each
//! other: a group that replaces entries cuts the runs before it, a release takes runs off the front. An entry is read
//! back by reading its whole group, whose checksums are verified again.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::core::summary::Summary;
use crate::device::{LogDevice, SegmentName};
use crate::error::WalError;
use crate::format::group::{GroupHeader, HEADER_BYTES, Lap};
use crate::format::record::Record;
use crate::types::Entry;

/// The entries of one group that still stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    first: u64,
    count: u32,
    /// Length of the group on disk.
    bytes: u32,
    segment: u64,
    offset: u64,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

/// Place of a group on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Sequence number of the segment.
    pub(crate) segment: u64,
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Length with padding.
    pub(crate) bytes: u64,
}

/// A group to be read back, and the entries wanted from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    run: Run,
    lap: Lap,
}

/// The runs of all durable entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    runs: VecDeque<Run>,
    laps: BTreeMap<u64, Lap>,
    /// Everything up to here was released.
    released: u64,
}

impl Index {
    /// A log that was released up to `released`.
    pub(crate) fn new(released: u64) -> Index {
        Index { released, ..Index::default() }
    }

    /// Takes note of a durable group.
    pub(crate) fn apply(&mut self, place: Place, lap: Lap, summary: &Summary) {
        if let Some(start) = summary.reset {
            self.runs.clear();
            self.released = start.index;
        }
        if summary.count == 0 {
            return;
        }
        while let Some(last) = self.runs.back_mut() {
            if last.first < summary.first {
                last.count = u32::try_from(last.end().min(summary.first) - last.first).unwrap_or(last.count);
                break;
            }
            self.runs.pop_back();
        }
        self.laps.insert(place.segment, lap);
        self.runs.push_back(Run {
            first: summary.first,
            count: summary.count,
            bytes: u32::try_from(place.bytes).expect("a group is bounded by its segment"),
            segment: place.segment,
            offset: place.offset,
        });
    }

    /// Entries up to `index` are needed no more.
    pub(crate) fn release(&mut self, index: u64) {
        self.released = self.released.max(index);
        while self.runs.front().is_some_and(|run| run.end() <= self.released + 1) {
            self.runs.pop_front();
        }
        let oldest = self.runs.front().map_or(u64::MAX, |run| run.segment);
        self.laps = self.laps.split_off(&oldest);
    }

    /// First index that can be read.
    pub(crate) fn first(&self) -> u64 {
        self.released + 1
    }

    /// Last index that can be read; the one before the first if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.runs.back().map_or(self.released, |run| run.end() - 1)
    }

    /// The groups that hold the entries from `from` to before `to`, until they add up to `max_bytes` on disk; at least
    /// one.
    pub(crate) fn find(&self, from: u64, to: u64, max_bytes: u64) -> Result<Vec<Wanted>, WalError> {
        if from < self.first() {
            return Err(WalError::Released { index: from, first: self.first() });
        }
        if from > self.last() {
            return Err(WalError::NotYet { index: from, last: self.last() });
        }
        let start = self.runs.partition_point(|run| run.end() <= from);
        let mut found: Vec<Wanted> = Vec::new();
        let mut total = 0;
        for run in self.runs.range(start..) {
            if run.first >= to || (total >= max_bytes && !found.is_empty()) {
                break;
            }
            total += u64::from(run.bytes);
            let lap = *self.laps.get(&run.segment).expect("each segment with a run has its lap noted");
            found.push(Wanted { run: *run, lap });
        }
        Ok(found)
    }
}

impl Wanted {
    /// Reads the group and gives those of its entries that stand.
    pub(crate) fn read(&self, device: &dyn LogDevice) -> Result<Vec<Entry>, WalError> {
        let Run { first, segment, offset, .. } = self.run;
        let mut bytes = vec![0; self.run.bytes as usize];
        device.read_at(SegmentName::Segment(segment), offset, &mut bytes)?;
        let damaged = |group, reason: &str| WalError::Damaged {
            segment: SegmentName::Segment(segment),
            offset,
            group,
            reason: reason.to_owned(),
        };
        let header = GroupHeader::decode(&bytes, self.lap)
            .ok_or_else(|| damaged(0, "its header does not read back as it was written"))?;
        let end = HEADER_BYTES + header.payload_bytes as usize;
        if end > bytes.len() {
            return Err(damaged(header.number, "its header gives another length than was written"));
        }
        let payload = Bytes::from(bytes).slice(HEADER_BYTES..end);
        if !header.matches(&payload, self.lap) {
            return Err(damaged(header.number, "the checksum of its records does not match"));
        }
        let records = header.decode_records(payload).map_err(|reason| damaged(header.number, reason))?;
        let mut standing: Vec<Entry> = Vec::new();
        for record in records {
            match record {
                Record::Reset(_) => standing.clear(),
                Record::HardState(_) => {}
                Record::Entry(entry) => {
                    let keep = standing.partition_point(|earlier| earlier.index < entry.index);
                    standing.truncate(keep);
                    standing.push(entry);
                }
            }
        }
        standing.retain(|entry| (first..self.run.end()).contains(&entry.index));
        if standing.len() != self.run.count as usize {
            return Err(damaged(header.number, "it does not hold the entries that were written to it"));
        }
        Ok(standing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::types::LogStart;

    fn apply(index: &mut Index, group: u64, first: u64, count: u32) {
        let summary = Summary { reset: None, first, count, max_index: first + u64::from(count) - 1 };
        let place = Place { segment: 1 + group / 4, offset: group * 4096, bytes: 4096 };
        index.apply(place, Lap { number: 1, salt: 1 }, &summary);
    }

    fn runs(index: &Index) -> Vec<(u64, u32)> {
        index.runs.iter().map(|run| (run.first, run.count)).collect()
    }

    #[test]
    fn runs_follow_overwrites_and_releases() {
        let mut index = Index::new(0);
        for (group, first) in [1, 4, 7].into_iter().enumerate() {
            apply(&mut index, group as u64, first, 3);
        }
        assert_eq!(runs(&index), [(1, 3), (4, 3), (7, 3)]);
        apply(&mut index, 3, 5, 2);
        assert_eq!(runs(&index), [(1, 3), (4, 1), (5, 2)]);
        assert_eq!((index.first(), index.last()), (1, 6));
        apply(&mut index, 4, 4, 1);
        assert_eq!(runs(&index), [(1, 3), (4, 1)]);
        index.release(2);
        assert_eq!(runs(&index), [(1, 3), (4, 1)]);
        assert!(matches!(index.find(2, 9, 1), Err(WalError::Released { index: 2, first: 3 })));
        assert!(matches!(index.find(5, 9, 1), Err(WalError::NotYet { index: 5, last: 4 })));
        assert_eq!(index.find(3, 9, 1).unwrap().len(), 1, "at least one, at most what fits");
        assert_eq!(index.find(3, 9, 8192).unwrap().len(), 2);
        assert_eq!(index.find(3, 4, 8192).unwrap().len(), 1, "not beyond the end asked for");
        index.release(3);
        assert_eq!(runs(&index), [(4, 1)]);
        index.release(4);
        assert_eq!((index.first(), index.last(), index.laps.len()), (5, 4, 0));
    }

    #[test]
    fn a_reset_empties_it() {
        let mut index = Index::new(0);
        apply(&mut index, 0, 1, 5);
        let summary = Summary { reset: Some(LogStart { index: 50, term: 2 }), ..Summary::default() };
        index.apply(Place { segment: 1, offset: 0, bytes: 4096 }, Lap { number: 1, salt: 1 }, &summary);
        assert_eq!((index.first(), index.last()), (51, 50));
    }
}
