//! Walks the groups of one segment, and looks behind the place where they end for signs that they should not.

use bytes::Bytes;

use super::reader::Reader;
use crate::device::SegmentName;
use crate::error::WalError;
use crate::format::group::{self, GroupHeader, HEADER_BYTES, Lap};
use crate::format::record::Record;
use crate::format::segment::{SegmentHeader, area_bytes};
use crate::index::Place;

/// A good group.
pub(crate) struct GroupAt {
    /// Its header.
    pub(crate) header: GroupHeader,
    /// Where it is.
    pub(crate) place: Place,
    /// Its records.
    pub(crate) records: Vec<Record>,
}

/// Where the good groups of a segment end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScanEnd {
    /// First byte after them.
    pub(crate) offset: u64,
    /// Number of the group that would be there.
    pub(crate) next_group: u64,
    /// Why there is none.
    pub(crate) reason: &'static str,
    /// True when a group was begun there.
    pub(crate) begun: bool,
}

/// What stands behind the end of the good groups.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Greatest "durable through" said there, by headers that are intact.
    pub(crate) durable_through: u64,
    /// Where the intact headers are.
    pub(crate) headers: Vec<u64>,
    /// First byte after the last group there, by its header.
    pub(crate) end: u64,
}

/// The lap of a segment.
pub(crate) fn lap_of(header: &SegmentHeader) -> Lap {
    Lap { number: header.lap, salt: header.salt }
}

/// Visits the good groups of a segment in order, from number `next_group` on.
pub(crate) fn scan(
    reader: &mut Reader<'_>,
    header: &SegmentHeader,
    visit: &mut dyn FnMut(GroupAt) -> Result<(), WalError>,
) -> Result<ScanEnd, WalError> {
    let mut offset = area_bytes(header.block);
    let mut next_group = header.first_group;
    loop {
        match read_group(reader, header, offset, next_group)? {
            Ok(group) => {
                offset += group.place.bytes;
                next_group += 1;
                visit(group)?;
            }
            Err((reason, begun)) => return Ok(ScanEnd { offset, next_group, reason, begun }),
        }
    }
}

/// Reads the group at `offset`. The inner error says why there is none and whether one was begun.
fn read_group(
    reader: &mut Reader<'_>,
    segment: &SegmentHeader,
    offset: u64,
    number: u64,
) -> Result<Result<GroupAt, (&'static str, bool)>, WalError> {
    if offset + u64::from(segment.block) > reader.len() {
        return Ok(Err(("the segment is full", false)));
    }
    let lap = lap_of(segment);
    let head = reader.get(offset, u64::from(segment.block))?;
    let Some(header) = GroupHeader::decode(&head, lap) else {
        let begun = group::looks_begun(&head, lap);
        return Ok(Err(("no intact group header is there", begun)));
    };
    if header.number != number {
        return Ok(Err(("the group there has another number", true)));
    }
    let bytes = header.padded_bytes(segment.block);
    if offset + bytes > reader.len() {
        return Ok(Err(("the group there would be longer than its segment", true)));
    }
    let payload: Bytes = reader.get(offset + HEADER_BYTES as u64, u64::from(header.payload_bytes))?;
    if !header.matches(&payload, lap) {
        return Ok(Err(("the checksum of its records does not match", true)));
    }
    // A checksum that matches over records that make no sense is no torn write: nothing is cut because of it.
    let records = header.decode_records(payload).map_err(|reason| WalError::Damaged {
        segment: SegmentName::Segment(segment.sequence),
        offset,
        group: number,
        reason: reason.to_owned(),
    })?;
    Ok(Ok(GroupAt { header, place: Place { segment: segment.sequence, offset, bytes }, records }))
}

/// Looks at every block from `offset` on for intact headers of this lap.
pub(crate) fn look_behind(
    reader: &mut Reader<'_>,
    segment: &SegmentHeader,
    offset: u64,
) -> Result<Behind, WalError> {
    let block = u64::from(segment.block);
    let lap = lap_of(segment);
    let mut behind = Behind::default();
    let mut at = offset;
    while at + block <= reader.len() {
        let head = reader.get(at, block)?;
        if let Some(header) = GroupHeader::decode(&head, lap) {
            behind.durable_through = behind.durable_through.max(header.durable_through);
            behind.headers.push(at);
            behind.end = at + header.padded_bytes(segment.block);
        }
        at += block;
    }
    Ok(behind)
}
