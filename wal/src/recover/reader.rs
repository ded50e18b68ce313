//! Reads a segment from front to back through a window, so that small groups cost one call for many of them.

use bytes::Bytes;

use crate::device::{LogDevice, SegmentName};
use crate::error::DeviceError;

/// Bytes read at once.
const WINDOW_BYTES: u64 = 1 << 20;

/// A segment that is being read.
pub(crate) struct Reader<'a> {
    device: &'a dyn LogDevice,
    name: SegmentName,
    len: u64,
    window: Bytes,
    window_at: u64,
}

impl<'a> Reader<'a> {
    /// Reads the segment of this name and length.
    pub(crate) fn new(device: &'a dyn LogDevice, name: SegmentName, len: u64) -> Self {
        Reader { device, name, len, window: Bytes::new(), window_at: 0 }
    }

    /// Length of the segment.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `offset` on, which must lie inside the segment. They share the window's memory.
    pub(crate) fn get(&mut self, offset: u64, len: u64) -> Result<Bytes, DeviceError> {
        assert!(offset + len <= self.len, "a read stays inside its segment");
        let end = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + len > end {
            let wanted = len.max(WINDOW_BYTES).min(self.len - offset);
            let mut window = vec![0; wanted as usize];
            self.device.read_at(self.name, offset, &mut window)?;
            self.window = Bytes::from(window);
            self.window_at = offset;
        }
        let at = (offset - self.window_at) as usize;
        Ok(self.window.slice(at..at + len as usize))
    }
}
