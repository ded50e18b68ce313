//! Where the trees are: the state that a transaction publishes.

use crate::page::Child;

/// Most levels of a tree. Even pages of 512 bytes, three children to a branch, hold 10^9 leaves so.
pub(crate) const DEPTH_LIMIT: usize = 20;

/// The root of one tree, and what a parent would hold of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TreeRoot {
    /// Page of the root; means nothing when the tree is empty.
    pub(crate) page: u64,
    /// Checksum of that page.
    pub(crate) checksum: u64,
    /// Entries.
    pub(crate) count: u64,
    /// Greatest stamp of all entries.
    pub(crate) stamp: u64,
    /// Levels: 0 for an empty tree, 1 for a single leaf.
    pub(crate) depth: u8,
}

impl TreeRoot {
    /// The root as if it were a child.
    pub(crate) fn as_child(&self) -> Child {
        Child { page: self.page, checksum: self.checksum, count: self.count, stamp: self.stamp }
    }

    /// Level of the root page, when there is one.
    pub(crate) fn level(&self) -> Option<u8> {
        self.depth.checked_sub(1)
    }
}

/// All trees as one transaction left them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) txn: u64,
    pub(crate) mark: u64,
    /// By the trees' numbers in the file, less one.
    pub(crate) trees: Vec<TreeRoot>,
}
