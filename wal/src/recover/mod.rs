//! Reads the log back after a stop of any kind, and decides what of it counts.
//!
//! A log ends in one of two ways. Either its last groups are whole; or a crash caught up to two of them in flight, and
//! there is a hole: a place where a group should be and is not. What stands behind the hole tells which it is:
//!
//! 1. No intact header behind the hole says "durable through" the missing group or a later one. Then the missing group
//!    was in flight, nothing that was acknowledged is in it or behind it, and the log is cut there: a *torn tail*.
//! 2. Some header behind it says that the missing group was durable. Then it was acknowledged, and is damaged now: the
//!    log is *refused*, with the place. Cutting it there would lose what was promised.
//!
//! A cut is final: intact headers behind it are wiped and later segments are put aside, durably, before anything is
//! appended. Otherwise a new group in the place of the missing one could bring the old ones behind it back to life.
//!
//! What was read may still sit in the page cache only, if the process was killed and not the machine. So the segments
//! are synced before the log is given out: what recovery has reported stays.
//!
//! The decisions are here, in functions of what the device reads back; only the repair at the end writes.

mod reader;
mod replay;
mod scan;

use std::collections::BTreeMap;

use crate::core::assemble::{Active, Start};
use crate::device::{LogDevice, SegmentName};
use crate::error::WalError;
use crate::format::segment::{HeaderFault, MAX_AREA_BYTES, SegmentHeader, area_bytes};
use crate::index::Index;
use crate::types::Entry;
use reader::Reader;
use replay::Replay;
use scan::{Behind, ScanEnd, lap_of};

/// A tail that was cut off because its write had not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The segment in which the log was cut.
    pub segment: SegmentName,
    /// Where, in bytes from its start.
    pub offset: u64,
    /// Bytes of begun groups that were dropped, as far as they can be told.
    pub bytes: u64,
}

/// What recovery found.
pub(crate) struct Recovery {
    pub(crate) start: Start,
    pub(crate) index: Index,
    pub(crate) entries: Vec<Entry>,
    pub(crate) torn: Option<Torn>,
    /// Numbers and lengths of spare files.
    pub(crate) spares: BTreeMap<u64, u64>,
}

/// A segment with its header.
struct Found {
    header: SegmentHeader,
    len: u64,
}

impl Found {
    fn name(&self) -> SegmentName {
        SegmentName::Segment(self.header.sequence)
    }
}

/// Reads the log, cuts a torn tail, and makes what is left durable.
pub(crate) fn recover(device: &dyn LogDevice) -> Result<Recovery, WalError> {
    let (found, mut spares) = survey(device)?;
    let (replay, at, end) = replay_all(device, &found)?;
    let behind = judge(device, &found, at, end)?;
    let torn = describe(&found, at, end, &behind);
    repair(device, &found, at, end, &behind, &mut spares)?;
    let highest_lap = found.iter().map(|segment| segment.header.lap).max().unwrap_or_default();
    let last = &found[at].header;
    let start = Start {
        block: last.block,
        metadata: last.metadata.clone(),
        active: Active {
            sequence: last.sequence,
            lap: lap_of(last),
            offset: end.offset,
            bytes: last.segment_bytes,
            empty: end.offset == area_bytes(last.block),
        },
        highest_lap,
        next_group: end.next_group,
        tail: replay.tail,
        segments: replay.segments,
        sealed: replay.last_was_empty,
    };
    Ok(Recovery { start, index: replay.index, entries: replay.entries.into(), torn, spares })
}

/// Finds the segments and reads their headers.
fn survey(device: &dyn LogDevice) -> Result<(Vec<Found>, BTreeMap<u64, u64>), WalError> {
    let mut lengths = BTreeMap::new();
    let mut spares = BTreeMap::new();
    for (name, len) in device.list()? {
        match name {
            SegmentName::Segment(sequence) => lengths.insert(sequence, len),
            SegmentName::Spare(number) => spares.insert(number, len),
        };
    }
    let mut found: Vec<Found> = Vec::new();
    for (sequence, len) in lengths {
        let name = SegmentName::Segment(sequence);
        if let Some(before) = found.last() {
            let due = before.header.sequence + 1;
            if sequence != due {
                return Err(WalError::MissingSegment { missing: SegmentName::Segment(due), after: name });
            }
        }
        let header = read_header(device, name, len)?;
        check_header(&header, sequence, len, found.first())?;
        found.push(Found { header, len });
    }
    if found.is_empty() {
        return Err(WalError::NoLog { place: device.place() });
    }
    Ok((found, spares))
}

fn read_header(device: &dyn LogDevice, name: SegmentName, len: u64) -> Result<SegmentHeader, WalError> {
    let mut area = vec![0; len.min(MAX_AREA_BYTES as u64) as usize];
    device.read_at(name, 0, &mut area)?;
    SegmentHeader::decode(&area).map_err(|fault| match fault {
        HeaderFault::Newer(found) => {
            WalError::NewerFormat { segment: name, found, supported: crate::format::segment::VERSION }
        }
        HeaderFault::Damaged(reason) => WalError::DamagedHeader { segment: name, reason: reason.to_owned() },
    })
}

/// Checks a header against the file and against the first segment's.
fn check_header(
    header: &SegmentHeader,
    sequence: u64,
    len: u64,
    first: Option<&Found>,
) -> Result<(), WalError> {
    let reason = if header.sequence != sequence {
        format!("it says that it is segment {:016x}", header.sequence)
    } else if header.segment_bytes != len {
        format!("the file has {len} bytes and should have {}", header.segment_bytes)
    } else if first.is_some_and(|first| first.header.metadata != header.metadata) {
        "it belongs to another log: its metadata is not that of the first segment".to_owned()
    } else {
        return Ok(());
    };
    Err(WalError::DamagedHeader { segment: SegmentName::Segment(sequence), reason })
}

/// Replays all good groups. Gives the position of the segment in which they end, and where.
fn replay_all(device: &dyn LogDevice, found: &[Found]) -> Result<(Replay, usize, ScanEnd), WalError> {
    let mut replay = Replay::new(&found[0].header);
    let mut at = 0;
    loop {
        let segment = &found[at];
        let lap = lap_of(&segment.header);
        replay.segments.push(segment.header.sequence, lap, segment.len);
        let mut reader = Reader::new(device, segment.name(), segment.len);
        let end = scan::scan(&mut reader, &segment.header, &mut |group| {
            let (place, number) = (group.place, group.header.number);
            replay.group(group, lap).map_err(|reason| WalError::Damaged {
                segment: segment.name(),
                offset: place.offset,
                group: number,
                reason,
            })
        })?;
        let next = found.get(at + 1).map(|next| next.header.first_group);
        if next == Some(end.next_group) {
            at += 1;
            continue;
        }
        if next.is_some_and(|next| next < end.next_group) {
            return Err(WalError::DamagedHeader {
                segment: found[at + 1].name(),
                reason: format!("its first group would be one that {} holds already", segment.name()),
            });
        }
        replay.check_complete().map_err(|reason| WalError::Damaged {
            segment: found[0].name(),
            offset: area_bytes(found[0].header.block),
            group: found[0].header.first_group,
            reason,
        })?;
        return Ok((replay, at, end));
    }
}

/// Looks behind the end of the good groups, and refuses the log if a group is missing there that was durable.
fn judge(device: &dyn LogDevice, found: &[Found], at: usize, end: ScanEnd) -> Result<Behind, WalError> {
    let segment = &found[at];
    let mut reader = Reader::new(device, segment.name(), segment.len);
    let mut behind = scan::look_behind(&mut reader, &segment.header, end.offset)?;
    for later in &found[at + 1..] {
        let mut reader = Reader::new(device, later.name(), later.len);
        let claims = scan::look_behind(&mut reader, &later.header, area_bytes(later.header.block))?;
        behind.durable_through =
            behind.durable_through.max(claims.durable_through).max(later.header.durable_through);
    }
    if behind.durable_through >= end.next_group {
        return Err(WalError::Damaged {
            segment: segment.name(),
            offset: end.offset,
            group: end.next_group,
            reason: format!(
                "{}, but a later group says that everything through group {} was durable",
                end.reason, behind.durable_through
            ),
        });
    }
    Ok(behind)
}

/// Says what was torn, if anything was.
fn describe(found: &[Found], at: usize, end: ScanEnd, behind: &Behind) -> Option<Torn> {
    let segment = &found[at];
    let later = found.len() > at + 1;
    if !end.begun && behind.headers.is_empty() && !later {
        return None;
    }
    let bytes = behind.end.saturating_sub(end.offset).max(u64::from(segment.header.block));
    Some(Torn { segment: segment.name(), offset: end.offset, bytes: bytes.min(segment.len - end.offset) })
}

/// Wipes what is behind the cut, newest first, and makes the rest durable.
fn repair(
    device: &dyn LogDevice,
    found: &[Found],
    at: usize,
    end: ScanEnd,
    behind: &Behind,
    spares: &mut BTreeMap<u64, u64>,
) -> Result<(), WalError> {
    for later in found[at + 1..].iter().rev() {
        let number = spares.last_key_value().map_or(1, |(number, _)| number + 1);
        device.rename(later.name(), SegmentName::Spare(number))?;
        spares.insert(number, later.len);
    }
    let segment = &found[at];
    let zeros = vec![0; segment.header.block as usize];
    let begun = end.begun.then_some(end.offset);
    for offset in begun.into_iter().chain(behind.headers.iter().copied()) {
        device.write_at(segment.name(), offset, &zeros)?;
    }
    // Two groups may have been in flight, each in a segment of its own; and an earlier run may have had its syncs
    // switched off, so that any segment may not be on the disk yet. There are few.
    for segment in &found[..=at] {
        device.sync(segment.name())?;
    }
    Ok(())
}
