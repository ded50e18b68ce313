//! Which pages have been found whole since the process began: one bit a page.
//!
//! A page's checksum is compared when the page is first touched, and its bit is then set; pages that this
//! process wrote have their bits set as they are written. The bits are kept in chunks that come into being
//! when they are needed, so that a large reservation costs nothing.
//!
//! A bit needs no ordering of its own. Whoever reads a page has its number from a root that was published
//! after the page was written and its bit set; and a bit that is seen late costs one more comparison.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS_PER_CHUNK: usize = 512;
const BITS_PER_CHUNK: u64 = WORDS_PER_CHUNK as u64 * 64;

type Chunk = Box<[AtomicU64; WORDS_PER_CHUNK]>;

/// A set of page numbers that only grows.
#[derive(Debug)]
pub(super) struct Verified {
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Verified {
    /// Room for the pages below `pages`.
    pub(super) fn new(pages: u64) -> Self {
        let chunks = pages.div_ceil(BITS_PER_CHUNK);
        Self { chunks: (0..chunks).map(|_| OnceLock::new()).collect() }
    }

    #[inline]
    pub(super) fn contains(&self, page: u64) -> bool {
        let Some(chunk) = self.chunks.get((page / BITS_PER_CHUNK) as usize).and_then(OnceLock::get) else {
            return false;
        };
        let bit = page % BITS_PER_CHUNK;
        chunk[(bit / 64) as usize].load(Ordering::Relaxed) & (1 << (bit % 64)) != 0
    }

    pub(super) fn insert(&self, page: u64) {
        let Some(chunk) = self.chunks.get((page / BITS_PER_CHUNK) as usize) else {
            return;
        };
        let words = chunk.get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORDS_PER_CHUNK]));
        let bit = page % BITS_PER_CHUNK;
        words[(bit / 64) as usize].fetch_or(1 << (bit % 64), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_in_is_in() {
        let set = Verified::new(100_000);
        for page in [0, 63, 64, 32_767, 32_768, 99_999] {
            assert!(!set.contains(page));
            set.insert(page);
            assert!(set.contains(page) && !set.contains(page + 1));
        }
        set.insert(u64::MAX);
        assert!(!set.contains(u64::MAX), "beyond the room nothing is remembered");
    }
}
