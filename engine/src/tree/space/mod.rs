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
//! - `held`: in memory, must wait; not in the tree yet.
//! - the free tree: runs of pages, start to length, neighbours merged. Those that must wait are listed in
//!   `held_in_tree` besides, so that taking pages out of the tree can pass over them. A run's stamp is its
//!   length, so that a run of a wanted length is found without a walk.
//! - `tree.freed`: pages of the free tree itself that it has outgrown since the last checkpoint.
//!
//! The free tree is changed on the heap only, and written at a checkpoint, after everything free has been
//! put into it: so the durable free tree says exactly what the durable trees do not use. Between
//! checkpoints it costs nothing but what is taken out of it, and opening a file loads none of it.

mod free_tree;
mod persist;
mod ready;

use std::collections::BTreeMap;

pub(crate) use free_tree::free_stamp;
use free_tree::{FreeTree, freed_twice};
use ready::Ready;

use super::edit::Freed;
use super::pages::Pages;
use super::root::TreeRoot;
use crate::error::EngineError;
use crate::page::{FREE_TREE, Fault, Geometry};

/// Most runs kept ready in memory. A checkpoint puts all of them into the tree while the writer waits, at
/// about a microsecond each.
const READY_LIMIT: usize = 1024;
/// Most runs held in memory outside the tree; the same holds for them.
const HELD_LIMIT: usize = 1024;
/// Runs put into the tree at a time, once there are too many.
const HELD_BATCH: usize = 256;
/// Runs taken out of the tree at a time.
const REFILL_RUNS: usize = 64;
/// Runs looked at, most of them held, before a long run is taken behind the end instead.
const LONG_RUN_TRIES: usize = 64;

/// A run of pages that must wait.
#[derive(Debug, Clone, Copy)]
struct Held {
    start: u64,
    pages: u64,
    written: u64,
    freed: u64,
}

impl Held {
    /// Whether one of the protected roots (ascending) can reach it.
    fn is_needed(&self, protected: &[u64]) -> bool {
        let first = protected.partition_point(|&txn| txn < self.written);
        protected.get(first).is_some_and(|&txn| txn < self.freed)
    }
}

/// All free pages of a file.
#[derive(Clone)]
pub(crate) struct Space {
    /// Pages from here on have never been used.
    pub(crate) high_water: u64,
    tree: FreeTree,
    ready: Ready,
    held: Vec<Held>,
    held_pages: u64,
    /// Length of `held` after it was last looked through.
    held_after_scan: usize,
    held_in_tree: BTreeMap<u64, Held>,
    held_in_tree_pages: u64,
    /// No page of the tree below this one is ready.
    scan_from: u64,
    /// The durable transaction when the held pages were last looked through for it.
    seen_durable: u64,
}

impl Space {
    /// The free pages as a meta page tells them.
    pub(crate) fn new(
        geometry: Geometry,
        high_water: u64,
        tree: TreeRoot,
        free_pages: u64,
        durable: u64,
    ) -> Self {
        Self {
            high_water,
            tree: FreeTree::new(geometry, tree, free_pages),
            ready: Ready::default(),
            held: Vec::new(),
            held_pages: 0,
            held_after_scan: 0,
            held_in_tree: BTreeMap::new(),
            held_in_tree_pages: 0,
            scan_from: 0,
            seen_durable: durable,
        }
    }

    /// Pages below the high-water mark that the newest root does not need.
    pub(crate) fn free_pages(&self) -> u64 {
        self.tree.pages + self.ready.pages() + self.held_pages + self.tree.freed.len() as u64
    }

    /// Contiguous pages: the lowest free ones that are ready, or else new ones behind the end.
    pub(super) fn take(&mut self, pages: &Pages, count: u64) -> Result<u64, EngineError> {
        if let Some(start) = self.ready.take(count) {
            return Ok(start);
        }
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
        for run in runs {
            self.check_range(pages, run.start, run.pages)?;
            let held = Held { start: run.start, pages: run.pages, written: run.written, freed };
            if held.is_needed(protected) {
                self.held.push(held);
                self.held_pages += held.pages;
            } else {
                self.make_ready(pages, run.start, run.pages)?;
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

    /// Looks for held pages that nobody needs any more, and keeps the lists in memory short. Held pages are
    /// looked through when the durable root has moved, or when there are twice as many as last time: so the
    /// cost per freed page is constant.
    pub(super) fn tidy(&mut self, pages: &Pages, protected: &[u64], durable: u64) -> Result<(), EngineError> {
        let moved = durable != self.seen_durable;
        self.seen_durable = durable;
        if moved {
            self.unhold_in_tree(protected);
        }
        if moved || self.held.len() > 2 * self.held_after_scan + 64 {
            let all = std::mem::take(&mut self.held);
            let (needed, ready): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|held| held.is_needed(protected));
            self.held = needed;
            for run in ready {
                self.held_pages -= run.pages;
                self.make_ready(pages, run.start, run.pages)?;
            }
            self.held_after_scan = self.held.len();
        }
        if self.held.len() > HELD_LIMIT {
            self.hold_in_tree(pages, self.held.len() - HELD_LIMIT + HELD_BATCH)?;
        }
        if self.ready.runs() > READY_LIMIT {
            for (start, count) in self.ready.split_off_upper_half() {
                self.tree.insert(pages, start, count)?;
            }
            self.scan_from = 0;
        }
        Ok(())
    }

    /// Held pages of the tree that nobody needs any more can be taken from it.
    fn unhold_in_tree(&mut self, protected: &[u64]) {
        let before = self.held_in_tree.len();
        self.held_in_tree.retain(|_, held| held.is_needed(protected));
        if self.held_in_tree.len() != before {
            self.held_in_tree_pages = self.held_in_tree.values().map(|h| h.pages).sum();
            self.scan_from = 0;
        }
    }

    /// Puts the `count` runs that have been held longest into the tree.
    fn hold_in_tree(&mut self, pages: &Pages, count: usize) -> Result<(), EngineError> {
        let mut held: Vec<Held> = self.held.drain(..count).collect();
        self.held_after_scan = self.held_after_scan.saturating_sub(count);
        held.sort_unstable_by_key(|h| h.start);
        for run in held {
            self.held_pages -= run.pages;
            self.tree.insert(pages, run.start, run.pages)?;
            self.held_in_tree_pages += run.pages;
            self.held_in_tree.insert(run.start, run);
        }
        Ok(())
    }

    /// Takes ready runs out of the tree: the lowest ones for single pages, else the lowest that is long
    /// enough.
    fn refill(&mut self, pages: &Pages, count: u64) -> Result<(), EngineError> {
        if self.tree.pages.saturating_sub(self.held_in_tree_pages) < count {
            return Ok(());
        }
        let found = if count == 1 { self.lowest_runs(pages)? } else { self.long_run(pages, count)? };
        for (start, len) in found {
            self.check_range(pages, start, len)?;
            self.tree.remove(pages, start, len)?;
            for (start, len, held) in self.pieces(start, len) {
                if held {
                    self.tree.insert(pages, start, len)?;
                } else {
                    self.make_ready(pages, start, len)?;
                }
            }
        }
        Ok(())
    }

    /// The lowest runs of the tree that have a ready page.
    fn lowest_runs(&mut self, pages: &Pages) -> Result<Vec<(u64, u64)>, EngineError> {
        let mut found = Vec::new();
        let mut runs = self.tree.runs_from(pages, self.scan_from)?;
        while let Some((start, len)) = runs.next_run()? {
            self.scan_from = start + len;
            if self.has_ready_page(start, len) {
                found.push((start, len));
                if found.len() == REFILL_RUNS {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The lowest run of the tree that has `count` ready pages in a row.
    fn long_run(&self, pages: &Pages, count: u64) -> Result<Vec<(u64, u64)>, EngineError> {
        let mut runs = self.tree.runs_from(pages, 0)?;
        for _ in 0..LONG_RUN_TRIES {
            let Some((start, len)) = runs.next_run_of(count)? else {
                break;
            };
            if self.pieces(start, len).iter().any(|&(_, len, held)| !held && len >= count) {
                return Ok(vec![(start, len)]);
            }
        }
        Ok(Vec::new())
    }

    fn has_ready_page(&self, start: u64, len: u64) -> bool {
        let held: u64 = self.held_in_tree.range(start..start + len).map(|(_, h)| h.pages).sum();
        held < len
    }

    /// A run of the tree cut into ready and held pieces: start, length, held.
    fn pieces(&self, start: u64, len: u64) -> Vec<(u64, u64, bool)> {
        let mut pieces = Vec::new();
        let mut at = start;
        for held in self.held_in_tree.range(start..start + len).map(|(_, h)| h) {
            if held.start > at {
                pieces.push((at, held.start - at, false));
            }
            pieces.push((held.start, held.pages, true));
            at = held.start + held.pages;
        }
        if at < start + len {
            pieces.push((at, start + len - at, false));
        }
        pieces
    }
}
