//! A group: what one write to the device makes durable. A header of 64 bytes, then records, then zeros up to the block.
//!
//! The header has a checksum of its own beside that of the records, so that what it says about *earlier* groups can be
//! believed even where its own records were torn. Both begin with the salt of the segment's lap.

use bytes::Bytes;
use crc32fast::Hasher;

use super::record::{self, Record};
use super::{get_u32, get_u64, put_u32, put_u64, round_up};
use crate::buffer::AlignedBuffer;
use crate::types::{Entry, HardState, LogStart};

/// First bytes of a group: "HFWG".
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"HFWG");

/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = 64;

/// What identifies the lap of a segment that a group belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lap {
    /// Its number.
    pub(crate) number: u64,
    /// Its salt.
    pub(crate) salt: u64,
}

/// The fields of a group's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    /// Number of the group, counted over the whole log from 1 without gaps.
    pub(crate) number: u64,
    /// Number of the last group known to be durable, with all before it, when this one was written; 0 for none.
    pub(crate) durable_through: u64,
    /// Where the log starts: everything up to here may be gone.
    pub(crate) released: LogStart,
    /// Bytes of records after the header.
    pub(crate) payload_bytes: u32,
    /// Number of records.
    pub(crate) records: u32,
    /// Checksum of the records.
    payload_crc: u32,
}

impl GroupHeader {
    /// Bytes of the group on disk, padding included.
    pub(crate) fn padded_bytes(&self, block: u32) -> u64 {
        round_up(HEADER_BYTES as u64 + u64::from(self.payload_bytes), block)
    }

    /// Reads the header of a group of this lap, or nothing if the bytes are not one.
    pub(crate) fn decode(bytes: &[u8], lap: Lap) -> Option<GroupHeader> {
        if bytes.len() < HEADER_BYTES || get_u32(bytes, 0) != MAGIC || get_u64(bytes, 8) != lap.number {
            return None;
        }
        if header_crc(&bytes[..HEADER_BYTES], lap.salt) != get_u32(bytes, 4) {
            return None;
        }
        let header = GroupHeader {
            number: get_u64(bytes, 16),
            durable_through: get_u64(bytes, 24),
            released: LogStart { index: get_u64(bytes, 32), term: get_u64(bytes, 40) },
            payload_bytes: get_u32(bytes, 48),
            records: get_u32(bytes, 52),
            payload_crc: get_u32(bytes, 56),
        };
        (header.durable_through < header.number).then_some(header)
    }

    /// True when these are the records that the header was written for.
    pub(crate) fn matches(&self, payload: &[u8], lap: Lap) -> bool {
        payload.len() == self.payload_bytes as usize && salted_crc(payload, lap.salt) == self.payload_crc
    }

    /// Reads the records of a group whose payload matches. An error is a sentence about what is wrong.
    pub(crate) fn decode_records(&self, payload: Bytes) -> Result<Vec<Record>, &'static str> {
        record::decode_all(payload, self.records)
    }
}

/// True when the block begins as a group of this lap would, whatever its checksum says: the mark of a write that was
/// begun.
pub(crate) fn looks_begun(bytes: &[u8], lap: Lap) -> bool {
    bytes.len() >= HEADER_BYTES && get_u32(bytes, 0) == MAGIC && get_u64(bytes, 8) == lap.number
}

/// Fills a buffer with one group. What it was told to hold is only readable after [`GroupBuilder::finish`].
pub(crate) struct GroupBuilder<'a> {
    out: &'a mut AlignedBuffer,
    records: u32,
}

impl<'a> GroupBuilder<'a> {
    /// Starts a group in an empty buffer.
    pub(crate) fn new(out: &'a mut AlignedBuffer) -> Self {
        assert_eq!(out.len(), 0, "a group is built in an empty buffer");
        out.extend(&[0; HEADER_BYTES]);
        GroupBuilder { out, records: 0 }
    }

    /// Bytes so far, header included, padding not.
    pub(crate) fn bytes(&self) -> u64 {
        self.out.len() as u64
    }

    /// Adds an entry.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        self.out.extend(&record::entry_prefix(entry));
        self.out.extend(&entry.data);
        self.records += 1;
    }

    /// Adds a hard state.
    pub(crate) fn hard_state(&mut self, state: &HardState) {
        self.out.extend(&record::hard_state(state));
        self.records += 1;
    }

    /// Adds a reset.
    pub(crate) fn reset(&mut self, start: LogStart) {
        self.out.extend(&record::reset(start));
        self.records += 1;
    }

    /// Writes the header, pads to the block and gives the length with padding.
    pub(crate) fn finish(
        self,
        number: u64,
        durable_through: u64,
        released: LogStart,
        lap: Lap,
        block: u32,
    ) -> u64 {
        assert!(durable_through < number, "a group cannot know about itself");
        let payload_crc = salted_crc(&self.out.bytes()[HEADER_BYTES..], lap.salt);
        let payload_bytes = self.out.len() - HEADER_BYTES;
        let padded = round_up(self.out.len() as u64, block);
        self.out.pad_to(padded as usize);
        let head = &mut self.out.bytes_mut()[..HEADER_BYTES];
        put_u32(head, 0, MAGIC);
        put_u64(head, 8, lap.number);
        put_u64(head, 16, number);
        put_u64(head, 24, durable_through);
        put_u64(head, 32, released.index);
        put_u64(head, 40, released.term);
        put_u32(head, 48, u32::try_from(payload_bytes).expect("a group is bounded by its segment"));
        put_u32(head, 52, self.records);
        put_u32(head, 56, payload_crc);
        let crc = header_crc(head, lap.salt);
        put_u32(head, 4, crc);
        padded
    }
}

/// Checksum of a header after its checksum field.
fn header_crc(header: &[u8], salt: u64) -> u32 {
    salted_crc(&header[8..HEADER_BYTES], salt)
}

fn salted_crc(bytes: &[u8], salt: u64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const LAP: Lap = Lap { number: 3, salt: 77 };

    fn sample() -> AlignedBuffer {
        let mut out = AlignedBuffer::default();
        let mut builder = GroupBuilder::new(&mut out);
        builder.entry(&Entry { index: 1, term: 1, kind: 0, data: Bytes::from(vec![7; 5000]) });
        builder.hard_state(&HardState { term: 1, vote: 2, commit: 0 });
        assert_eq!(builder.finish(9, 8, LogStart { index: 4, term: 1 }, LAP, 4096), 8192);
        out
    }

    fn read(bytes: &[u8], lap: Lap) -> Option<Vec<Record>> {
        let header = GroupHeader::decode(bytes, lap)?;
        let end = HEADER_BYTES + header.payload_bytes as usize;
        let payload = Bytes::copy_from_slice(bytes.get(HEADER_BYTES..end)?);
        header.matches(&payload, lap).then(|| header.decode_records(payload).ok())?
    }

    #[test]
    fn a_group_reads_back_as_written() {
        let out = sample();
        let header = GroupHeader::decode(out.bytes(), LAP).unwrap();
        assert_eq!((header.number, header.durable_through, header.records), (9, 8, 2));
        assert_eq!(header.released, LogStart { index: 4, term: 1 });
        assert_eq!(header.padded_bytes(4096), 8192);
        assert_eq!(read(out.bytes(), LAP).unwrap().len(), 2);
    }

    #[test]
    fn a_group_of_another_lap_is_none() {
        let out = sample();
        assert!(read(out.bytes(), Lap { number: 4, ..LAP }).is_none());
        assert!(read(out.bytes(), Lap { salt: 78, ..LAP }).is_none());
        assert!(looks_begun(out.bytes(), Lap { salt: 78, ..LAP }));
        assert!(!looks_begun(out.bytes(), Lap { number: 4, ..LAP }));
    }

    #[test]
    fn every_flipped_bit_of_header_and_records_is_noticed() {
        let out = sample();
        let used = HEADER_BYTES + record::entry_bytes(5000) + record::HARD_STATE_BYTES;
        for bit in 0..used * 8 {
            let mut broken = out.bytes().to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&broken, LAP).is_none(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes, LAP).is_none());
            if bytes.len() >= HEADER_BYTES {
                put_u32(&mut bytes, 0, MAGIC);
                put_u64(&mut bytes, 8, LAP.number);
                let crc = header_crc(&bytes[..HEADER_BYTES], LAP.salt);
                put_u32(&mut bytes, 4, crc);
                let _ = read(&bytes, LAP);
            }
        }
    }
}
