//! Moving pages and runs: what is changed gets a new place when it is written, the lowest there is.
//!
//! A page that moves takes its ancestors with it, since a parent holds the number of each child. While it is on the heap
//! a leaf that is not nearly full takes in its neighbours, as far as they fit: so a tree that many deletions have thinned
//! out gets dense again as its pages move.

use super::Edit;
use crate::page::{Checked, Child, RunRef, Stored};
use crate::tree::dirty::Item;

/// Where in the tree a run belongs.
struct RunPlace {
    /// Level of the page whose cell refers to it.
    level: u8,
    slot: usize,
    run: RunRef,
}

impl Edit<'_> {
    /// Changes the page at `level` on the way to `key`, if it is the page `page` of the file. False, and nothing changed,
    /// when it is another.
    pub(crate) fn move_page(&mut self, key: &[u8], level: u8, page: u64) -> Checked<bool> {
        let Some(top) = self.root.level().filter(|&top| top >= level) else {
            return Ok(false);
        };
        let (mut child, mut at) = (self.root.as_child(), top);
        while at > level {
            let node = self.reader().node(self.tree, at, &child)?;
            child = node.child(node.child_for(key, &self.reader())?)?;
            at -= 1;
        }
        if child.page != page {
            return Ok(false);
        }
        let (number, parent) = self.way_to(key, level)?;
        if level == 0
            && let Some((parent, slot)) = parent
        {
            self.pack(number, parent, slot)?;
        }
        Ok(true)
    }

    /// Changes the cell that refers to the run of `key` that begins at `page`, and the run with it. False, and nothing
    /// changed, when no cell does.
    pub(crate) fn move_run(&mut self, key: &[u8], page: u64) -> Checked<bool> {
        let Some(RunPlace { level, slot, run }) = self.find_run(key, page)? else {
            return Ok(false);
        };
        // Compares the checksum, when that has not been done before.
        self.pages.run(self.tree, &run)?;
        let pages = run.pages(self.pages.geometry);
        let bytes = self.pages.raw(page, pages)?.to_vec();
        let (key_bytes, value_bytes) = (run.key_bytes as usize, run.value_bytes as usize);
        let (number, _) = self.way_to(key, level)?;
        let unplaced = self.dirty.add(Item::Run { bytes, key_bytes, value_bytes });
        self.free_run(&run)?;
        let holder = self.dirty.page_mut(number)?;
        holder.set_run_place(slot, &RunRef { page: unplaced, checksum: 0, txn: 0, ..run })?;
        holder.new_runs = true;
        Ok(true)
    }

    /// The cell on the way to `key` that refers to the run at `page`: of an entry, or of a long separator.
    fn find_run(&self, key: &[u8], page: u64) -> Checked<Option<RunPlace>> {
        let Some(mut level) = self.root.level() else {
            return Ok(None);
        };
        let mut child = self.root.as_child();
        while level > 0 {
            let node = self.reader().node(self.tree, level, &child)?;
            let slot = node.child_for(key, &self.reader())?;
            if slot > 0
                && let Some(run) = node.separator(slot)?.long.filter(|run| run.page == page)
            {
                return Ok(Some(RunPlace { level, slot, run }));
            }
            child = node.child(slot)?;
            level -= 1;
        }
        let leaf = self.reader().node(self.tree, 0, &child)?;
        let (slot, found) = leaf.lower_bound(key, &self.reader())?;
        if found
            && let Stored::Run { run, .. } = leaf.entry(slot)?.stored
            && run.page == page
        {
            return Ok(Some(RunPlace { level: 0, slot, run }));
        }
        Ok(None)
    }

    /// Makes the way to `key` dirty down to `level`. Returns the unplaced number of the page there, and that of its
    /// parent with the slot in it.
    fn way_to(&mut self, key: &[u8], level: u8) -> Checked<(u64, Option<(u64, usize)>)> {
        let mut at = self.root.depth - 1;
        let mut number = self.make_dirty(at, &self.root.as_child())?;
        self.root.page = number;
        let mut parent = None;
        while at > level {
            let node = self.dirty.page(number)?.node();
            let slot = node.child_for(key, &self.reader())?;
            let child = node.child(slot)?;
            let below = self.make_dirty(at - 1, &child)?;
            self.dirty.page_mut(number)?.set_child(slot, &Child { page: below, ..child })?;
            parent = Some((number, slot));
            number = below;
            at -= 1;
        }
        Ok((number, parent))
    }

    /// Takes neighbours into a leaf that is not nearly full, as long as they fit.
    fn pack(&mut self, leaf: u64, parent: u64, mut slot: usize) -> Checked<()> {
        /// Neighbours taken in at the most.
        const MERGES: usize = 8;
        let room = self.pages.geometry.room();
        let (thin, most) = (room / 4 * 3, room / 16 * 15);
        if self.dirty.page(leaf)?.taken() > thin {
            return Ok(());
        }
        let mut merged = false;
        for _ in 0..MERGES {
            if slot + 1 < self.dirty.page(parent)?.count() && self.merge(parent, slot, most)? {
                merged = true;
            } else if slot > 0 && self.merge(parent, slot - 1, most)? {
                (slot, merged) = (slot - 1, true);
            } else {
                break;
            }
        }
        if merged { self.shrink_root() } else { Ok(()) }
    }
}
