//! The 32 bytes at the front of every page.
//!
//! ```text
//!  0  kind            u8    2 leaf, 3 branch, 4 overflow run
//!  1  tree            u8    number of the tree: 0 the free pages, from 1 the named trees
//!  2  level           u8    0 leaf and run; a branch is one above its children
//!  3  (zero)          u8
//!  4  leaf, branch: count u16 (entries or children) · garbage_bytes u16 (among the cells)
//!     run:          count u32 (pages in it)
//!  8  number          u64   the page's own number
//! 16  txn             u64   the transaction that wrote it
//! 24  leaf, branch: cells_start u32 · prefix_bytes u16 · last_insert u16 (slot in 13 bits, streak in 3)
//!     run:          key_bytes u32 · value_bytes u32
//! ```

use super::HEADER_BYTES;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Leaf = 2,
    Branch = 3,
    Run = 4,
}

impl Kind {
    /// The kind of a page of a tree at this level.
    pub(crate) fn at_level(level: u8) -> Self {
        if level == 0 { Self::Leaf } else { Self::Branch }
    }
}

/// The part of the header that all kinds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) tree: u8,
    pub(crate) level: u8,
    /// Pages of a run; 0 for an empty leaf or branch.
    pub(crate) count: u32,
    pub(crate) number: u64,
    pub(crate) txn: u64,
}

impl Header {
    /// Writes the shared part of the header.
    pub(crate) fn write(&self, page: &mut [u8]) {
        let header = &mut page[..HEADER_BYTES];
        header[0] = self.kind as u8;
        header[1] = self.tree;
        header[2] = self.level;
        header[3] = 0;
        header[4..8].copy_from_slice(&self.count.to_le_bytes());
        header[8..16].copy_from_slice(&self.number.to_le_bytes());
        header[16..24].copy_from_slice(&self.txn.to_le_bytes());
    }

    /// Writes number and transaction, which are known last.
    pub(crate) fn write_place(page: &mut [u8], number: u64, txn: u64) {
        page[8..16].copy_from_slice(&number.to_le_bytes());
        page[16..24].copy_from_slice(&txn.to_le_bytes());
    }
}
