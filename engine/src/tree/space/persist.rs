//! Writing the free tree at a checkpoint.
//!
//! The tree must list every free page except those it stands on itself, and both change as it is written:
//! a changed page of the tree needs a new place and leaves the old one free. So everything else goes in
//! first; some ready pages are kept back for the tree's own pages; what is too much goes in one by one, and
//! what is missing comes from behind the end of the file, which is no change to the tree. Old places that
//! fall free meanwhile go in as well: every page of the tree is copied at most once, so this ends.

use super::{Held, Space};
use crate::error::EngineError;
use crate::page::{Checked, FREE_TREE, Fault};
use crate::tree::dirty::Dirty;
use crate::tree::pages::Pages;
use crate::tree::place::{Block, Placer};
use crate::tree::root::TreeRoot;
use crate::tree::space::free_tree::free_stamp;

/// The free tree as a checkpoint writes it.
pub(in crate::tree) struct WrittenTree {
    pub(in crate::tree) root: TreeRoot,
    /// Pages in its runs.
    pub(in crate::tree) free_pages: u64,
    pub(in crate::tree) blocks: Vec<Block>,
}

impl Space {
    /// Puts everything that is free into the tree and gives its changed pages places, as part of
    /// transaction `txn`.
    pub(in crate::tree) fn persist(&mut self, pages: &Pages, txn: u64) -> Result<WrittenTree, EngineError> {
        self.hold_in_tree(pages, self.held.len())?;
        self.absorb(pages, txn)?;
        let mut own = self.places_for_tree(pages, txn)?;
        let mut blocks = Vec::new();
        own.reverse();
        let mut take = |count: u64| -> Checked<u64> {
            debug_assert_eq!(count, 1, "the free tree has no long keys or values");
            own.pop().ok_or_else(|| Fault::page(0, "the free tree reaches more changed pages than it has"))
        };
        let mut keep = |number, item| {
            blocks.push(Block::new(number, item));
            Ok(None)
        };
        let mut placer =
            Placer { dirty: &mut self.tree.dirty, txn, stamp: free_stamp, take: &mut take, sink: &mut keep };
        placer.place(&mut self.tree.root).map_err(|fault| pages.error(FREE_TREE, fault, None, None))?;
        assert!(own.is_empty() && self.tree.dirty.count() == 0, "every place has its page");
        self.scan_from = 0;
        Ok(WrittenTree { root: self.tree.root, free_pages: self.tree.pages, blocks })
    }

    /// Puts the places that the tree has left into it.
    fn absorb(&mut self, pages: &Pages, txn: u64) -> Result<(), EngineError> {
        while let Some(run) = self.tree.freed.pop() {
            let held = Held { start: run.start, pages: run.pages, written: run.written, freed: txn };
            self.tree.insert(pages, held.start, held.pages)?;
            self.held_in_tree_pages += held.pages;
            self.held_in_tree.insert(held.start, held);
        }
        Ok(())
    }

    /// Gives up free pages in front of the high-water mark: they count as never used again, and the file can
    /// be cut once no meta page speaks of them.
    fn cut_tail(&mut self, pages: &Pages) -> Result<(), EngineError> {
        let Some((start, len)) = self.tree.last_run(pages)?.filter(|(s, l)| s + l == self.high_water) else {
            return Ok(());
        };
        if let Some(&(tail, _, false)) = self.pieces(start, len).last() {
            self.tree.remove(pages, start, len)?;
            if tail > start {
                self.tree.insert(pages, start, tail - start)?;
            }
            self.high_water = tail;
        }
        Ok(())
    }

    /// Chooses the places for the tree's changed pages, puts all other ready pages into the tree, and
    /// returns the places, ascending.
    fn places_for_tree(&mut self, pages: &Pages, txn: u64) -> Result<Vec<u64>, EngineError> {
        /// Pages that the tree is likely to change when the rest goes in.
        const SLACK_PAGES: usize = 2;
        if self.ready.pages() == 0 {
            self.refill(pages, 1)?;
            self.absorb(pages, txn)?;
        }
        let want = self.tree.dirty.count() + SLACK_PAGES;
        let mut own: Vec<u64> = (0..want).map_while(|_| self.ready.take(1)).collect();
        for (start, len) in self.ready.drain() {
            self.tree.insert(pages, start, len)?;
        }
        self.absorb(pages, txn)?;
        self.cut_tail(pages)?;
        self.absorb(pages, txn)?;
        while own.len() > self.tree.dirty.count() {
            if let Some(page) = own.pop() {
                self.tree.insert(pages, page, 1)?;
            }
            self.absorb(pages, txn)?;
        }
        while own.len() < self.tree.dirty.count() {
            own.push(self.high_water);
            self.high_water += 1;
        }
        Ok(own)
    }

    /// Every free page, as runs, for a check: what the tree holds is read from it.
    pub(crate) fn all_runs(&self, pages: &Pages, mut each: impl FnMut(u64, u64)) -> Result<(), EngineError> {
        self.ready.iter().for_each(|(start, len)| each(start, len));
        self.held.iter().for_each(|h| each(h.start, h.pages));
        self.tree.freed.iter().for_each(|f| each(f.start, f.pages));
        let mut runs = self.tree.runs_from(pages, 0)?;
        while let Some((start, len)) = runs.next_run()? {
            each(start, len);
        }
        Ok(())
    }

    /// The free tree, for a check.
    pub(crate) fn tree_root(&self) -> TreeRoot {
        self.tree.root
    }

    /// The changed pages of the free tree, for a check.
    pub(crate) fn tree_pages(&self) -> &Dirty {
        &self.tree.dirty
    }
}
