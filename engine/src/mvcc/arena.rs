//! Many small byte strings in few allocations.
//!
//! An answer of a hundred thousand key-values would cost as many allocations if each were its own `Bytes`. They are
//! written one behind the other into blocks, and each `Bytes` is a slice of its block. Blocks are limited, so that one
//! slice that is kept for long does not keep a whole answer alive.

use bytes::Bytes;
use std::ops::Range;

/// A block is closed when it has reached this size.
const BLOCK_BYTES: usize = 256 << 10;
/// Least size of a further block, for answers whose size was not known.
const FURTHER_BLOCK_BYTES: usize = 4 << 10;

pub(crate) struct Arena {
    done: Vec<Bytes>,
    block: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// Bytes still expected, to size blocks exactly.
    expected: usize,
}

impl Arena {
    /// For `items` strings of `bytes` bytes together; both are estimates.
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        let block = Vec::with_capacity(bytes.min(BLOCK_BYTES));
        Self { done: Vec::with_capacity(items), block, spans: Vec::new(), expected: bytes }
    }

    /// Adds a copy of `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // A block that had to grow would be copied as a whole.
        if !self.block.is_empty() && self.block.len() + bytes.len() > self.block.capacity() {
            self.close_block();
        }
        self.push_with(|out| out.extend_from_slice(bytes));
    }

    /// Adds what `write` appends.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.block.len();
        write(&mut self.block);
        self.spans.push(start..self.block.len());
        if self.block.len() >= BLOCK_BYTES {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        self.expected = self.expected.saturating_sub(self.block.len());
        let next = Vec::with_capacity(self.expected.clamp(FURTHER_BLOCK_BYTES, BLOCK_BYTES));
        let block = Bytes::from(std::mem::replace(&mut self.block, next));
        if self.spans.len() == 1 {
            self.spans.clear();
            self.done.push(block);
        } else {
            self.done.extend(self.spans.drain(..).map(|span| block.slice(span)));
        }
    }

    /// All strings, in the order in which they were added.
    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        if !self.spans.is_empty() {
            self.expected = 0;
            self.close_block();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_order_over_many_blocks() {
        let strings: Vec<Vec<u8>> = (0..2000u32).map(|n| vec![n as u8; (n as usize * 37) % 900]).collect();
        let mut arena = Arena::new(strings.len(), 10);
        for string in &strings {
            arena.push(string);
        }
        assert_eq!(arena.finish(), strings);
        assert!(Arena::new(0, 0).finish().is_empty());
    }
}
