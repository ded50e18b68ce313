//! The mapped file, and the mapped memory behind the file in memory: with the one instruction in `page::prefetch` the
//! only `unsafe` code of the engine.
//!
//! A file is mapped read-only once, over the whole range of addresses that it may ever need, and grows
//! inside that range: bytes beyond its end are addresses that nobody touches. So a view never moves, and
//! no reader is ever asked to let go. Writing goes through calls, never through the map: a full disk or a
//! bad sector then is an error of a call, where a writable map would end the process. The trees write each
//! page with a `pwrite` of its own; several parts that are handed over as one extent go with `pwritev`.
//!
//! Why a view (`&[u8]`) may exist while the file is written: a view covers exactly the bytes that were
//! asked for, and by the contract of [`PageFile`](super::PageFile) nobody writes where somebody else holds
//! a view. The engine keeps that by never writing to a page that a reader or a durable meta page can
//! reach. Changes made to the file by another process are outside this; the lock taken at open is there to
//! keep them away.
//!
//! A mapped page that cannot be brought in (a bad sector, a file that was cut) is a signal and not an error of a
//! call: [`guard`] makes a named fault of it.
#![allow(unsafe_code)]

mod guard;

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub use guard::{FaultWatch, FaultWatchStop, MEMORY_FAULT_STATUS, MemoryFault, exit_now};
use memmap2::{Advice, MmapOptions, MmapRaw};
#[cfg(not(target_vendor = "apple"))]
use rustix::fs::FallocateFlags;
use rustix::fs::FlockOperation;

use super::{FileError, PageFile};

/// Most parts that one `pwritev` takes (`IOV_MAX` of Linux and of the BSDs).
const PARTS_PER_WRITE: usize = 1024;

/// A file on a disk, mapped read-only and written with `pwrite`.
#[derive(Debug)]
pub struct MappedFile {
    file: File,
    name: String,
    map: Mapping,
    len: AtomicU64,
    writable: bool,
}

impl MappedFile {
    /// Opens the file at `path`, creating it when it is missing, takes an exclusive lock on it, and
    /// reserves `reserve_bytes` of addresses: the file can never grow beyond that while it is open.
    pub fn open(path: &Path, reserve_bytes: u64) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| FileError::new(&name, "open", 0, 0, e))?;
        Self::map(file, name, reserve_bytes, FlockOperation::NonBlockingLockExclusive, true)
    }

    /// Opens the existing file at `path` for reading only, with a shared lock: it fails while a writer has
    /// the file open, and every write to it fails.
    pub fn open_read_only(path: &Path, reserve_bytes: u64) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| FileError::new(&name, "open", 0, 0, e))?;
        Self::map(file, name, reserve_bytes, FlockOperation::NonBlockingLockShared, false)
    }

    fn map(
        file: File,
        name: String,
        reserve_bytes: u64,
        lock: FlockOperation,
        writable: bool,
    ) -> Result<Self, FileError> {
        rustix::fs::flock(&file, lock).map_err(|e| {
            let why = if e == rustix::io::Errno::WOULDBLOCK {
                Error::new(ErrorKind::WouldBlock, "another process has the file open")
            } else {
                Error::from(e)
            };
            FileError::new(&name, "lock", 0, 0, why)
        })?;
        let len = file.metadata().map_err(|e| FileError::new(&name, "open", 0, 0, e))?.len();
        let reserve = reserve_bytes.max(len).max(1);
        let map = Mapping::of_file(&file, &name, reserve)
            .map_err(|e| FileError::new(&name, "map", 0, reserve, e))?;
        Ok(Self { file, name, map, len: AtomicU64::new(len), writable })
    }

    fn error(&self, operation: &'static str, offset: u64, bytes: u64, e: Error) -> FileError {
        FileError::new(&self.name, operation, offset, bytes, e)
    }

    fn need_writable(&self, operation: &'static str) -> Result<(), FileError> {
        if self.writable {
            return Ok(());
        }
        let why = Error::new(ErrorKind::PermissionDenied, "the file was opened for reading only");
        Err(self.error(operation, 0, 0, why))
    }

    /// Allocates `[from, to)` on the disk. Where the file system cannot, the file is only made longer:
    /// then a full disk shows at the write.
    #[cfg(not(target_vendor = "apple"))]
    fn allocate(&self, from: u64, to: u64) -> Result<(), Error> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.file.set_len(to),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes the file longer: a full disk shows at the write.
    #[cfg(target_vendor = "apple")]
    fn allocate(&self, _from: u64, to: u64) -> Result<(), Error> {
        self.file.set_len(to)
    }
}

impl PageFile for MappedFile {
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn set_len(&self, len: u64) -> Result<(), FileError> {
        self.need_writable("grow")?;
        let old = self.len();
        if len > self.map.len() {
            let what = format!(
                "the {} bytes of address space reserved for the file are used up; raise the quota and restart",
                self.map.len()
            );
            return Err(self.error("grow", old, len - old, Error::other(what)));
        }
        if len >= old {
            if len > old {
                self.allocate(old, len).map_err(|e| self.error("grow", old, len - old, e))?;
            }
            self.len.store(len, Ordering::Release);
        } else {
            // Views are refused beyond the new end before the bytes go away.
            self.len.store(len, Ordering::Release);
            self.file.set_len(len).map_err(|e| self.error("shrink", len, old - len, e))?;
        }
        Ok(())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len() => Ok(self.map.view(offset, len)),
            _ => Err(FileError::outside(&self.name, "read", offset, len as u64, self.len())),
        }
    }

    fn will_need(&self, offset: u64, bytes: u64) {
        if offset.checked_add(bytes).is_some_and(|end| end <= self.len()) {
            let _ = self.map.raw.advise_range(Advice::WillNeed, offset as usize, bytes as usize);
        }
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.need_writable("write")?;
        let total: u64 = parts.iter().map(|p| p.len() as u64).sum();
        if offset.checked_add(total).is_none_or(|end| end > self.len()) {
            return Err(FileError::outside(&self.name, "write", offset, total, self.len()));
        }
        let mut at = offset;
        for group in parts.chunks(PARTS_PER_WRITE) {
            at = write_group(&self.file, at, group).map_err(|e| self.error("write", offset, total, e))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|e| self.error("sync", 0, self.len(), e))
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Writes one group of parts at `offset` and returns where it ended. A short write is carried on part by
/// part: it is progress, not a failure.
fn write_group(file: &File, offset: u64, parts: &[&[u8]]) -> Result<u64, Error> {
    let total: usize = parts.iter().map(|p| p.len()).sum();
    let mut written = if let [part] = parts {
        file.write_at(part, offset)?
    } else {
        let slices: Vec<std::io::IoSlice<'_>> = parts.iter().map(|p| std::io::IoSlice::new(p)).collect();
        rustix::io::pwritev(file, &slices, offset)?
    };
    let mut skip = written;
    for part in parts {
        if written == total {
            break;
        }
        if skip >= part.len() {
            skip -= part.len();
            continue;
        }
        let rest = &part[skip..];
        file.write_all_at(rest, offset + written as u64)?;
        written += rest.len();
        skip = 0;
    }
    Ok(offset + total as u64)
}

/// A range of addresses over a file, read-only.
#[derive(Debug)]
struct Mapping {
    /// Goes first when both are dropped: the addresses may belong to another map the moment they are free.
    _guard: guard::Guard,
    raw: MmapRaw,
}

impl Mapping {
    /// Maps `reserve_bytes` from the beginning of the file, which may be far more than it holds. Where
    /// addresses are scarce (a limit on virtual memory) less is taken, but never less than the file.
    fn of_file(file: &File, name: &str, reserve_bytes: u64) -> Result<Self, Error> {
        let len = file.metadata()?.len().max(1);
        let mut want = reserve_bytes;
        loop {
            match MmapOptions::new().len(want as usize).no_reserve_swap().map_raw_read_only(file) {
                Ok(raw) => {
                    advise(&raw);
                    let guard = guard::Guard::new(name, raw.as_ptr(), raw.len());
                    return Ok(Self { raw, _guard: guard });
                }
                Err(e) if want / 2 < len => return Err(e),
                Err(_) => want /= 2,
            }
        }
    }

    fn len(&self) -> u64 {
        self.raw.len() as u64
    }

    /// The bytes at `offset`. The caller has checked that they lie inside the file.
    fn view(&self, offset: u64, len: usize) -> &[u8] {
        let end = (offset as usize).checked_add(len);
        assert!(end.is_some_and(|end| end <= self.raw.len()), "a view lies inside the map");
        // SAFETY: the range lies inside the map (asserted), which lives as long as `self`, and inside the
        // file (the caller's check against a length that is lowered before the file is), so the memory is
        // backed. Nobody writes to it while the view lives: module head.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().add(offset as usize), len) }
    }
}

/// Tells the system how a map of a file is used. All of it is advice: a system that knows none of it works too.
fn advise(raw: &MmapRaw) {
    // A core dump is for what went wrong in memory; the file can be looked at beside it.
    #[cfg(target_os = "linux")]
    let _ = raw.advise(Advice::DontDump);
    // A child that is about to become another program needs no copy of the page tables.
    #[cfg(target_os = "linux")]
    let _ = raw.advise(Advice::DontFork);
    // A page fault brings in one page and not the 32 around it; scans ask for what they need (`tree::ahead`).
    let _ = raw.advise(Advice::Random);
}

/// A range of zeroed memory that behaves like a mapped file: viewed in place, written elsewhere.
#[derive(Debug)]
pub(super) struct Memory {
    raw: MmapRaw,
}

impl Memory {
    /// Reserves `bytes` of addresses; memory is taken only where something is written.
    pub(super) fn reserve(bytes: usize) -> Result<Self, Error> {
        let mut options = MmapOptions::new();
        // Miri knows no such flag.
        if !cfg!(miri) {
            options.no_reserve_swap();
        }
        let map = options.len(bytes).map_anon()?;
        Ok(Self { raw: map.into() })
    }

    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The bytes at `offset`. Panics when they do not lie inside the memory.
    pub(super) fn view(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.raw.len()), "a view lies inside");
        // SAFETY: the range lies inside the map (asserted), which lives as long as `self` and is always
        // readable. Nobody writes to it while the view lives: module head.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().add(offset), len) }
    }

    /// Copies `bytes` to `offset`. Panics when they do not fit there.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(
            offset.checked_add(bytes.len()).is_some_and(|end| end <= self.raw.len()),
            "a write lies inside"
        );
        // SAFETY: the target lies inside the map (asserted), which is private to this process, readable
        // and writable; the source is a live slice, and by the contract of the page file (module head) it
        // is not a view of the target, nor does anybody hold one.
        unsafe { std::ptr::copy(bytes.as_ptr(), self.raw.as_mut_ptr().add(offset), bytes.len()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RESERVE: u64 = 1 << 30;

    #[test]
    fn views_stay_where_they_are_while_the_file_grows() {
        let dir = tempfile::tempdir().unwrap();
        let file = MappedFile::open(&dir.path().join("db"), RESERVE).unwrap();
        assert!(file.is_empty());
        file.set_len(8192).unwrap();
        file.write_at(0, &[b"abc", b"", b"def"]).unwrap();
        let view = file.bytes(0, 6).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_at((64 << 20) - 3, &[b"end"]).unwrap();
        assert_eq!(view, b"abcdef");
        assert_eq!(file.bytes((64 << 20) - 3, 3).unwrap(), b"end");
        assert_eq!(file.bytes(4096, 4).unwrap(), [0; 4]);
        assert_eq!(std::fs::metadata(dir.path().join("db")).unwrap().len(), 64 << 20);
    }

    #[test]
    fn ranges_outside_the_file_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let file = MappedFile::open(&dir.path().join("db"), RESERVE).unwrap();
        file.set_len(4096).unwrap();
        assert!(file.bytes(4090, 7).is_err());
        assert!(file.bytes(u64::MAX, 2).is_err());
        assert!(file.write_at(4090, &[b"1234567"]).is_err());
        assert!(file.set_len(RESERVE + 1).is_err());
        file.set_len(0).unwrap();
        assert!(file.bytes(0, 1).is_err());
    }

    #[test]
    fn many_parts_are_one_extent() {
        let dir = tempfile::tempdir().unwrap();
        let file = MappedFile::open(&dir.path().join("db"), RESERVE).unwrap();
        file.set_len(1 << 20).unwrap();
        let parts: Vec<Vec<u8>> = (0..3000_u32).map(|i| i.to_le_bytes().to_vec()).collect();
        let refs: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        file.write_at(100, &refs).unwrap();
        for i in 0..3000_u32 {
            assert_eq!(file.bytes(100 + 4 * u64::from(i), 4).unwrap(), i.to_le_bytes());
        }
        file.sync().unwrap();
    }

    #[test]
    fn a_second_writer_is_refused_and_a_reader_does_not_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let file = MappedFile::open(&path, RESERVE).unwrap();
        file.set_len(4096).unwrap();
        let e = MappedFile::open(&path, RESERVE).unwrap_err().to_string();
        assert!(e.contains("another process has the file open") && e.contains("db"), "{e}");
        drop(file);
        let reader = MappedFile::open_read_only(&path, RESERVE).unwrap();
        assert_eq!(reader.len(), 4096);
        assert!(reader.write_at(0, &[b"x"]).is_err());
        assert!(reader.set_len(8192).is_err());
    }
}
