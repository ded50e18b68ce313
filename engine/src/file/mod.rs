//! What the engine asks of a file, and two answers to it.
//!
//! Above this module no file or map type appears: the trees see a [`PageFile`], which is a mapped file in
//! a server ([`MappedFile`]) and a file in memory in tests and in the simulator ([`MemFile`]).
//!
//! The contract between the two sides is short. The engine never asks to write a byte that somebody may
//! still hold a view of, never shrinks the file below a page that somebody can reach, and reads only what
//! lies inside the file's length. The file gives views that stay valid for as long as it lives, whatever
//! is written elsewhere and however it grows.

mod map;
mod mem;

pub use map::{FaultWatch, FaultWatchStop, MEMORY_FAULT_STATUS, MappedFile, MemoryFault, exit_now};
pub use mem::{CrashUnit, MemFile, SECTOR_BYTES};

use std::sync::Arc;

/// One file of bytes that can be viewed in place, written in extents, grown, and made durable.
pub trait PageFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// True when the file holds nothing yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grows or shrinks the file to `len` bytes. Growth is allocated on the disk, so that a full disk is
    /// an error here and never a fault of memory later; new bytes read as zero.
    fn set_len(&self, len: u64) -> Result<(), FileError>;

    /// A view of `len` bytes at `offset`, which stays valid while `self` lives. Fails when the range does
    /// not lie inside the file.
    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError>;

    /// Says that these bytes will be read soon, so that they can be brought in meanwhile. A hint: it does not wait, and
    /// what lies outside the file is ignored.
    fn will_need(&self, _offset: u64, _bytes: u64) {}

    /// Writes `parts`, one after the other, as one contiguous extent at `offset`. The extent must lie
    /// inside the file, and nobody may hold a view of it.
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError>;

    /// Returns once everything written before the call would survive a loss of power.
    fn sync(&self) -> Result<(), FileError>;

    /// What to call the file in messages: its path, where it has one.
    fn name(&self) -> String {
        "database file".to_owned()
    }
}

/// A failed operation on a file.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}: {operation} failed ({bytes} bytes at offset {offset}): {source}")]
pub struct FileError {
    /// The file, by path where it has one.
    pub file: String,
    /// What was tried: `read`, `write`, `grow`, `sync`, `open`, `map`, `lock`.
    pub operation: &'static str,
    /// Where, in bytes from the beginning.
    pub offset: u64,
    /// How much.
    pub bytes: u64,
    /// What the operating system (or the simulation) said.
    #[source]
    pub source: Arc<std::io::Error>,
}

impl FileError {
    /// A failure of `operation` on `bytes` bytes at `offset`.
    pub fn new(file: &str, operation: &'static str, offset: u64, bytes: u64, source: std::io::Error) -> Self {
        Self { file: file.to_owned(), operation, offset, bytes, source: Arc::new(source) }
    }

    /// The range asked for does not lie inside the file.
    pub(crate) fn outside(file: &str, operation: &'static str, offset: u64, bytes: u64, len: u64) -> Self {
        let what = format!("the range ends outside the file, which is {len} bytes long");
        Self::new(
            file,
            operation,
            offset,
            bytes,
            std::io::Error::new(std::io::ErrorKind::UnexpectedEof, what),
        )
    }
}
