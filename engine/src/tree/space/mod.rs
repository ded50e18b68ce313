//! Free pages: which there are, which of them may be written to, and how that is made durable.
//!
//! A page that a transaction frees was part of the roots from the transaction that wrote it (`written`) up
//! to, not including, the one that freed it (`freed`). It may be written to again when no root in that range
//! is *protected*: pinned by a reader, held by the durable meta page, or by a checkpoint under way. So a
//! page that was written and freed between two checkpoints, and that no reader pins, is used again at once.
//!
//! A free page is in one of these places:
//!
//! - `ready`: in memory, may be written to now. Small: what it has too much of goes to the tree.
//! - `held`: must wait, and says for which root. In memory alone at first, later in the tree besides.
//! - the free tree: runs of pages, start to length, neighbours merged. Taking pages out of it passes over
//!   those that must wait. A run's stamp is its length, so that a run of a wanted length is found without a
//!   walk.
//! - `tree.freed`: pages of the free tree itself that it has outgrown since it was last written.
//!
//! The lowest ready page of the file is used first, wherever it is known, so that the end of the file
//! empties. The `scan` makes that cheap: it knows below which page of the tree none is ready.
//!
//! The free tree is changed on the heap. It is written at a checkpoint, after everything free has been put
//! into it: so the durable free tree says exactly what the durable trees do not use. When many of its pages
//! have changed they are written earlier, so that little is left to do for the checkpoint. Otherwise it costs
//! nothing but what is taken out of it, and opening a file loads none of it.
//!
//! What is done in one go is bounded, in pages and looks, whatever the size of the file and however much
//! is free or held: it happens with the writer's turn. The exception is what a transaction itself has freed: it pays for that
//! when it is published, and leaves nothing of it to the next one or to a checkpoint.

mod free_tree;
mod held;
mod persist;
mod ready;
mod refill;
mod surplus;

pub(crate) use free_tree::free_stamp;
use free_tree::{FreeTree, freed_twice};
use held::{Held, HeldPages};
use ready::Ready;
use refill::Scan;
use surplus::Surplus;

use super::edit::Freed;
use super::pages::Pages;
use super::root::TreeRoot;
use crate::error::EngineError;
use crate::page::{FREE_TREE, Fault, Geometry};

/// Most runs kept ready in memory. A checkpoint puts all of them into the tree while the writer waits, at
/// one or two microseconds each.
const READY_LIMIT: usize = 512;
/// Most runs held in memory outside the tree; the same holds for them.
const HELD_LIMIT: usize = 512;
/// Runs put into the tree at a time, once there are too many.
const HELD_BATCH: usize = 256;

/// All free pages of a file.
#[derive(Clone)]
pub(crate) struct Space {
    /// Pages from here on have never been used.
    pub(crate) high_water: u64,
    tree: FreeTree,
    ready: Ready,
    held: HeldPages,
    scan: Scan,
    surplus: Surplus,
    /// A page of the free tree is to be moved when the tree is next written.
    pub(super) own_page_moves: bool,
}

impl Space {
    /// The free pages as a meta page tells them.
    pub(crate) fn new(geometry: Geometry, high_water: u64, tree: TreeRoot, free_pages: u64) -> Self {
        Self {
            high_water,
            tree: FreeTree::new(geometry, tree, free_pages),
            ready: Ready::default(),
            held: HeldPages::default(),
            scan: Scan::new(),
            surplus: Surplus::new(),
            own_page_moves: false,
        }
    }

    /// Pages below the high-water mark that the newest root does not need.
    pub(crate) fn free_pages(&self) -> u64 {
        self.tree.pages + self.ready.pages() + self.held.fresh_pages() + self.tree.freed.len() as u64
    }

    /// Free pages that wait for this root.
    pub(super) fn pages_waiting_for(&self, txn: u64) -> u64 {
        self.held.pages_waiting_for(txn)
    }

    /// Pages that may be written to now.
    fn ready_pages(&self) -> u64 {
        self.ready.pages() + self.tree.pages.saturating_sub(self.held.in_tree_pages())
    }

    /// Pages that the newest root needs, the free tree's own with them.
    pub(super) fn pages_in_use(&self) -> u64 {
        self.high_water.saturating_sub(self.free_pages())
    }

    /// Ready pages that nobody has needed for a few intervals between checkpoints; with `hurry`, all that are ready.
    pub(super) fn surplus(&self, hurry: bool) -> u64 {
        let ready = self.ready_pages();
        if hurry { ready } else { self.surplus.pages(ready) }
    }

    /// Whether the surplus can become larger though nobody writes, by checkpoints alone.
    pub(super) fn surplus_may_rise(&self) -> bool {
        self.surplus.may_rise()
    }

    /// Whether more held pages become ready when the lists are tidied again.
    pub(super) fn is_letting_go(&self, protected: &[u64]) -> bool {
        self.held.is_letting_go(protected)
    }

    /// Runs that are ready in memory, and their limit, for a check.
    #[cfg(test)]
    pub(super) fn ready_runs(&self) -> (usize, usize) {
        (self.ready.runs(), READY_LIMIT)
    }

    /// Contiguous pages: the lowest free ones that are ready, or else new ones behind the end.
    pub(super) fn take(&mut self, pages: &Pages, count: u64) -> Result<u64, EngineError> {
        self.refill(pages, count)?;
        if let Some(start) = self.ready.take(count) {
            return Ok(start);
        }
        let start = self.high_water;
        self.high_water += count;
        Ok(start)
    }

    /// Takes in what transaction `freed` has freed. `protected` are the protected roots, ascending.
    pub(super) fn release(
        &mut self,
        pages: &Pages,
        runs: &[Freed],
        freed: u64,
        protected: &[u64],
    ) -> Result<(), EngineError> {
        self.surplus.note(self.ready_pages());
        self.surplus.disturb();
        for run in runs {
            self.check_range(pages, run.start, run.pages)?;
            let held = Held { start: run.start, pages: run.pages, written: run.written, freed };
            match held.blocker(protected) {
                Some(blocker) => self.held.add_fresh(held, blocker),
                None => self.make_ready(pages, run.start, run.pages)?,
            }
        }
        Ok(())
    }

    /// Only a damaged page whose checksum was right can speak of a run that lies outside the file.
    fn check_range(&self, pages: &Pages, start: u64, len: u64) -> Result<(), EngineError> {
        let end = start.checked_add(len);
        if start >= pages.geometry.first_page() && end.is_some_and(|end| end <= self.high_water) {
            return Ok(());
        }
        let what =
            format!("a run of {len} pages begins at it, which does not lie among the pages of the file");
        Err(pages.error(FREE_TREE, Fault::page(start, what), None, None))
    }

    /// Pages that were free already can only come from a damaged page whose checksum was right.
    fn make_ready(&mut self, pages: &Pages, start: u64, len: u64) -> Result<(), EngineError> {
        if self.ready.add(start, len) { Ok(()) } else { Err(freed_twice(pages, start)) }
    }

    /// Lets go of held pages that nobody needs any more, and keeps the lists in memory short.
    pub(super) fn tidy(&mut self, pages: &Pages, protected: &[u64]) -> Result<(), EngineError> {
        self.scan.rest();
        let before = self.ready_pages();
        let let_go = self.held.look(protected);
        for (start, len) in let_go.fresh {
            self.make_ready(pages, start, len)?;
        }
        if let Some(lowest) = let_go.lowest_in_tree {
            self.scan.ready(lowest);
        }
        self.surplus.let_go(before, self.ready_pages());
        if self.held.fresh_runs() > HELD_LIMIT {
            self.hold_in_tree(pages, self.held.fresh_runs() - HELD_LIMIT + HELD_BATCH)?;
        }
        if self.ready.runs() > READY_LIMIT {
            let upper = self.ready.split_off_after(READY_LIMIT / 2);
            self.put_into_tree(pages, upper)?;
        }
        Ok(())
    }

    /// Puts `count` of the held runs that are not in the tree into it.
    fn hold_in_tree(&mut self, pages: &Pages, count: usize) -> Result<(), EngineError> {
        let mut held = self.held.take_fresh(count);
        held.sort_unstable_by_key(|(run, _)| run.start);
        for (run, blocker) in held {
            self.tree.insert(pages, run.start, run.pages)?;
            self.held.add_in_tree(run, blocker);
        }
        Ok(())
    }

    /// Puts ready runs, ascending, into the tree.
    fn put_into_tree(
        &mut self,
        pages: &Pages,
        runs: impl IntoIterator<Item = (u64, u64)>,
    ) -> Result<(), EngineError> {
        for (start, len) in runs {
            self.tree.insert(pages, start, len)?;
            self.scan.ready(start);
        }
        Ok(())
    }

    /// Where the free run around `page` begins, if it is free for the newest root: ready, held or left by the free tree.
    /// Looks through the lists in memory, which [`Space::tidy`] keeps short.
    pub(super) fn free_run_around(&self, pages: &Pages, page: u64) -> Result<Option<u64>, EngineError> {
        if let Some(start) = self.ready.run_around(page) {
            return Ok(Some(start));
        }
        if let Some(start) = self.held.fresh_run_around(page) {
            return Ok(Some(start));
        }
        let left = self.tree.freed.iter().find(|run| (run.start..run.start + run.pages).contains(&page));
        if let Some(run) = left {
            return Ok(Some(run.start));
        }
        Ok(self.tree.run_around(pages, page)?.map(|(start, _)| start))
    }

    /// Whether the next run of `count` pages that is taken lies below `page`.
    pub(super) fn has_run_below(
        &mut self,
        pages: &Pages,
        count: u64,
        page: u64,
    ) -> Result<bool, EngineError> {
        self.refill(pages, count)?;
        Ok(self.ready.find(count).is_some_and(|start| start + count <= page))
    }

    /// Free pages at the end of the file that could be given up now. May tell too few.
    pub(super) fn tail_pages(&self, pages: &Pages) -> Result<u64, EngineError> {
        let ready = self.ready.run_around(self.high_water.saturating_sub(1));
        let listed = self.tree.last_run(pages)?.filter(|(start, len)| start + len == self.high_water);
        let listed = listed.map(|(start, _)| self.held.last_gap(start, self.high_water));
        Ok(self.high_water - ready.into_iter().chain(listed).min().unwrap_or(self.high_water))
    }

    /// Changes the page of the free tree at `level` on the way to `key`, if it is `page`, so that it gets a new place
    /// when the tree is next written.
    pub(super) fn move_own_page(
        &mut self,
        pages: &Pages,
        key: &[u8],
        level: u8,
        page: u64,
    ) -> Result<bool, EngineError> {
        let moved = self.tree.move_page(pages, key, level, page)?;
        self.own_page_moves |= moved;
        Ok(moved)
    }
}

#[cfg(test)]
mod tests;
