//! Free pages that must wait, because a protected root still needs them.
//!
//! Each run waits for one root, the oldest protected one that can reach it. When that root is protected no more, the run
//! is looked at again: it is let go, or waits for the next. Once a page is free, no root that can reach it comes into
//! being, so the roots that it waits for only grow newer, and it is looked at once for each of them. What is waited for
//! by a root that stays, such as one that a slow reader pins, costs nothing meanwhile, however much it is.
//!
//! Runs begin in memory alone, and move into the free tree when there are too many, and at checkpoints. There they are
//! inside runs of free pages, so it must be possible to pass over them by address.

use std::collections::BTreeMap;

/// Runs looked at again in one go at the most: a reader that has been slow may let go of a million.
const LOOK_LIMIT: usize = 2048;

/// A run of pages that must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) start: u64,
    pub(super) pages: u64,
    pub(super) written: u64,
    pub(super) freed: u64,
}

impl Held {
    /// The oldest of the protected roots (ascending) that can reach it.
    pub(super) fn blocker(&self, protected: &[u64]) -> Option<u64> {
        let first = protected.partition_point(|&txn| txn < self.written);
        protected.get(first).copied().filter(|&txn| txn < self.freed)
    }
}

/// What waits for one root.
#[derive(Debug, Clone, Default)]
struct Waiting {
    /// Runs that are not in the free tree.
    fresh: Vec<Held>,
    /// Where runs that are in the free tree begin.
    in_tree: Vec<u64>,
    pages: u64,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.in_tree.is_empty()
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldPages {
    /// By the root that they wait for.
    waiting: BTreeMap<u64, Waiting>,
    fresh_runs: usize,
    fresh_pages: u64,
    /// Those that are in the free tree, by address.
    in_tree: BTreeMap<u64, Held>,
    in_tree_pages: u64,
}

/// What a look has let go.
#[derive(Debug, Default)]
pub(super) struct LetGo {
    /// Runs that are not in the free tree: start and length.
    pub(super) fresh: Vec<(u64, u64)>,
    /// The lowest page of those that are in it.
    pub(super) lowest_in_tree: Option<u64>,
}

impl HeldPages {
    /// Runs that are not in the free tree.
    pub(super) fn fresh_runs(&self) -> usize {
        self.fresh_runs
    }

    /// Pages that are not in the free tree.
    pub(super) fn fresh_pages(&self) -> u64 {
        self.fresh_pages
    }

    /// Pages that are in the free tree.
    pub(super) fn in_tree_pages(&self) -> u64 {
        self.in_tree_pages
    }

    /// Pages that wait for the root of `txn`.
    pub(super) fn pages_waiting_for(&self, txn: u64) -> u64 {
        self.waiting.get(&txn).map_or(0, |waiting| waiting.pages)
    }

    /// Takes in a run that waits for the root of `blocker` and is not in the free tree.
    pub(super) fn add_fresh(&mut self, run: Held, blocker: u64) {
        let waiting = self.waiting.entry(blocker).or_default();
        waiting.fresh.push(run);
        waiting.pages += run.pages;
        self.fresh_runs += 1;
        self.fresh_pages += run.pages;
    }

    /// Takes in a run that waits for the root of `blocker` and is in the free tree.
    pub(super) fn add_in_tree(&mut self, run: Held, blocker: u64) {
        let waiting = self.waiting.entry(blocker).or_default();
        waiting.in_tree.push(run.start);
        waiting.pages += run.pages;
        self.in_tree_pages += run.pages;
        self.in_tree.insert(run.start, run);
    }

    /// Takes out about `count` runs that are not in the free tree, with the roots that they wait for: those of the oldest
    /// root first.
    pub(super) fn take_fresh(&mut self, count: usize) -> Vec<(Held, u64)> {
        let mut taken = Vec::with_capacity(count.min(self.fresh_runs));
        for (&blocker, waiting) in &mut self.waiting {
            if taken.len() >= count {
                break;
            }
            let some = waiting.fresh.len().min(count - taken.len());
            for run in waiting.fresh.drain(..some) {
                waiting.pages -= run.pages;
                self.fresh_pages -= run.pages;
                taken.push((run, blocker));
            }
        }
        self.fresh_runs -= taken.len();
        taken
    }

    /// Whether there is more to look at again.
    pub(super) fn is_letting_go(&self, protected: &[u64]) -> bool {
        self.waiting.keys().any(|txn| protected.binary_search(txn).is_err())
    }

    /// Looks again at what waits for roots that are not among the protected ones any more, a bounded number of runs.
    pub(super) fn look(&mut self, protected: &[u64]) -> LetGo {
        let gone: Vec<u64> =
            self.waiting.keys().copied().filter(|txn| protected.binary_search(txn).is_err()).collect();
        let (mut let_go, mut looks) = (LetGo::default(), LOOK_LIMIT);
        for txn in gone {
            let Some(mut waiting) = self.waiting.remove(&txn) else {
                continue;
            };
            while let Some(run) = waiting.fresh.pop_if(|_| looks > 0) {
                looks -= 1;
                waiting.pages -= run.pages;
                self.fresh_runs -= 1;
                self.fresh_pages -= run.pages;
                match run.blocker(protected) {
                    Some(blocker) => self.add_fresh(run, blocker),
                    None => let_go.fresh.push((run.start, run.pages)),
                }
            }
            while let Some(start) = waiting.in_tree.pop_if(|_| looks > 0) {
                looks -= 1;
                let Some(run) = self.in_tree.remove(&start) else {
                    continue;
                };
                waiting.pages -= run.pages;
                self.in_tree_pages -= run.pages;
                if let Some(blocker) = run.blocker(protected) {
                    self.add_in_tree(run, blocker);
                } else {
                    let lowest = let_go.lowest_in_tree.unwrap_or(u64::MAX);
                    let_go.lowest_in_tree = Some(lowest.min(run.start));
                }
            }
            if !waiting.is_empty() {
                self.waiting.insert(txn, waiting);
                break;
            }
        }
        let_go
    }

    /// The first stretch of `[from, to)`, a part of a run of the free tree, that nothing is held of: start and length.
    /// Looks at no more than `looks` held runs, counted down; when that is not enough, tells where it stopped.
    pub(super) fn gap(&self, from: u64, to: u64, looks: &mut usize) -> Gap {
        let before = self.in_tree.range(..from).next_back();
        let mut at = before.map_or(from, |(_, held)| from.max(held.start + held.pages));
        if at >= to {
            return Gap::None;
        }
        for held in self.in_tree.range(at..to).map(|(_, held)| held) {
            if held.start > at {
                return Gap::Found(at, held.start - at);
            }
            at = held.start + held.pages;
            if *looks == 0 {
                return Gap::Stopped(at);
            }
            *looks -= 1;
        }
        if at < to { Gap::Found(at, to - at) } else { Gap::None }
    }

    /// Where the last stretch of `[from, to)` that nothing is held of begins; `to` when its end is held.
    pub(super) fn last_gap(&self, from: u64, to: u64) -> u64 {
        self.in_tree.range(from..to).next_back().map_or(from, |(_, held)| held.start + held.pages)
    }

    /// Where the run around `page` begins that is not in the free tree.
    pub(super) fn fresh_run_around(&self, page: u64) -> Option<u64> {
        self.fresh().find(|run| (run.start..run.start + run.pages).contains(&page)).map(|run| run.start)
    }

    /// Every run that is not in the free tree.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &Held> + '_ {
        self.waiting.values().flat_map(|waiting| &waiting.fresh)
    }
}

/// What [`HeldPages::gap`] has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Pages that may be written to: start and length.
    Found(u64, u64),
    /// Not yet one, up to this page.
    Stopped(u64),
    /// There is none.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, written: u64, freed: u64) -> Held {
        Held { start, pages: 1, written, freed }
    }

    #[test]
    fn a_run_waits_for_each_root_that_can_reach_it() {
        let mut held = HeldPages::default();
        assert_eq!(run(7, 3, 9).blocker(&[1, 2, 9, 10]), None);
        assert_eq!(run(7, 3, 9).blocker(&[2, 3, 8]), Some(3));
        held.add_fresh(run(7, 3, 9), 3);
        held.add_in_tree(run(20, 3, 9), 3);
        assert_eq!((held.pages_waiting_for(3), held.fresh_pages(), held.in_tree_pages()), (2, 1, 1));
        assert_eq!([6, 7, 8, 20].map(|page| held.fresh_run_around(page)), [None, Some(7), None, None]);
        let let_go = held.look(&[2, 3, 8]);
        assert!(let_go.fresh.is_empty() && let_go.lowest_in_tree.is_none());
        let let_go = held.look(&[2, 8]);
        assert!(let_go.fresh.is_empty() && let_go.lowest_in_tree.is_none());
        assert_eq!((held.pages_waiting_for(3), held.pages_waiting_for(8)), (0, 2));
        let let_go = held.look(&[2, 9]);
        assert_eq!((let_go.fresh, let_go.lowest_in_tree), (vec![(7, 1)], Some(20)));
        assert_eq!((held.fresh_runs(), held.fresh_pages(), held.in_tree_pages()), (0, 0, 0));
    }

    #[test]
    fn a_look_is_bounded_and_the_next_goes_on() {
        let mut held = HeldPages::default();
        for start in 0..LOOK_LIMIT as u64 + 100 {
            held.add_in_tree(run(start, 1, 5), 4);
        }
        assert_eq!(held.look(&[9]).lowest_in_tree, Some(100));
        assert_eq!(held.in_tree_pages(), 100);
        assert_eq!(held.look(&[9]).lowest_in_tree, Some(0));
        assert_eq!((held.in_tree_pages(), held.pages_waiting_for(4)), (0, 0));
    }

    #[test]
    fn gaps_between_held_runs() {
        let mut held = HeldPages::default();
        for start in [10, 11, 12, 15, 19] {
            held.add_in_tree(run(start, 1, 5), 4);
        }
        let mut looks = 10;
        assert_eq!(held.gap(10, 20, &mut looks), Gap::Found(13, 2));
        assert_eq!(held.gap(15, 20, &mut looks), Gap::Found(16, 3));
        assert_eq!(held.gap(19, 20, &mut looks), Gap::None);
        assert_eq!(held.gap(10, 13, &mut 1), Gap::Stopped(12));
        held.add_in_tree(Held { pages: 4, ..run(30, 1, 5) }, 4);
        assert_eq!(held.gap(32, 40, &mut looks), Gap::Found(34, 6), "begun in the middle of a held run");
        assert_eq!(held.gap(32, 34, &mut looks), Gap::None);
        assert_eq!((held.last_gap(10, 20), held.last_gap(10, 25)), (20, 20));
    }
}
