//! The real device: a directory with one file for each segment.
//!
//! The directory is locked for as long as the device lives, so that two processes never write one log. How a durable
//! write is made (past the page cache or through it, in one call or two) is found out at the start with a real write
//! to a scratch file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::disk::{self, DurableCall};
use super::{LogDevice, SegmentName};
use crate::buffer::AlignedBuffer;
use crate::error::{DeviceError, WalError};
use crate::format::{MAX_BLOCK_BYTES, MIN_BLOCK_BYTES};

/// Whether writes go past the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectIo {
    /// Where the file system takes it.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Name of the file that the probe writes to.
const SCRATCH: &str = "probe.tmp";

/// A directory of segments.
pub struct FileDevice {
    directory: PathBuf,
    /// Open for as long as the device lives: it carries the lock, and is what renames are synced with.
    handle: File,
    block: u32,
    direct: bool,
    call: DurableCall,
    how: String,
    open: Mutex<BTreeMap<SegmentName, Arc<OpenSegment>>>,
}

/// An open segment.
struct OpenSegment {
    /// Through the page cache.
    cached: File,
    /// Past it, where the file system takes that.
    direct: Option<File>,
    /// Its length. It never changes.
    len: u64,
}

impl OpenSegment {
    fn writer(&self) -> &File {
        self.direct.as_ref().unwrap_or(&self.cached)
    }
}

impl FileDevice {
    /// Opens the directory, making it (for its owner alone) if it is not there, and probes it with a real write.
    ///
    /// # Errors
    /// [`WalError::InUse`] if another log is open there; otherwise what the system says.
    pub fn open(directory: impl AsRef<Path>, direct: DirectIo) -> Result<FileDevice, WalError> {
        let directory = directory.as_ref().to_path_buf();
        let fail = |operation, error| DeviceError::new(operation, directory.display().to_string(), error);
        if !directory.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|e| fail("create directory", e))?;
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                let synced = File::open(parent).and_then(|parent| parent.sync_all());
                synced.map_err(|e| fail("sync the parent of", e))?;
            }
        }
        let handle = File::open(&directory).map_err(|e| fail("open directory", e))?;
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(WalError::InUse { place: directory.display().to_string() }),
            Err(Errno::NOLCK | Errno::BADF | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                let directory = directory.display();
                tracing::warn!(%directory, "no locks here: nothing keeps a second process from this log");
            }
            Err(error) => return Err(fail("lock directory", error.into()).into()),
        }
        let scratch = directory.join(SCRATCH);
        let probed = probe(&scratch, direct);
        let removed = fs::remove_file(&scratch);
        let probe = probed.map_err(|e| fail("write a scratch file in", e))?;
        removed.map_err(|e| fail("remove a scratch file in", e))?;
        Ok(FileDevice {
            directory,
            handle,
            block: probe.block,
            direct: probe.direct,
            call: probe.call,
            how: probe.how,
            open: Mutex::default(),
        })
    }

    /// How durable writes are made, in words.
    pub fn how(&self) -> &str {
        &self.how
    }

    /// True when writes go past the page cache.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a segment.
    pub(crate) fn path(&self, name: SegmentName) -> PathBuf {
        self.directory.join(name.to_string())
    }

    /// The path that a probe may write to.
    #[cfg(target_os = "linux")]
    pub(crate) fn scratch_path(&self) -> PathBuf {
        self.directory.join(SCRATCH)
    }

    fn segment(&self, name: SegmentName) -> Result<Arc<OpenSegment>, DeviceError> {
        let mut open = self.open.lock();
        if let Some(segment) = open.get(&name) {
            return Ok(segment.clone());
        }
        let path = self.path(name);
        let opened = disk::open_cached(&path).and_then(|cached| {
            let direct = if self.direct { Some(disk::open_direct(&path)?) } else { None };
            let len = cached.metadata()?.len();
            Ok(Arc::new(OpenSegment { cached, direct, len }))
        });
        let segment = opened.map_err(|e| self.error("open", name, e))?;
        open.insert(name, segment.clone());
        Ok(segment)
    }

    fn error(&self, operation: &'static str, name: SegmentName, error: io::Error) -> DeviceError {
        DeviceError::new(operation, self.path(name).display().to_string(), error)
    }

    fn sync_directory(&self) -> Result<(), DeviceError> {
        let place = || self.directory.display().to_string();
        self.handle.sync_all().map_err(|e| DeviceError::new("sync directory", place(), e))
    }

    /// Writing over the end would change the length of the file, which recovery takes for damage.
    fn check_within(
        &self,
        segment: &OpenSegment,
        name: SegmentName,
        offset: u64,
        len: usize,
    ) -> Result<(), DeviceError> {
        if offset.checked_add(len as u64).is_none_or(|end| end > segment.len) {
            return Err(self.error("write over the end of", name, io::ErrorKind::InvalidInput.into()));
        }
        Ok(())
    }
}

impl LogDevice for FileDevice {
    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn block_bytes(&self) -> u32 {
        self.block
    }

    fn salt(&self) -> u64 {
        // The keys of a RandomState come from the system's random numbers.
        RandomState::new().build_hasher().finish()
    }

    fn list(&self) -> Result<Vec<(SegmentName, u64)>, DeviceError> {
        let fail = |error| DeviceError::new("list directory", self.place(), error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else { continue };
            match entry.metadata() {
                Ok(metadata) => found.push((name, metadata.len())),
                // Renamed meanwhile by another thread; a name that came late may be missing as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(found)
    }

    fn create(&self, name: SegmentName, len: u64) -> Result<(), DeviceError> {
        let path = self.path(name);
        let made = disk::create_new(&path).and_then(|cached| {
            let direct = if self.direct { Some(disk::open_direct(&path)?) } else { None };
            disk::fill_with_zeros(&cached, direct.as_ref().unwrap_or(&cached), len)?;
            Ok(Arc::new(OpenSegment { cached, direct, len }))
        });
        match made {
            Ok(segment) => {
                self.open.lock().insert(name, segment);
                self.sync_directory()
            }
            Err(error) => {
                // Best effort: what is left of it has the wrong length and is removed at the next start.
                if error.kind() != io::ErrorKind::AlreadyExists {
                    let _ = fs::remove_file(&path);
                }
                Err(self.error("create", name, error))
            }
        }
    }

    fn rename(&self, from: SegmentName, to: SegmentName) -> Result<(), DeviceError> {
        let (old, new) = (self.path(from), self.path(to));
        let mut open = self.open.lock();
        if new.exists() {
            return Err(self.error("rename over", to, io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&old, &new).map_err(|e| self.error("rename", from, e))?;
        if let Some(segment) = open.remove(&from) {
            open.insert(to, segment);
        }
        drop(open);
        self.sync_directory()
    }

    fn remove(&self, name: SegmentName) -> Result<(), DeviceError> {
        self.open.lock().remove(&name);
        fs::remove_file(self.path(name)).map_err(|e| self.error("remove", name, e))?;
        self.sync_directory()
    }

    fn read_at(&self, name: SegmentName, offset: u64, out: &mut [u8]) -> Result<(), DeviceError> {
        let segment = self.segment(name)?;
        segment.cached.read_exact_at(out, offset).map_err(|e| self.error("read", name, e))
    }

    fn write_at(&self, name: SegmentName, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let segment = self.segment(name)?;
        self.check_within(&segment, name, offset, data.len())?;
        segment.cached.write_all_at(data, offset).map_err(|e| self.error("write", name, e))
    }

    fn sync(&self, name: SegmentName) -> Result<(), DeviceError> {
        self.segment(name)?.cached.sync_data().map_err(|e| self.error("sync", name, e))
    }

    fn write_durable(&self, name: SegmentName, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let segment = self.segment(name)?;
        self.check_within(&segment, name, offset, data.len())?;
        self.call.write(segment.writer(), offset, data).map_err(|e| self.error("write", name, e))
    }

    fn as_files(&self) -> Option<&FileDevice> {
        Some(self)
    }
}

/// What the probe found out.
struct Probe {
    block: u32,
    direct: bool,
    call: DurableCall,
    how: String,
}

/// Writes to a scratch file in each way that could be used, the best first.
fn probe(scratch: &Path, direct: DirectIo) -> io::Result<Probe> {
    match fs::remove_file(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let cached = disk::create_new(scratch)?;
    let block = disk::logical_block(&cached).clamp(512, MAX_BLOCK_BYTES);
    let mut data = AlignedBuffer::default();
    data.pad_to(block.max(MIN_BLOCK_BYTES) as usize);
    disk::fill_with_zeros(&cached, &cached, data.len() as u64)?;
    let mut why_cached = "direct I/O is switched off".to_owned();
    if direct == DirectIo::Auto {
        match disk::open_direct(scratch).and_then(|file| disk::probe_durable(&file, data.bytes())) {
            Ok(call) => {
                let how = format!("{}, past the page cache", call.name());
                return Ok(Probe { block, direct: true, call, how });
            }
            Err(error) => why_cached = format!("direct I/O is refused: {error}"),
        }
    }
    let call = disk::probe_durable(&cached, data.bytes())?;
    let how = format!("{}, through the page cache ({why_cached})", call.name());
    Ok(Probe { block, direct: false, call, how })
}
