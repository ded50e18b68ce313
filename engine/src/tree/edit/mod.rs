//! Changing one tree within a transaction.
//!
//! A change makes every page from the root down to its leaf *dirty*: the page is copied to the heap, the
//! parent's reference to it becomes an unplaced number, and the page of the file is noted as freed. From
//! then on it is changed in place, until publishing writes it somewhere else. Counts are exact at every
//! moment; the stamps that dirty branches hold are upper bounds, made exact when they are written.

mod delete;
mod insert;
mod pack;
mod put;
mod relocate;

use super::StampFn;
use super::dirty::{Dirty, Item};
use super::pages::{Pages, Reader};
use super::read::TreeView;
use super::root::{DEPTH_LIMIT, TreeRoot};
use crate::error::EngineError;
use crate::page::{Checked, Child, PageBuf, RunRef, Stored, UNPLACED};

/// Pages of the file that a transaction no longer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) start: u64,
    pub(crate) pages: u64,
    /// The transaction that wrote them.
    pub(crate) written: u64,
}

/// One tree that is being changed.
pub(crate) struct Edit<'a> {
    pub(crate) pages: &'a Pages,
    pub(crate) dirty: &'a mut Dirty,
    pub(crate) freed: &'a mut Vec<Freed>,
    pub(crate) root: &'a mut TreeRoot,
    /// The tree's number in the file.
    pub(crate) tree: u8,
    pub(crate) stamp: StampFn,
}

/// The way from the root to a leaf, all of it dirty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// Unplaced number and slot of each page, the root first. The slot of the leaf means nothing.
    steps: [(u64, usize); DEPTH_LIMIT],
    len: usize,
    /// No page on the way has anything to the right of it.
    edge: bool,
}

impl Path {
    fn leaf(&self) -> u64 {
        self.steps[self.len - 1].0
    }
}

impl Edit<'_> {
    pub(super) fn view(&self) -> TreeView<'_> {
        let reader = Reader { pages: self.pages, dirty: Some(self.dirty) };
        TreeView { reader, tree: self.tree, root: *self.root }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { pages: self.pages, dirty: Some(self.dirty) }
    }

    /// Makes the page of a child dirty, unless it is so already, and returns its unplaced number.
    fn make_dirty(&mut self, level: u8, child: &Child) -> Checked<u64> {
        if child.page & UNPLACED != 0 {
            return Ok(child.page);
        }
        let node = self.pages.node(self.tree, level, child)?;
        self.freed.push(Freed { start: child.page, pages: 1, written: node.txn() });
        let copy = self.dirty.copy(node)?;
        Ok(self.dirty.add(Item::Page(copy)))
    }

    /// Makes the whole way to the leaf of `key` dirty. The tree is not empty.
    fn path_to(&mut self, key: &[u8]) -> Checked<Path> {
        let mut path = Path { steps: [(0, 0); DEPTH_LIMIT], len: 0, edge: true };
        let mut level = self.root.depth - 1;
        let mut number = self.make_dirty(level, &self.root.as_child())?;
        self.root.page = number;
        loop {
            let page = self.dirty.page(number)?;
            path.len += 1;
            if level == 0 {
                path.steps[path.len - 1] = (number, 0);
                return Ok(path);
            }
            let slot = page.node().child_for(key, &self.reader())?;
            path.steps[path.len - 1] = (number, slot);
            path.edge &= slot + 1 == page.count();
            let mut child = page.node().child(slot)?;
            if child.page & UNPLACED == 0 {
                child.page = self.make_dirty(level - 1, &child)?;
                self.dirty.page_mut(number)?.set_child(slot, &child)?;
            }
            number = child.page;
            level -= 1;
        }
    }

    /// Lets go of a run: of its place in the file, or of its bytes on the heap.
    fn free_run(&mut self, run: &RunRef) -> Checked<()> {
        if run.page & UNPLACED != 0 {
            return self.dirty.drop_item(run.page);
        }
        let pages = run.pages(self.pages.geometry);
        self.freed.push(Freed { start: run.page, pages, written: run.txn });
        Ok(())
    }

    /// Lets go of a page that a merge has emptied.
    fn free_page(&mut self, level: u8, child: &Child) -> Checked<()> {
        if child.page & UNPLACED != 0 {
            return self.dirty.drop_item(child.page);
        }
        let written = self.pages.node(self.tree, level, child)?.txn();
        self.freed.push(Freed { start: child.page, pages: 1, written });
        Ok(())
    }

    /// What a parent holds of a dirty page.
    fn summary(&self, number: u64) -> Checked<Child> {
        let page = self.dirty.page(number)?;
        let node = page.node();
        let mut sum = Child { page: number, ..Child::default() };
        for i in 0..node.count() {
            if node.is_leaf() {
                sum.stamp = sum.stamp.max(self.stamp_in(page, i)?);
            } else {
                let child = node.child(i)?;
                sum.count = sum.count.saturating_add(child.count);
                sum.stamp = sum.stamp.max(child.stamp);
            }
        }
        if node.is_leaf() {
            sum.count = node.count() as u64;
        }
        Ok(sum)
    }

    /// Stamp of entry `i` of a leaf.
    fn stamp_in(&self, leaf: &PageBuf, i: usize) -> Checked<u64> {
        entry_stamp(leaf, i, self.stamp)
    }

    fn too_deep(&self) -> EngineError {
        EngineError::TooDeep { tree: self.pages.tree_name(self.tree), limit: DEPTH_LIMIT }
    }
}

/// Stamp of entry `i` of a leaf. That of an entry in a run stands in its cell.
pub(super) fn entry_stamp(leaf: &PageBuf, i: usize, stamp: StampFn) -> Checked<u64> {
    let cell = leaf.node().entry(i)?;
    Ok(match &cell.stored {
        Stored::Inline(value) => stamp(cell.inline, value),
        Stored::Run { stamp, .. } => *stamp,
    })
}
