//! How many free pages nobody has needed for a while.
//!
//! A tree that is overwritten all the time needs free pages: between two checkpoints each changed page needs a new place
//! while the old one is still held. Taking these pages from it, by cutting the file, would only make it grow again. What
//! may be taken are the pages that were free *and* ready at every moment of the last few intervals between checkpoints.
//!
//! A checkpoint itself needs some pages, for the list of the free ones, and lets go of as many when it is over: so the number
//! of ready pages goes up and down even when nobody writes. After as many checkpoints as count, another one tells nothing new.

/// Intervals that count, with the one that has not ended yet.
const INTERVALS: usize = 4;

/// What a checkpoint of an idle database may let go of, in pages; it is a handful.
const NOISE: u64 = 64;

#[derive(Debug, Clone, Copy)]
pub(super) struct Surplus {
    /// The least number of ready pages in each interval, the newest first.
    least: [u64; INTERVALS],
    /// Intervals that have begun since something happened other than checkpoints.
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

    /// A checkpoint begins the next interval.
    pub(super) fn next_interval(&mut self, ready: u64) {
        self.note(ready);
        self.least.rotate_right(1);
        self.least[0] = ready;
        self.quiet = self.quiet.saturating_add(1);
    }

    /// A transaction has been published.
    pub(super) fn disturb(&mut self) {
        self.quiet = 0;
    }

    /// The number of ready pages has changed because held ones were let go. A snapshot that goes may let go of many.
    pub(super) fn let_go(&mut self, before: u64, now: u64) {
        if now > before.saturating_add(NOISE) {
            self.disturb();
        }
    }

    /// Whether another interval can make the surplus larger, though nobody writes.
    pub(super) fn may_rise(&self) -> bool {
        self.quiet < INTERVALS
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
    fn when_nothing_happens_but_checkpoints_they_come_to_an_end() {
        let mut surplus = Surplus::new();
        for _ in 0..INTERVALS {
            assert!(surplus.may_rise());
            surplus.next_interval(190);
            surplus.let_go(190, 195);
        }
        assert!(!surplus.may_rise());
        surplus.let_go(195, 5000);
        assert!(surplus.may_rise(), "a snapshot has gone");
    }
}
