//! Moving pages and runs: what is changed gets a new place when it is written, the lowest there is.
//!
//! A page that moves takes its ancestors with it, since a parent holds the number of each child.

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
        self.way_to(key, level)?;
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
        let number = self.way_to(key, level)?;
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

    /// Makes the way to `key` dirty down to `level`. Returns the unplaced number of the page there.
    pub(super) fn way_to(&mut self, key: &[u8], level: u8) -> Checked<u64> {
        let mut at = self.root.depth - 1;
        let mut number = self.make_dirty(at, &self.root.as_child())?;
        self.root.page = number;
        while at > level {
            let node = self.dirty.page(number)?.node();
            let slot = node.child_for(key, &self.reader())?;
            let child = node.child(slot)?;
            let below = self.make_dirty(at - 1, &child)?;
            self.dirty.page_mut(number)?.set_child(slot, &Child { page: below, ..child })?;
            number = below;
            at -= 1;
        }
        Ok(number)
    }
}
