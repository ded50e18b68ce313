//! Taking ready pages out of the free tree.

use super::Space;
use super::held::Gap;
use crate::error::EngineError;
use crate::tree::pages::Pages;

/// Stretches taken out of the tree at a time.
const REFILL_RUNS: usize = 64;
/// Runs of the tree and held runs that are passed over for a transaction at the most: a slow reader may hold a million
/// of them below the first ready page. What is not found then is taken elsewhere, and the next transaction goes on.
const LOOKS: usize = 8192;
/// The same for one long run.
const LONG_RUN_LOOKS: usize = 256;

/// How far the tree has been looked through for ready pages.
///
/// What falls free has the scan begin again below it. Where a slow reader holds much in between, it takes many
/// transactions to get through; meanwhile pages come from where the scan had been before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    /// No page of the tree below this one is ready.
    from: u64,
    /// Where the scan had been.
    far: u64,
    looks: usize,
    far_looks: usize,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { from: 0, far: 0, looks: LOOKS, far_looks: LOOKS }
    }

    /// The next transaction begins.
    pub(super) fn rest(&mut self) {
        (self.looks, self.far_looks) = (LOOKS, LOOKS);
    }

    /// This page of the tree has become ready.
    pub(super) fn ready(&mut self, page: u64) {
        if page < self.from {
            if self.from < u64::MAX {
                self.far = self.far.max(self.from);
            }
            self.from = page;
        }
    }
}

impl Space {
    /// Sees to it that the lowest ready page is in memory, or, for more than one, a run that is long enough.
    pub(super) fn refill(&mut self, pages: &Pages, count: u64) -> Result<(), EngineError> {
        if count > 1 {
            return if self.ready.find(count).is_none() { self.refill_long(pages, count) } else { Ok(()) };
        }
        let lowest = self.ready.lowest().unwrap_or(u64::MAX);
        if lowest > self.scan.from {
            let (mut from, mut looks) = (self.scan.from, self.scan.looks);
            let found = self.scan(pages, &mut from, lowest, &mut looks)?;
            (self.scan.from, self.scan.looks) = (from, looks);
            self.take_out(pages, found)?;
        }
        if self.ready.pages() == 0 && self.scan.far > self.scan.from {
            let (mut from, mut looks) = (self.scan.far, self.scan.far_looks);
            let found = self.scan(pages, &mut from, u64::MAX, &mut looks)?;
            // At the end: nothing is known of where else there might be some.
            (self.scan.far, self.scan.far_looks) = (if from == u64::MAX { 0 } else { from }, looks);
            self.take_out(pages, found)?;
        }
        Ok(())
    }

    /// Finds the lowest ready stretches of the tree between `from`, which moves on, and `limit`.
    fn scan(
        &self,
        pages: &Pages,
        from: &mut u64,
        limit: u64,
        looks: &mut usize,
    ) -> Result<Vec<(u64, u64)>, EngineError> {
        let mut found = Vec::new();
        let mut runs = self.tree.runs_from(pages, *from)?;
        while *from < limit && found.len() < REFILL_RUNS && *looks > 0 {
            *looks -= 1;
            let Some((start, len)) = runs.next_run()? else {
                *from = u64::MAX;
                break;
            };
            *from = start.max(*from);
            while *from < (start + len).min(limit) && found.len() < REFILL_RUNS {
                match self.held.gap(*from, start + len, looks) {
                    Gap::Found(at, _) if at >= limit => *from = at,
                    Gap::Found(at, len) => {
                        found.push((at, len));
                        *from = at + len;
                    }
                    Gap::Stopped(at) => {
                        *from = at;
                        break;
                    }
                    Gap::None => *from = start + len,
                }
            }
        }
        Ok(found)
    }

    /// Takes the lowest stretch of `count` ready pages out of the tree.
    fn refill_long(&mut self, pages: &Pages, count: u64) -> Result<(), EngineError> {
        let mut looks = LONG_RUN_LOOKS;
        let mut found = None;
        let mut runs = self.tree.runs_from(pages, 0)?;
        'runs: while looks > 0 {
            looks -= 1;
            let Some((start, len)) = runs.next_run_of(count)? else {
                break;
            };
            let mut at = start;
            while let Gap::Found(gap, gap_len) = self.held.gap(at, start + len, &mut looks) {
                if gap_len >= count {
                    found = Some((gap, gap_len));
                    break 'runs;
                }
                at = gap + gap_len;
            }
        }
        self.take_out(pages, found)
    }

    fn take_out(
        &mut self,
        pages: &Pages,
        runs: impl IntoIterator<Item = (u64, u64)>,
    ) -> Result<(), EngineError> {
        for (start, len) in runs {
            self.check_range(pages, start, len)?;
            self.tree.carve(pages, start, len)?;
            self.make_ready(pages, start, len)?;
        }
        Ok(())
    }
}
