//! A byte buffer whose content starts at an aligned address, as direct I/O asks for, made without unsafe code: a
//! vector that is a little longer than needed, with the unaligned bytes at its front skipped.

use crate::format::MAX_BLOCK_BYTES;

/// Addresses are aligned to this, the largest block that a device can have.
const ALIGN: usize = MAX_BLOCK_BYTES as usize;

/// The buffer of one group.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    raw: Vec<u8>,
    /// Where the content starts in `raw`.
    start: usize,
}

impl AlignedBuffer {
    /// Forgets the content, and the memory too if it is more than `keep` bytes.
    pub(crate) fn reset(&mut self, keep: usize) {
        if self.raw.capacity() > keep + ALIGN {
            *self = AlignedBuffer::default();
        } else {
            self.raw.truncate(self.start);
        }
    }

    /// Bytes of content.
    pub(crate) fn len(&self) -> usize {
        self.raw.len() - self.start
    }

    /// The content; starts at an aligned address unless it is empty.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.raw[self.start..]
    }

    /// The content, to be changed in place.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.raw[self.start..]
    }

    /// Adds bytes at the end.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.raw.extend_from_slice(bytes);
    }

    /// Adds zeros until the content has `len` bytes.
    pub(crate) fn pad_to(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len()));
        self.raw.resize(self.start + len, 0);
    }

    /// Makes room. A vector that grew by itself would move the content to an unaligned address.
    fn reserve(&mut self, additional: usize) {
        let needed = self.len() + additional;
        if self.raw.capacity() >= self.start + needed && self.raw.capacity() > 0 {
            return;
        }
        let capacity = needed.next_power_of_two().max(64 << 10);
        let mut raw: Vec<u8> = Vec::with_capacity(capacity + ALIGN);
        let start = raw.as_ptr().align_offset(ALIGN);
        raw.resize(start, 0);
        raw.extend_from_slice(self.bytes());
        self.raw = raw;
        self.start = start;
    }

    /// Takes the buffer apart for a writer that needs the vector itself: the vector and where the content starts.
    #[cfg(any(test, target_os = "linux"))]
    pub(crate) fn into_parts(self) -> (Vec<u8>, usize) {
        (self.raw, self.start)
    }

    /// Puts back what [`AlignedBuffer::into_parts`] gave.
    #[cfg(any(test, target_os = "linux"))]
    pub(crate) fn from_parts(raw: Vec<u8>, start: usize) -> AlignedBuffer {
        assert!(start <= raw.len(), "parts of another buffer");
        AlignedBuffer { raw, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_stays_aligned_while_it_grows() {
        let mut buffer = AlignedBuffer::default();
        let mut expected = Vec::new();
        for round in 0..200_usize {
            let piece = vec![round as u8; round * 7];
            buffer.extend(&piece);
            expected.extend_from_slice(&piece);
            assert_eq!(buffer.bytes(), expected);
            if round > 0 {
                assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGN), 0);
            }
        }
        buffer.pad_to(expected.len() + 100);
        assert!(buffer.bytes().ends_with(&[0; 100]));
        let (raw, start) = buffer.into_parts();
        let mut buffer = AlignedBuffer::from_parts(raw, start);
        assert_eq!(buffer.len(), expected.len() + 100);
        buffer.reset(1 << 30);
        assert_eq!(buffer.len(), 0);
        buffer.extend(b"x");
        assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGN), 0);
        buffer.reset(0);
        assert_eq!(buffer.raw.capacity(), 0);
    }
}
