//! Free pages that may be written to now.

use std::collections::{BTreeMap, BTreeSet};

/// Runs of pages, neighbours merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    /// Start to length.
    runs: BTreeMap<u64, u64>,
    /// Length and start of the runs of more than one page: says at once that none is long enough.
    long: BTreeSet<(u64, u64)>,
    pages: u64,
}

impl Ready {
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    fn link(&mut self, start: u64, len: u64) {
        self.runs.insert(start, len);
        if len > 1 {
            self.long.insert((len, start));
        }
        self.pages += len;
    }

    fn unlink(&mut self, start: u64, len: u64) {
        self.runs.remove(&start);
        if len > 1 {
            self.long.remove(&(len, start));
        }
        self.pages -= len;
    }

    /// Takes in pages. False, and nothing changed, when one of them is in here already.
    #[must_use]
    pub(super) fn add(&mut self, mut start: u64, mut len: u64) -> bool {
        let before = self.runs.range(..start).next_back().map(|(&s, &l)| (s, l));
        let after = self.runs.range(start..).next().map(|(&s, &l)| (s, l));
        if before.is_some_and(|(s, l)| s + l > start) || after.is_some_and(|(s, _)| start + len > s) {
            return false;
        }
        if let Some((s, l)) = before.filter(|(s, l)| s + l == start) {
            self.unlink(s, l);
            (start, len) = (s, l + len);
        }
        if let Some((s, l)) = after.filter(|(s, _)| start + len == *s) {
            self.unlink(s, l);
            len += l;
        }
        self.link(start, len);
        true
    }

    /// The lowest page.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.runs.first_key_value().map(|(&start, _)| start)
    }

    /// Where the run that holds `page` begins.
    pub(super) fn run_around(&self, page: u64) -> Option<u64> {
        self.runs
            .range(..=page)
            .next_back()
            .filter(|&(&start, &len)| page < start + len)
            .map(|(&start, _)| start)
    }

    /// Takes the lowest page out.
    pub(super) fn take_page(&mut self) -> Option<u64> {
        let (start, len) = self.runs.pop_first()?;
        if len > 1 {
            self.long.remove(&(len, start));
            self.runs.insert(start + 1, len - 1);
            if len > 2 {
                self.long.insert((len - 1, start + 1));
            }
        }
        self.pages -= 1;
        Some(start)
    }

    /// The lowest run of at least `count` pages.
    pub(super) fn find(&self, count: u64) -> Option<u64> {
        self.long.last().filter(|&&(longest, _)| longest >= count)?;
        self.runs.iter().find(|&(_, &len)| len >= count).map(|(&start, _)| start)
    }

    /// Takes `count` contiguous pages out: the front of the lowest run that is long enough.
    pub(super) fn take(&mut self, count: u64) -> Option<u64> {
        if count == 1 {
            return self.take_page();
        }
        let start = self.find(count)?;
        let len = self.runs.get(&start).copied()?;
        self.unlink(start, len);
        if len > count {
            self.link(start + count, len - count);
        }
        Some(start)
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> BTreeMap<u64, u64> {
        self.long.clear();
        self.pages = 0;
        std::mem::take(&mut self.runs)
    }

    /// Takes all runs out but the `kept` lowest ones.
    pub(super) fn split_off_after(&mut self, kept: usize) -> BTreeMap<u64, u64> {
        let first = self.runs.keys().nth(kept).copied();
        let upper: BTreeMap<u64, u64> = first.map(|key| self.runs.split_off(&key)).unwrap_or_default();
        for (&start, &len) in &upper {
            self.long.remove(&(len, start));
            self.pages -= len;
        }
        upper
    }

    /// All runs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().map(|(&start, &len)| (start, len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge_and_the_lowest_goes_first() {
        let mut ready = Ready::default();
        for start in [10, 30, 12, 11, 31, 20] {
            assert!(ready.add(start, 1));
        }
        assert_eq!(ready.iter().collect::<Vec<_>>(), [(10, 3), (20, 1), (30, 2)]);
        assert_eq!((ready.run_around(12), ready.run_around(13), ready.run_around(9)), (Some(10), None, None));
        assert_eq!(ready.take(2), Some(10), "the lowest run that will do");
        assert_eq!(ready.take(2), Some(30));
        assert_eq!(ready.take(2), None);
        assert_eq!((ready.take(1), ready.lowest(), ready.take(1)), (Some(12), Some(20), Some(20)));
        assert_eq!((ready.take(1), ready.pages()), (None, 0));
    }

    #[test]
    fn the_upper_runs_can_be_split_off() {
        let mut ready = Ready::default();
        for start in [10, 20, 30, 40] {
            assert!(ready.add(start, 2));
        }
        let upper: Vec<_> = ready.split_off_after(2).into_iter().collect();
        assert_eq!(upper, [(30, 2), (40, 2)]);
        assert_eq!(
            (ready.pages(), ready.take(2), ready.take(2), ready.take(2)),
            (4, Some(10), Some(20), None)
        );
    }

    #[test]
    fn a_page_that_is_freed_twice_is_noticed() {
        let mut ready = Ready::default();
        assert!(ready.add(10, 3));
        for (start, len) in [(12, 1), (10, 1), (9, 2), (5, 10), (11, 5)] {
            assert!(!ready.add(start, len));
        }
        assert!(ready.add(13, 1) && ready.add(9, 1));
        assert_eq!(ready.iter().collect::<Vec<_>>(), [(9, 5)]);
    }
}
