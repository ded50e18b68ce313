//! A device in memory that remembers what is durable, can lose and tear the rest, and fails when it is told to.

use std::io;

use parking_lot::Mutex;

use super::image::{Fate, FileImage, Image, Op, UnsyncedWrite};
use crate::device::{LogDevice, SegmentName};
use crate::error::DeviceError;

/// All steps since the recording began, and what was there then.
#[derive(Default)]
struct History {
    base: Image,
    steps: Vec<Op>,
}

impl History {
    fn image_at(&self, steps: usize) -> Image {
        let mut image = self.base.clone();
        self.steps.iter().take(steps).for_each(|step| image.apply(step));
        image
    }
}

#[derive(Default)]
struct State {
    image: Image,
    history: Option<History>,
    ignore_sync: bool,
    fail_write: Option<u64>,
    fail_sync: Option<u64>,
    writes: u64,
    syncs: u64,
    salt: u64,
}

impl State {
    fn apply(&mut self, op: Op) {
        self.image.apply(&op);
        if let Some(history) = &mut self.history {
            history.steps.push(op);
        }
    }
}

/// A simulated directory of segments. It gives out the same salts in every run.
pub struct RecordingDevice {
    state: Mutex<State>,
    block: u32,
}

impl Default for RecordingDevice {
    fn default() -> Self {
        RecordingDevice::new()
    }
}

impl RecordingDevice {
    /// An empty device with blocks of 4096 bytes.
    pub fn new() -> Self {
        RecordingDevice { state: Mutex::default(), block: 4096 }
    }

    /// From now on remembers each step, for [`RecordingDevice::crash_at`]. Its memory grows with every write.
    pub fn record(&self) {
        let mut state = self.state.lock();
        let base = state.image.clone();
        state.history = Some(History { base, steps: Vec::new() });
    }

    /// From now on syncs are acknowledged and do nothing: what a disk with a lying cache does, or a server that has
    /// forgotten to sync. Acknowledged writes are then lost by a crash, which a test must be able to notice.
    pub fn ignore_sync(&self, ignore: bool) {
        self.state.lock().ignore_sync = ignore;
    }

    /// The `n`th write from now (1 is the next) fails. Parts of it may reach the disk all the same.
    pub fn fail_write(&self, n: u64) {
        let mut state = self.state.lock();
        state.fail_write = Some(state.writes + n);
    }

    /// The `n`th sync from now (1 is the next) fails, and makes nothing durable.
    pub fn fail_sync(&self, n: u64) {
        let mut state = self.state.lock();
        state.fail_sync = Some(state.syncs + n);
    }

    /// Number of writes so far.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// Number of syncs so far, those included that were asked for and ignored.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// What a crash of the machine would leave now, if each unsynced write met the fate that `decide` gives it.
    #[must_use]
    pub fn crash(&self, decide: &mut dyn FnMut(UnsyncedWrite) -> Fate) -> RecordingDevice {
        let state = self.state.lock();
        self.left(state.image.after_crash(decide), state.salt)
    }

    /// What a crash of the machine leaves at worst: nothing that was not synced.
    #[must_use]
    pub fn power_loss(&self) -> RecordingDevice {
        self.crash(&mut |_| Fate::Lose)
    }

    /// Number of steps since [`RecordingDevice::record`].
    pub fn steps(&self) -> usize {
        self.state.lock().history.as_ref().map_or(0, |history| history.steps.len())
    }

    /// What a crash after the first `steps` steps since [`RecordingDevice::record`] would have left; nothing at all on
    /// a device that does not record.
    #[must_use]
    pub fn crash_at(&self, steps: usize, decide: &mut dyn FnMut(UnsyncedWrite) -> Fate) -> RecordingDevice {
        let state = self.state.lock();
        let image = state.history.as_ref().map(|history| history.image_at(steps)).unwrap_or_default();
        self.left(image.after_crash(decide), state.salt)
    }

    /// What a process sees that starts after another was killed following the first `steps` steps: all that was written,
    /// though not all of it may be on the disk.
    #[must_use]
    pub fn killed_at(&self, steps: usize) -> RecordingDevice {
        let state = self.state.lock();
        let image = state.history.as_ref().map(|history| history.image_at(steps)).unwrap_or_default();
        self.left(image, state.salt)
    }

    fn left(&self, image: Image, salt: u64) -> RecordingDevice {
        let history = None;
        RecordingDevice {
            state: Mutex::new(State { image, history, salt, ..State::default() }),
            block: self.block,
        }
    }

    /// The bytes of a segment as a reader sees them.
    pub fn bytes(&self, name: SegmentName) -> Option<Vec<u8>> {
        self.state.lock().image.files.get(&name).map(|file| file.written.clone())
    }

    /// Puts a segment with these bytes there, durably, in place of the one that was.
    pub fn put(&self, name: SegmentName, bytes: Vec<u8>) {
        let file = FileImage { durable: bytes.clone(), written: bytes, unsynced: Vec::new() };
        self.state.lock().image.files.insert(name, file);
    }

    /// Flips one bit of a segment, on the disk and in the cache: what a worn or lying disk does.
    ///
    /// # Panics
    /// If there is no such bit.
    pub fn flip_bit(&self, name: SegmentName, byte: u64, bit: u8) {
        let mut state = self.state.lock();
        let file = state.image.files.get_mut(&name).expect("the test names a segment that is there");
        file.durable[byte as usize] ^= 1 << bit;
        file.written[byte as usize] ^= 1 << bit;
    }
}

fn error(operation: &'static str, name: SegmentName, kind: io::ErrorKind) -> DeviceError {
    DeviceError::new(operation, name.to_string(), kind.into())
}

impl LogDevice for RecordingDevice {
    fn place(&self) -> String {
        "a simulated device".to_owned()
    }

    fn block_bytes(&self) -> u32 {
        self.block
    }

    fn salt(&self) -> u64 {
        let mut state = self.state.lock();
        state.salt += 1;
        // An odd factor: different for each call, and without the many zero bytes of small numbers.
        state.salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn list(&self) -> Result<Vec<(SegmentName, u64)>, DeviceError> {
        let state = self.state.lock();
        Ok(state.image.files.iter().map(|(name, file)| (*name, file.written.len() as u64)).collect())
    }

    fn create(&self, name: SegmentName, len: u64) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        if state.image.files.contains_key(&name) {
            return Err(error("create", name, io::ErrorKind::AlreadyExists));
        }
        state.apply(Op::Create { name, len });
        Ok(())
    }

    fn rename(&self, from: SegmentName, to: SegmentName) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        if !state.image.files.contains_key(&from) {
            return Err(error("rename", from, io::ErrorKind::NotFound));
        }
        if state.image.files.contains_key(&to) {
            return Err(error("rename over", to, io::ErrorKind::AlreadyExists));
        }
        state.apply(Op::Rename { from, to });
        Ok(())
    }

    fn remove(&self, name: SegmentName) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        if !state.image.files.contains_key(&name) {
            return Err(error("remove", name, io::ErrorKind::NotFound));
        }
        state.apply(Op::Remove { name });
        Ok(())
    }

    fn read_at(&self, name: SegmentName, offset: u64, out: &mut [u8]) -> Result<(), DeviceError> {
        let state = self.state.lock();
        let file =
            state.image.files.get(&name).ok_or_else(|| error("read", name, io::ErrorKind::NotFound))?;
        let range = (offset as usize)..(offset as usize).saturating_add(out.len());
        let bytes =
            file.written.get(range).ok_or_else(|| error("read", name, io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, name: SegmentName, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        let len = match state.image.files.get(&name) {
            Some(file) => file.written.len() as u64,
            None => return Err(error("write", name, io::ErrorKind::NotFound)),
        };
        assert_eq!(offset % u64::from(self.block), 0, "writes start at a block");
        assert_eq!(data.len() % self.block as usize, 0, "writes are whole blocks");
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > len) {
            return Err(error("write over the end of", name, io::ErrorKind::InvalidInput));
        }
        state.writes += 1;
        state.apply(Op::Write { name, offset, data: data.into() });
        if state.fail_write == Some(state.writes) {
            return Err(error("write", name, io::ErrorKind::Other));
        }
        Ok(())
    }

    fn sync(&self, name: SegmentName) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        state.syncs += 1;
        if state.fail_sync == Some(state.syncs) {
            return Err(error("sync", name, io::ErrorKind::Other));
        }
        if !state.ignore_sync {
            state.apply(Op::Sync { name });
        }
        Ok(())
    }
}
