//! The header at the start of a segment: which log it belongs to, which segment it is, and in which of the file's lives.
//!
//! A segment file is used again and again. Each use is a *lap* with a number and a salt of its own; the salt goes into
//! every checksum of that lap, so that nothing of an earlier lap, and nothing that a client wrote into a value, can be
//! taken for a group of this one. The header is made durable before the file gets its name as a segment: a file with a
//! segment's name and a bad header is damage, never a crash.

use bytes::Bytes;
use crc32fast::Hasher;

use super::{MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, get_u32, get_u64, put_u32, put_u64};
use crate::types::LogStart;

/// First bytes of every segment of ours. Go etcd's files start otherwise.
pub(crate) const MAGIC: [u8; 8] = *b"HFWALSEG";

/// Version of the whole format, segment and groups. Raised with every change that an older program would misread.
pub(crate) const VERSION: u32 = 1;

/// Greatest length of the caller's metadata: with the fields before it, it fits the area of two 4 KiB blocks.
pub const MAX_METADATA_BYTES: usize = 4096;

/// Bytes of the fields before the metadata.
const FIXED_BYTES: usize = 128;

/// The header takes this much at least.
const MIN_AREA_BYTES: u64 = 8192;

const _: () = assert!(FIXED_BYTES + MAX_METADATA_BYTES <= MIN_AREA_BYTES as usize);

/// Bytes that the header takes at the start of a segment with this block.
pub(crate) fn area_bytes(block: u32) -> u64 {
    MIN_AREA_BYTES.max(u64::from(block))
}

/// Bytes of the largest header area there can be.
pub(crate) const MAX_AREA_BYTES: usize = MAX_BLOCK_BYTES as usize;

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Groups are padded to this.
    pub(crate) block: u32,
    /// Number of the segment in the log, counted from 1 without gaps.
    pub(crate) sequence: u64,
    /// Number of this use of a file, counted over the whole log.
    pub(crate) lap: u64,
    /// Unguessable number that goes into each checksum of the lap.
    pub(crate) salt: u64,
    /// Length of the file.
    pub(crate) segment_bytes: u64,
    /// Number of the first group in it.
    pub(crate) first_group: u64,
    /// Index after the last entry that stood before it.
    pub(crate) first_index: u64,
    /// Last group known to be durable when the header was written.
    pub(crate) durable_through: u64,
    /// Where the log started when the header was written.
    pub(crate) released: LogStart,
    /// The caller's own.
    pub(crate) metadata: Bytes,
}

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// A newer program wrote it.
    Newer(u32),
    /// It does not make sense, in words.
    Damaged(&'static str),
}

impl SegmentHeader {
    /// The bytes of the whole area.
    pub(crate) fn encode(&self) -> Vec<u8> {
        assert!(self.metadata.len() <= MAX_METADATA_BYTES, "the length is checked when the log is created");
        let mut out = vec![0; area_bytes(self.block) as usize];
        out[..8].copy_from_slice(&MAGIC);
        put_u32(&mut out, 8, VERSION);
        put_u32(&mut out, 12, self.block);
        put_u32(&mut out, 20, self.metadata.len() as u32);
        put_u64(&mut out, 24, self.sequence);
        put_u64(&mut out, 32, self.lap);
        put_u64(&mut out, 40, self.salt);
        put_u64(&mut out, 48, self.segment_bytes);
        put_u64(&mut out, 56, self.first_group);
        put_u64(&mut out, 64, self.first_index);
        put_u64(&mut out, 72, self.durable_through);
        put_u64(&mut out, 80, self.released.index);
        put_u64(&mut out, 88, self.released.term);
        out[FIXED_BYTES..FIXED_BYTES + self.metadata.len()].copy_from_slice(&self.metadata);
        let crc = checksum(&out);
        put_u32(&mut out, 16, crc);
        out
    }

    /// Reads a header from the first bytes of a file: up to [`MAX_AREA_BYTES`], or the whole file if it is shorter.
    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let damaged = |reason| Err(HeaderFault::Damaged(reason));
        if bytes.len() < MIN_AREA_BYTES as usize {
            return damaged("the file is shorter than a header");
        }
        if bytes[..8] != MAGIC {
            return damaged("the file does not start with the mark of a log segment");
        }
        let version = get_u32(bytes, 8);
        if version > VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let block = get_u32(bytes, 12);
        if !block.is_power_of_two() || !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&block) {
            return damaged("the block size is impossible");
        }
        let area = area_bytes(block) as usize;
        if bytes.len() < area {
            return damaged("the file is shorter than a header");
        }
        let bytes = &bytes[..area];
        if checksum(bytes) != get_u32(bytes, 16) {
            return damaged("the checksum does not match");
        }
        let metadata_len = get_u32(bytes, 20) as usize;
        if version == 0 || metadata_len > MAX_METADATA_BYTES {
            return damaged("the version or the length of the metadata is impossible");
        }
        let header = SegmentHeader {
            block,
            sequence: get_u64(bytes, 24),
            lap: get_u64(bytes, 32),
            salt: get_u64(bytes, 40),
            segment_bytes: get_u64(bytes, 48),
            first_group: get_u64(bytes, 56),
            first_index: get_u64(bytes, 64),
            durable_through: get_u64(bytes, 72),
            released: LogStart { index: get_u64(bytes, 80), term: get_u64(bytes, 88) },
            metadata: Bytes::copy_from_slice(&bytes[FIXED_BYTES..FIXED_BYTES + metadata_len]),
        };
        if header.first_group == 0 || header.first_index == 0 || header.durable_through >= header.first_group
        {
            return damaged("the first group or first entry is impossible");
        }
        Ok(header)
    }
}

/// Checksum of an area without the field that holds it.
fn checksum(area: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&area[..16]);
    hasher.update(&area[20..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            block: 4096,
            sequence: 7,
            lap: 9,
            salt: 0xdead_beef_0bad_cafe,
            segment_bytes: 64 << 20,
            first_group: 100,
            first_index: 5,
            durable_through: 98,
            released: LogStart { index: 3, term: 2 },
            metadata: Bytes::from_static(b"member and cluster"),
        }
    }

    #[test]
    fn a_header_reads_back_as_written() {
        for block in [4096, 8192, 65536] {
            let header = SegmentHeader { block, ..header() };
            let bytes = header.encode();
            assert_eq!(bytes.len() as u64, area_bytes(block));
            assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        }
        let full = SegmentHeader { metadata: Bytes::from(vec![7; MAX_METADATA_BYTES]), ..header() };
        assert_eq!(SegmentHeader::decode(&full.encode()), Ok(full));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = header().encode();
        for bit in (0..FIXED_BYTES * 8).chain((bytes.len() - 8) * 8..bytes.len() * 8) {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&broken).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = header().encode();
        put_u32(&mut bytes, 8, VERSION + 1);
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Newer(VERSION + 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..9000), magic: bool) {
            if magic && bytes.len() >= 16 {
                bytes[..8].copy_from_slice(&MAGIC);
                put_u32(&mut bytes, 8, VERSION);
                put_u32(&mut bytes, 12, 4096);
            }
            prop_assert!(SegmentHeader::decode(&bytes).is_err());
        }
    }
}
