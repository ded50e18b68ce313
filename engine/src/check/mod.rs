//! Walking over a whole database to see that everything in it is as it should be.
//!
//! A check reads every page that the newest root reaches, whether it has been read before or not. It looks
//! at the checksums and headers; at the order of keys, within pages and between them; at counts, greatest
//! stamps and depth, as parents tell them and as they are; at overflow runs and whose they are; at the whole
//! file: every page below the high-water mark is used exactly once, or free exactly once; and at the meta pages.
//!
//! It needs one bit for each page of the file and, for each level of a tree, the keys of one branch: about 128 KiB for
//! a file of 4 GiB. It pins the root that it looks at until it is done, because that every page is in exactly one place
//! is a property of one root; writes go on meanwhile, and pages that they free are not used again before. What looks
//! for decay alone, without holding a root, is a scrub ([`Db::scrub_step`](crate::tree::Db::scrub_step)).

mod ledger;
#[cfg(test)]
mod tests;
mod walk;

use crate::error::Corruption;
use crate::page::{FREE_TREE, Fault};
use crate::tree::{Reader, Shared, Snapshot, Space, TreeView, free_stamp};
use ledger::Ledger;
use walk::Walk;

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
    /// What is wrong with the older meta page. Not a fault: a crash in the middle of a checkpoint leaves it so, and the
    /// next checkpoint writes over it; but until then there is no second one.
    pub older_meta: Option<String>,
}

impl CheckReport {
    /// Most faults that a report lists.
    pub const FAULT_LIMIT: usize = 1000;

    /// True when nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Walks over everything that `snapshot` can reach, and over the free pages, which `space` knows.
pub(crate) fn check(shared: &Shared, snapshot: &Snapshot, space: &Space) -> CheckReport {
    let mut ledger = Ledger::new(&shared.pages, space.high_water);
    for (place, root) in snapshot.root().trees.iter().enumerate() {
        let reader = Reader { pages: &shared.pages, dirty: None };
        let view = TreeView { reader, tree: place as u8 + 1, root: *root };
        let stamp = shared.stamp_of_place(place);
        let walked = Walk { view, stamp, txn: snapshot.txn(), ledger: &mut ledger }.tree();
        ledger.report.tree_pages += walked.pages;
        ledger.report.entries += walked.entries;
    }
    let reader = Reader { pages: &shared.pages, dirty: Some(space.tree_pages()) };
    let view = TreeView { reader, tree: FREE_TREE, root: space.tree_root() };
    let walked = Walk { view, stamp: Some(free_stamp), txn: snapshot.txn(), ledger: &mut ledger }.tree();
    ledger.report.free_tree_pages = walked.pages;
    let listed = space.all_runs(&shared.pages, |start, len| ledger.free(start, len));
    match listed {
        Ok(()) if ledger.report.free_pages != space.free_pages() => {
            let (found, known) = (ledger.report.free_pages, space.free_pages());
            ledger.fault(
                FREE_TREE,
                Fault::page(0, format!("{found} pages are free, where {known} should be")),
                None,
                None,
            );
        }
        Ok(()) => {}
        Err(e) => ledger.dead_end(FREE_TREE, e.into(), None, None),
    }
    ledger.close()
}
