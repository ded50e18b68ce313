//! Sizes: how many bytes things take, and when a page is full. Pure arithmetic on lengths, shared by both passes.

use crate::format::{ELEMENT_LEN, HEADER_LEN};

/// Bytes of a page in the files we write. etcd takes the page size of its machine, 4096 nearly everywhere, and reads any.
pub const PAGE_SIZE: u64 = 4096;

/// A page is filled to this many bytes (nine tenths), as etcd fills its `key` bucket and a defragmented file: room for a
/// first few changes by whoever opens the file, without splitting every page.
const FILL_LIMIT: u64 = PAGE_SIZE * 9 / 10;

/// An entry of at least this size has a page run of its own and is never copied. The page border then wastes at most a
/// sixteenth, and an open leaf never holds more than two times this.
pub(crate) const LARGE_ENTRY: u64 = 64 * 1024;

/// Largest page image (header, elements, data) of an inline bucket: a quarter page, bbolt's own rule.
const INLINE_LIMIT: u64 = PAGE_SIZE / 4;

/// Fewest children of a branch page. bbolt asserts it when it merges pages.
pub(crate) const MIN_CHILDREN: usize = 2;

/// Bytes that an entry takes in a leaf, or (with `value_len` 0) a child in a branch.
pub(crate) fn entry_size(key_len: usize, value_len: usize) -> u64 {
    ELEMENT_LEN + key_len as u64 + value_len as u64
}

/// Pages that `bytes` take.
pub(crate) fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE)
}

/// A page under construction, seen as numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageShape {
    /// Entries or children so far.
    pub(crate) count: usize,
    /// Bytes so far, header and elements included.
    pub(crate) bytes: u64,
}

impl Default for PageShape {
    fn default() -> Self {
        Self { count: 0, bytes: HEADER_LEN }
    }
}

impl PageShape {
    /// Counts an entry of `size` bytes in.
    pub(crate) fn add(&mut self, size: u64) {
        self.count += 1;
        self.bytes += size;
    }

    /// Whether a leaf must be closed before an entry of `size` bytes. A lone entry takes a second one beyond the fill limit
    /// if that saves a page: two values of 5 KB share three pages instead of taking two each.
    pub(crate) fn leaf_closes_before(&self, size: u64) -> bool {
        let joined = self.bytes + size;
        let saves_a_page = self.count == 1 && pages(joined) < pages(self.bytes) + pages(HEADER_LEN + size);
        self.count > 0 && joined > FILL_LIMIT && !saves_a_page
    }

    /// Whether a branch page must be closed before a child of `size` bytes.
    pub(crate) fn branch_closes_before(&self, size: u64) -> bool {
        self.count >= MIN_CHILDREN && self.bytes + size > FILL_LIMIT
    }

    /// Whether a bucket that consists of this one leaf is stored inline.
    pub(crate) fn fits_inline(&self) -> bool {
        self.bytes <= INLINE_LIMIT
    }
}

// An inline bucket is decided when the bucket ends, so no leaf may have been written by then; and the number of elements
// of a page is a u16 of which 0xFFFF has another meaning.
const _: () = assert!(INLINE_LIMIT < FILL_LIMIT && INLINE_LIMIT < LARGE_ENTRY);
const _: () = assert!((FILL_LIMIT / (ELEMENT_LEN + 1)) < 0xFFFF);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_big_values_share_pages_only_if_that_saves_one() {
        let lone = |size| {
            let mut shape = PageShape::default();
            shape.add(size);
            shape
        };
        assert!(!lone(5000).leaf_closes_before(5000), "3 pages instead of 4");
        assert!(lone(3000).leaf_closes_before(3000), "2 pages either way");
        assert!(!lone(2040).leaf_closes_before(2040), "one page, though fuller than nine tenths");
        assert!(!PageShape::default().leaf_closes_before(1 << 40), "an empty leaf takes anything");
    }

    #[test]
    fn a_branch_takes_two_children_of_any_size() {
        let mut shape = PageShape::default();
        shape.add(entry_size(32_768, 0));
        assert!(!shape.branch_closes_before(entry_size(32_768, 0)));
        shape.add(entry_size(32_768, 0));
        assert!(shape.branch_closes_before(entry_size(1, 0)));
    }
}
