//! What a walk over the whole database found.

use crate::error::Corruption;

/// The result of [`Db::check`](crate::tree::Db::check).
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Everything that is wrong, up to [`CheckReport::FAULT_LIMIT`] faults.
    pub faults: Vec<Corruption>,
    /// True when there were more faults than are listed.
    pub faults_cut: bool,
    /// Pages that hold entries of the named trees: leaves, branches and overflow runs.
    pub tree_pages: u64,
    /// Pages that hold the list of free pages.
    pub free_tree_pages: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// Entries in all named trees.
    pub entries: u64,
}

impl CheckReport {
    /// Most faults that a report lists.
    pub const FAULT_LIMIT: usize = 1000;

    /// True when nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}
