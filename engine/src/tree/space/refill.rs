//! Taking ready pages out of the free tree.

use super::Space;
use super::held::Gap;
use crate::error::EngineError;
use crate::tree::pages::Pages;

/// Stretches taken out of the tree at a time.
const REFILL_RUNS: usize = 64;
/// Runs of the tree and held runs that are passed over for a transaction at the most: a slow reader may hold a million
/// of them below the first ready page. What is not found then is taken elsewhere, and the next transaction goes on.
pub(super) const LOOKS: usize = 8192;
/// The same for one long run.
const LONG_RUN_LOOKS: usize = 256;

impl Space {
    /// Sees to it that the lowest ready page is in memory, or, for more than one, a run that is long enough.
    pub(super) fn refill(&mut self, pages: &Pages, count: u64) -> Result<(), EngineError> {
        if count == 1 {
            let lowest = self.ready.lowest().unwrap_or(u64::MAX);
            if lowest > self.scan_from { self.refill_below(pages, lowest) } else { Ok(()) }
        } else if self.ready.find(count).is_none() {
            self.refill_long(pages, count)
        } else {
            Ok(())
        }
    }

    /// Takes the lowest ready stretches below `limit` out of the tree.
    fn refill_below(&mut self, pages: &Pages, limit: u64) -> Result<(), EngineError> {
        let mut found = Vec::new();
        let mut runs = self.tree.runs_from(pages, self.scan_from)?;
        while found.len() < REFILL_RUNS && self.looks > 0 {
            self.looks -= 1;
            let Some((start, len)) = runs.next_run()? else {
                self.scan_from = u64::MAX;
                break;
            };
            self.scan_from = self.scan_from.max(start);
            while self.scan_from < (start + len).min(limit) && found.len() < REFILL_RUNS {
                match self.held.gap(self.scan_from, start + len, &mut self.looks) {
                    Gap::Found(at, _) if at >= limit => self.scan_from = at,
                    Gap::Found(at, len) => {
                        found.push((at, len));
                        self.scan_from = at + len;
                    }
                    Gap::Stopped(at) => {
                        self.scan_from = at;
                        break;
                    }
                    Gap::None => self.scan_from = start + len,
                }
            }
            if self.scan_from >= limit {
                break;
            }
        }
        for (start, len) in found {
            self.take_out(pages, start, len)?;
        }
        Ok(())
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
        match found {
            Some((start, len)) => self.take_out(pages, start, len),
            None => Ok(()),
        }
    }

    fn take_out(&mut self, pages: &Pages, start: u64, len: u64) -> Result<(), EngineError> {
        self.check_range(pages, start, len)?;
        self.tree.carve(pages, start, len)?;
        self.make_ready(pages, start, len)
    }
}
