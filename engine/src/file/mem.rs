//! A file in memory that remembers what has been synced, and can show what a crash would leave.
//!
//! Every operation is kept in a journal. The writes since the last sync are the ones a loss of power may
//! drop, keep, or tear: [`MemFile::crash_image`] asks its caller about each sector of each of them. There
//! is no random number in here; a test or the simulator brings its own choices.
//!
//! A failure can be planned too: a disk that is full ([`MemFile::set_capacity`]), or an operation that
//! fails ([`MemFile::fail_after`]), a failing write leaving its first half behind.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::map::Memory;
use super::{FileError, PageFile};

/// The unit in which a write can be torn: disks promise no more than a sector.
pub const SECTOR_BYTES: usize = 512;

const NAME: &str = "file in memory";

/// A file in memory. See the module head.
#[derive(Debug)]
pub struct MemFile {
    memory: Memory,
    len: AtomicU64,
    journal: Mutex<Journal>,
}

/// One sector of a write (or one change of length) that had not been synced when the crash came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashUnit {
    /// Number of the operation that it belongs to, counted from the creation of the file.
    pub operation: usize,
    /// Where it is in the file, in bytes.
    pub offset: u64,
    /// Length in bytes; 0 for a change of the file's length.
    pub bytes: usize,
}

#[derive(Debug, Clone)]
enum Operation {
    Write { offset: u64, data: Vec<u8> },
    SetLen { len: u64 },
    Sync,
}

#[derive(Debug, Default)]
struct Journal {
    /// The file before the first operation in `operations`.
    base: Vec<u8>,
    /// Number of the first operation in `operations`.
    first: usize,
    operations: Vec<Operation>,
    keep_history: bool,
    capacity: Option<u64>,
    fail_after: Option<u64>,
}

impl MemFile {
    /// Addresses reserved by [`MemFile::new`], in bytes. Memory is taken only where something is written.
    pub const RESERVE_BYTES: usize = if cfg!(miri) { 4 << 20 } else { 4 << 30 };

    /// An empty file.
    ///
    /// # Panics
    ///
    /// When the process has no addresses left.
    pub fn new() -> Self {
        Self::with_image(Vec::new())
    }

    /// A file that holds `image`, all of it synced.
    ///
    /// # Panics
    ///
    /// When the process has no addresses left.
    pub fn with_image(image: Vec<u8>) -> Self {
        let reserve = Self::RESERVE_BYTES.max(image.len());
        let memory = Memory::reserve(reserve).expect("addresses are plentiful on a 64-bit machine");
        memory.write(0, &image);
        let len = AtomicU64::new(image.len() as u64);
        Self { memory, len, journal: Mutex::new(Journal { base: image, ..Journal::default() }) }
    }

    /// Keeps every operation from now on, so that [`MemFile::crash_image_at`] can go back to any of them.
    pub fn keep_history(&self) {
        self.journal.lock().keep_history = true;
    }

    /// How many operations (writes, changes of length, syncs) there have been.
    pub fn operations(&self) -> usize {
        let journal = self.journal.lock();
        journal.first + journal.operations.len()
    }

    /// The file as it is now, synced or not.
    pub fn image(&self) -> Vec<u8> {
        self.memory.view(0, self.len() as usize).to_vec()
    }

    /// What a crash at this moment would leave: everything synced, and of the rest the sectors that `keep`
    /// says yes to. It is asked in the order of the operations.
    pub fn crash_image(&self, keep: impl FnMut(CrashUnit) -> bool) -> Vec<u8> {
        self.crash_image_at(usize::MAX, keep)
    }

    /// What a crash right after the first `operations` operations would have left. Needs
    /// [`MemFile::keep_history`] for a moment before the newest sync.
    pub fn crash_image_at(&self, operations: usize, mut keep: impl FnMut(CrashUnit) -> bool) -> Vec<u8> {
        let journal = self.journal.lock();
        let end = operations.saturating_sub(journal.first).min(journal.operations.len());
        let past = &journal.operations[..end];
        let synced = past.iter().rposition(|op| matches!(op, Operation::Sync)).unwrap_or(0);
        let mut image = journal.base.clone();
        for (i, op) in past.iter().enumerate() {
            let sure = i < synced;
            let number = journal.first + i;
            apply(&mut image, op, |offset, bytes| {
                sure || keep(CrashUnit { operation: number, offset, bytes })
            });
        }
        image
    }

    /// From now on the disk has room for `bytes` bytes only: growing beyond fails as a full disk does.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.journal.lock().capacity = bytes;
    }

    /// After `operations` more successful writes, changes of length and syncs, the next one fails, once.
    pub fn fail_after(&self, operations: Option<u64>) {
        self.journal.lock().fail_after = operations;
    }

    /// Turns one bit over, as a decaying disk would. Nobody may hold a view of that byte.
    ///
    /// # Panics
    ///
    /// When the offset lies outside the file.
    pub fn flip_bit(&self, offset: u64, bit: u8) {
        assert!(offset < self.len(), "the bit lies inside the file");
        let byte = self.memory.view(offset as usize, 1)[0] ^ (1 << (bit % 8));
        self.memory.write(offset as usize, &[byte]);
    }
}

impl Default for MemFile {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// True when this operation is the one that was planned to fail.
    fn fails_now(&mut self) -> bool {
        match &mut self.fail_after {
            Some(0) => {
                self.fail_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn push(&mut self, op: Operation) {
        let synced = matches!(op, Operation::Sync);
        self.operations.push(op);
        if synced && !self.keep_history {
            for op in &self.operations {
                apply(&mut self.base, op, |_, _| true);
            }
            self.first += self.operations.len();
            self.operations.clear();
        }
    }
}

/// Applies the parts of an operation that `keep` says yes to.
fn apply(image: &mut Vec<u8>, op: &Operation, mut keep: impl FnMut(u64, usize) -> bool) {
    match op {
        Operation::Sync => {}
        Operation::SetLen { len } => {
            if keep(*len, 0) {
                image.resize(*len as usize, 0);
            }
        }
        Operation::Write { offset, data } => {
            let mut at = 0;
            while at < data.len() {
                let place = *offset as usize + at;
                let bytes = (SECTOR_BYTES - place % SECTOR_BYTES).min(data.len() - at);
                if keep(place as u64, bytes) {
                    if image.len() < place + bytes {
                        image.resize(place + bytes, 0);
                    }
                    image[place..place + bytes].copy_from_slice(&data[at..at + bytes]);
                }
                at += bytes;
            }
        }
    }
}

fn planned(operation: &'static str, offset: u64, bytes: u64) -> FileError {
    FileError::new(NAME, operation, offset, bytes, Error::other("planned failure"))
}

impl PageFile for MemFile {
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn set_len(&self, len: u64) -> Result<(), FileError> {
        let mut journal = self.journal.lock();
        let old = self.len();
        let grown = len.saturating_sub(old);
        if journal.fails_now() {
            return Err(planned("grow", old, grown));
        }
        let room = journal.capacity.unwrap_or(u64::MAX).min(self.memory.len() as u64);
        if len > old && len > room {
            return Err(FileError::new(NAME, "grow", old, grown, Error::from(ErrorKind::StorageFull)));
        }
        if len < old {
            self.memory.write(len as usize, &vec![0; (old - len) as usize]);
        }
        journal.push(Operation::SetLen { len });
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len() => Ok(self.memory.view(offset as usize, len)),
            _ => Err(FileError::outside(NAME, "read", offset, len as u64, self.len())),
        }
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        let mut data = parts.concat();
        let bytes = data.len() as u64;
        let mut journal = self.journal.lock();
        if offset.checked_add(bytes).is_none_or(|end| end > self.len()) {
            return Err(FileError::outside(NAME, "write", offset, bytes, self.len()));
        }
        let fails = journal.fails_now();
        if fails {
            data.truncate(data.len() / 2);
        }
        self.memory.write(offset as usize, &data);
        journal.push(Operation::Write { offset, data });
        if fails { Err(planned("write", offset, bytes)) } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut journal = self.journal.lock();
        if journal.fails_now() {
            return Err(planned("sync", 0, self.len()));
        }
        journal.push(Operation::Sync);
        Ok(())
    }

    fn name(&self) -> String {
        NAME.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_crash_keeps_what_was_synced_and_the_chosen_sectors() {
        let file = MemFile::new();
        file.keep_history();
        file.set_len(2048).unwrap();
        file.write_at(0, &[&[1; 1024]]).unwrap();
        file.sync().unwrap();
        file.write_at(256, &[&[2; 512], &[3; 512]]).unwrap();
        let mut asked = Vec::new();
        let image = file.crash_image(|unit| {
            asked.push((unit.offset, unit.bytes));
            unit.offset == 512
        });
        assert_eq!(asked, [(256, 256), (512, 512), (1024, 256)]);
        assert_eq!(image.len(), 2048);
        assert_eq!(&image[..512], [1; 512]);
        assert_eq!(&image[512..768], [2; 256]);
        assert_eq!(&image[768..1024], [3; 256]);
        assert_eq!(&image[1024..], [0; 1024]);
        assert_eq!(file.crash_image_at(2, |_| false), []);
        assert_eq!(file.crash_image_at(1, |_| true), [0; 2048]);
        assert_eq!(file.crash_image_at(3, |_| panic!("all of it was synced"))[..4], [1; 4]);
    }

    #[test]
    fn planned_failures_come_when_they_are_due() {
        let file = MemFile::new();
        file.set_capacity(Some(4096));
        file.set_len(4096).unwrap();
        let e = file.set_len(4097).unwrap_err();
        assert_eq!(e.source.kind(), ErrorKind::StorageFull);
        file.fail_after(Some(1));
        file.write_at(0, &[&[7; 8]]).unwrap();
        assert!(file.write_at(8, &[&[9; 8]]).is_err());
        assert_eq!(file.bytes(8, 8).unwrap(), [9, 9, 9, 9, 0, 0, 0, 0], "half of it was written");
        file.sync().unwrap();
        file.fail_after(Some(0));
        assert!(file.sync().is_err());
    }
}
