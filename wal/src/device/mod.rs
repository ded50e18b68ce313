//! Where the log's segments live: a directory of files, or a test's image of one.
//!
//! A device makes no decision about the log. It keeps named segments of a fixed length, reads and writes them, and says
//! when something is durable. What it promises:
//!
//! - [`LogDevice::create`], [`LogDevice::rename`] and [`LogDevice::remove`] are durable when they return;
//! - after [`LogDevice::sync`] everything written to the segment before is durable, after
//!   [`LogDevice::write_durable`] at least what it was given;
//! - without either, any part of what was written may be lost by a crash, in sectors of 512 bytes, in any order.

pub(crate) mod disk;
mod files;

use std::fmt;

pub use files::{DirectIo, FileDevice};

use crate::error::DeviceError;

/// Name of a segment on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentName {
    /// A segment of the log, with its sequence number.
    Segment(u64),
    /// A prepared file that no part of the log is in, with a number of its own.
    Spare(u64),
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SegmentName::Segment(sequence) => write!(f, "{sequence:016x}.log"),
            SegmentName::Spare(number) => write!(f, "{number:016x}.spare"),
        }
    }
}

impl SegmentName {
    /// Reads a file name; nothing for a name that is not a segment's, exactly as it would be written.
    pub fn parse(name: &str) -> Option<SegmentName> {
        let (digits, kind) = name.split_once('.')?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        let parsed = match kind {
            "log" => SegmentName::Segment(number),
            "spare" => SegmentName::Spare(number),
            _ => return None,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// A place for segments. All methods may be called from several threads at once.
pub trait LogDevice: Send + Sync {
    /// What to call this place in messages, such as the path of the directory.
    fn place(&self) -> String;

    /// Smallest unit in bytes that a write may start at and consist of; a power of two.
    fn block_bytes(&self) -> u32;

    /// A number that nobody could have guessed, new with each call. Stands in the checksums of one lap of a segment.
    fn salt(&self) -> u64;

    /// All segments and their lengths in bytes, in any order. Files of other names are not mentioned.
    fn list(&self) -> Result<Vec<(SegmentName, u64)>, DeviceError>;

    /// Makes a segment of `len` zero bytes that are really on disk, so that later writes change no metadata.
    fn create(&self, name: SegmentName, len: u64) -> Result<(), DeviceError>;

    /// Renames a segment. A segment with the new name must not exist.
    fn rename(&self, from: SegmentName, to: SegmentName) -> Result<(), DeviceError>;

    /// Removes a segment.
    fn remove(&self, name: SegmentName) -> Result<(), DeviceError>;

    /// Fills `out` from `offset` on. Reading over the end is an error.
    fn read_at(&self, name: SegmentName, offset: u64, out: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes whole blocks; not durable. Writing over the end is an error.
    fn write_at(&self, name: SegmentName, offset: u64, data: &[u8]) -> Result<(), DeviceError>;

    /// Makes all that was written to the segment durable.
    fn sync(&self, name: SegmentName) -> Result<(), DeviceError>;

    /// Writes whole blocks and makes them durable.
    fn write_durable(&self, name: SegmentName, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.write_at(name, offset, data)?;
        self.sync(name)
    }

    /// The device itself if it is a directory of files, for which there are faster writers.
    fn as_files(&self) -> Option<&FileDevice> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_ignored() {
        for name in [SegmentName::Segment(0), SegmentName::Segment(u64::MAX), SegmentName::Spare(0xabc)] {
            assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        }
        let foreign = [
            "",
            ".log",
            "1.log",
            "+000000000000001.log",
            "000000000000000A.log",
            "0000000000000000-0000000000000000.wal",
            "0000000000000001.log.tmp",
            "0000000000000001.spar",
        ];
        for name in foreign {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }
}
