//! How many free pages nobody has needed for a while.
//!
//! A tree that is overwritten all the time needs free pages: between two checkpoints each changed page needs a new place
//! while the old one is still held. Taking these pages from it, by cutting the file, would only make it grow again. What
//! may be taken are the pages that were free *and* ready at every moment of the last few intervals between checkpoints.

/// Intervals that count, with the one that has not ended yet.
const INTERVALS: usize = 4;

/// The least number of ready pages in each interval, the newest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surplus {
    least: [u64; INTERVALS],
    /// Checkpoints since pages were last freed by a transaction.
    quiet: usize,
}

impl Surplus {
    /// A file that has just been opened: nothing is known of the time before.
    pub(super) fn new() -> Self {
        let mut least = [0; INTERVALS];
        least[0] = u64::MAX;
        Self { least, quiet: 0 }
    }

    /// So many pages are ready at this moment.
    pub(super) fn note(&mut self, ready: u64) {
        self.least[0] = self.least[0].min(ready);
    }

    /// A transaction other than a checkpoint frees pages.
    pub(super) fn disturbed(&mut self) {
        self.quiet = 0;
    }

    /// Whether more checkpoints without a transaction in between may find a larger surplus. Each of them needs some
    /// pages for the free tree, so the surplus of a file at rest stays a little below what is ready: without an end
    /// to this, a checkpoint would be wanted for ever. The first one still finds held what the root before it needs,
    /// so its interval must have left the count.
    pub(super) fn may_grow(&self) -> bool {
        self.quiet <= INTERVALS
    }

    /// A checkpoint begins the next interval.
    pub(super) fn next_interval(&mut self, ready: u64) {
        self.quiet = self.quiet.saturating_add(1);
        self.note(ready);
        self.least.rotate_right(1);
        self.least[0] = ready;
    }

    /// So many ready pages have been given up.
    pub(super) fn cut(&mut self, pages: u64) {
        for least in &mut self.least {
            *least = least.saturating_sub(pages);
        }
    }

    /// The pages that nobody has needed.
    pub(super) fn pages(&self, ready: u64) -> u64 {
        self.least.into_iter().fold(ready, u64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_ready_for_all_intervals_is_surplus() {
        let mut surplus = Surplus::new();
        for _ in 1..INTERVALS {
            assert_eq!(surplus.pages(500), 0, "nothing is known of the time before");
            surplus.next_interval(500);
        }
        assert_eq!(surplus.pages(500), 500);
        surplus.note(20);
        for _ in 0..INTERVALS {
            assert_eq!(surplus.pages(400), 20, "at one moment there were no more");
            surplus.next_interval(400);
        }
        assert_eq!((surplus.pages(400), surplus.pages(30)), (400, 30));
        surplus.cut(150);
        assert_eq!(surplus.pages(400), 250);
    }

    #[test]
    fn a_file_at_rest_does_not_hope_for_more_for_ever() {
        let mut surplus = Surplus::new();
        surplus.next_interval(10);
        for _ in 0..INTERVALS {
            assert!(surplus.may_grow(), "the interval with {:?} still counts", surplus.least);
            surplus.next_interval(500);
        }
        assert_eq!((surplus.pages(505), surplus.may_grow()), (500, false));
        surplus.disturbed();
        assert!(surplus.may_grow());
    }
}
