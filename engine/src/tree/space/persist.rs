//! Writing the free tree: at a checkpoint, and earlier when much of it has changed.
//!
//! At a checkpoint the tree must list every free page except those it stands on itself, and both change as
//! it is written: a changed page of the tree needs a new place and leaves the old one free. So places for
//! what has changed are put aside and everything else goes in, which changes some more pages; for these,
//! places are taken out again, which changes next to nothing, since they come from the front of the tree.
//! What is too much in the end goes in one by one, and what is missing comes from behind the end of the
//! file, which is no change to the tree. Old places that fall free meanwhile go in as well: every page of the
//! tree is copied at most once, so this ends.
//!
//! Between checkpoints nothing need be complete: the changed pages are given places, and that is all.

use super::Space;
use super::held::Held;
use crate::error::EngineError;
use crate::page::{Checked, FREE_TREE, Fault};
use crate::tree::dirty::Dirty;
use crate::tree::pages::Pages;
use crate::tree::place::{Block, Placer};
use crate::tree::root::TreeRoot;
use crate::tree::space::free_tree::free_stamp;

/// Changed pages of the tree that are left for the next checkpoint at the most: writing them takes the writer's turn.
const CHANGED_LIMIT: usize = 512;

/// The free tree as a checkpoint writes it.
pub(in crate::tree) struct WrittenTree {
    pub(in crate::tree) root: TreeRoot,
    /// Pages in its runs.
    pub(in crate::tree) free_pages: u64,
    pub(in crate::tree) blocks: Vec<Block>,
}

impl Space {
    /// Puts everything that is free into the tree and gives its changed pages places, as part of
    /// transaction `txn`. `protected` are the protected roots, ascending.
    pub(in crate::tree) fn persist(
        &mut self,
        pages: &Pages,
        txn: u64,
        protected: &[u64],
    ) -> Result<WrittenTree, EngineError> {
        self.surplus.note(self.ready_pages());
        self.scan.rest();
        self.hold_in_tree(pages, self.held.fresh_runs())?;
        self.absorb(pages, txn, protected)?;
        let own = self.places_for_tree(pages, txn, protected)?;
        let blocks = self.place(pages, txn, own)?;
        self.surplus.next_interval(self.ready_pages());
        self.own_page_moves = false;
        Ok(WrittenTree { root: self.tree.root, free_pages: self.tree.pages, blocks })
    }

    /// Gives the tree's changed pages places, as part of transaction `txn`, when there are many. `protected` are the
    /// protected roots, ascending.
    pub(in crate::tree) fn write_ahead(
        &mut self,
        pages: &Pages,
        txn: u64,
        protected: &[u64],
    ) -> Result<Vec<Block>, EngineError> {
        if self.tree.dirty.count() < CHANGED_LIMIT {
            return Ok(Vec::new());
        }
        let left = std::mem::take(&mut self.tree.freed);
        self.release(pages, &left, txn, protected)?;
        let mut own = Vec::with_capacity(self.tree.dirty.count());
        while own.len() < self.tree.dirty.count() {
            own.push(self.take(pages, 1)?);
        }
        while own.len() > self.tree.dirty.count() {
            if let Some(page) = own.pop() {
                self.make_ready(pages, page, 1)?;
            }
        }
        self.place(pages, txn, own)
    }

    /// Puts the tree's changed pages in these places, ascending.
    fn place(&mut self, pages: &Pages, txn: u64, mut own: Vec<u64>) -> Result<Vec<Block>, EngineError> {
        let mut blocks = Vec::with_capacity(own.len());
        own.sort_unstable_by_key(|&page| std::cmp::Reverse(page));
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
        Ok(blocks)
    }

    /// Puts the places that the tree has left into it.
    fn absorb(&mut self, pages: &Pages, txn: u64, protected: &[u64]) -> Result<(), EngineError> {
        while let Some(run) = self.tree.freed.pop() {
            let held = Held { start: run.start, pages: run.pages, written: run.written, freed: txn };
            match held.blocker(protected) {
                Some(blocker) => {
                    self.tree.insert(pages, held.start, held.pages)?;
                    self.held.add_in_tree(held, blocker);
                }
                None => self.put_into_tree(pages, [(held.start, held.pages)])?,
            }
        }
        Ok(())
    }

    /// Chooses the places for the tree's changed pages, and puts all other ready pages into the tree.
    fn places_for_tree(
        &mut self,
        pages: &Pages,
        txn: u64,
        protected: &[u64],
    ) -> Result<Vec<u64>, EngineError> {
        /// Pages that the tree is likely to change when the rest goes in.
        const SLACK_PAGES: usize = 2;
        /// How often places are taken out again for pages that have changed meanwhile.
        const ROUNDS: usize = 4;
        let mut own = Vec::new();
        for _ in 0..ROUNDS {
            while own.len() < self.tree.dirty.count() + SLACK_PAGES {
                self.refill(pages, 1)?;
                let Some(page) = self.ready.take_page() else {
                    break;
                };
                own.push(page);
            }
            let rest = self.ready.drain();
            self.put_into_tree(pages, rest)?;
            self.absorb(pages, txn, protected)?;
            if own.len() >= self.tree.dirty.count() {
                break;
            }
        }
        self.cut_tail(pages)?;
        self.absorb(pages, txn, protected)?;
        while own.len() > self.tree.dirty.count() {
            if let Some(page) = own.pop() {
                self.put_into_tree(pages, [(page, 1)])?;
            }
            self.absorb(pages, txn, protected)?;
        }
        while own.len() < self.tree.dirty.count() {
            own.push(self.high_water);
            self.high_water += 1;
        }
        Ok(own)
    }

    /// Gives up free pages in front of the high-water mark: they count as never used again, and the file can
    /// be cut once no meta page speaks of them.
    fn cut_tail(&mut self, pages: &Pages) -> Result<(), EngineError> {
        let Some((start, len)) = self.tree.last_run(pages)?.filter(|(s, l)| s + l == self.high_water) else {
            return Ok(());
        };
        let tail = self.held.last_gap(start, start + len);
        if tail < start + len {
            self.tree.carve(pages, tail, start + len - tail)?;
            self.surplus.cut(self.high_water - tail);
            self.high_water = tail;
        }
        Ok(())
    }

    /// Every free page, as runs, for a check: what the tree holds is read from it.
    pub(crate) fn all_runs(&self, pages: &Pages, mut each: impl FnMut(u64, u64)) -> Result<(), EngineError> {
        self.ready.iter().for_each(|(start, len)| each(start, len));
        self.held.fresh().for_each(|h| each(h.start, h.pages));
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
