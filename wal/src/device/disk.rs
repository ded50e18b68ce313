//! The calls that differ between systems: direct I/O, a write that is durable when it returns, and reserving space.
//! Everything else needs only the standard library.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::buffer::AlignedBuffer;

/// How a durable write is made on this file system, found out by trying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurableCall {
    /// `pwritev2` with `RWF_DSYNC`: one system call.
    #[cfg(target_os = "linux")]
    WriteDsync,
    /// `pwrite`, then `fdatasync` (or what the system has for it).
    WriteThenSync,
}

impl DurableCall {
    /// Words for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            DurableCall::WriteDsync => "pwritev2 with RWF_DSYNC",
            DurableCall::WriteThenSync => "pwrite and fdatasync",
        }
    }

    /// Writes all of `data` and makes it durable.
    pub(crate) fn write(self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            DurableCall::WriteDsync => write_dsync(file, offset, data),
            DurableCall::WriteThenSync => {
                file.write_all_at(data, offset)?;
                file.sync_data()
            }
        }
    }
}

/// Writes all of `data` with `RWF_DSYNC`. A write that the kernel cut short is continued behind what it took, which is
/// durable by then; an error is final.
#[cfg(target_os = "linux")]
fn write_dsync(file: &File, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
    use rustix::io::{ReadWriteFlags, pwritev2, retry_on_intr};
    while !data.is_empty() {
        let parts = [io::IoSlice::new(data)];
        let written = retry_on_intr(|| pwritev2(file, &parts, offset, ReadWriteFlags::DSYNC))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        data = &data[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Opens for reading and writing through the page cache.
pub(crate) fn open_cached(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Opens a new file that only its owner may read.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Opens for writing past the page cache.
#[cfg(target_os = "linux")]
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Opens for writing past the page cache: not offered on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_direct(_path: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Opens for writing past the page cache, each write durable when it completes.
#[cfg(target_os = "linux")]
pub(crate) fn open_dsync(path: &Path, direct: bool) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = if direct { OFlags::DSYNC | OFlags::DIRECT } else { OFlags::DSYNC };
    OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path)
}

/// Finds out how a durable write is best made to this file, by making one.
pub(crate) fn probe_durable(file: &File, data: &[u8]) -> io::Result<DurableCall> {
    #[cfg(target_os = "linux")]
    if write_dsync(file, 0, data).is_ok() {
        return Ok(DurableCall::WriteDsync);
    }
    DurableCall::WriteThenSync.write(file, 0, data)?;
    Ok(DurableCall::WriteThenSync)
}

/// The logical block of the device below the file, as far as the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn logical_block(file: &File) -> u32 {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    match statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
        Ok(info) if info.stx_dio_offset_align.is_power_of_two() => info.stx_dio_offset_align,
        _ => 512,
    }
}

/// The logical block of the device below the file, as far as the system tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn logical_block(_file: &File) -> u32 {
    512
}

/// Fills an empty file with zeros. Space is reserved first, so that the file lies in one piece and a full disk is found
/// out at once; but the zeros are written all the same, because a reserved extent that was never written costs a
/// journal commit with the first durable write to each part of it. The file has its length only when all is written.
pub(crate) fn fill_with_zeros(cached: &File, writer: &File, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(cached, FallocateFlags::KEEP_SIZE, 0, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    const PIECE: u64 = 1 << 20;
    let mut zeros = AlignedBuffer::default();
    zeros.pad_to(PIECE.min(len) as usize);
    let mut offset = 0;
    while offset < len {
        let piece = PIECE.min(len - offset);
        writer.write_all_at(&zeros.bytes()[..piece as usize], offset)?;
        offset += piece;
    }
    cached.sync_all()
}
