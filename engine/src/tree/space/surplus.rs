//! How many free pages nobody has needed for a while.
//!
//! A tree that is overwritten all the time needs free pages: between two checkpoints each changed page needs a new place
//! while the old one is still held. Taking these pages from it, by cutting the file, would only make it grow again. What
//! may be taken are the pages that were free *and* ready at every moment of the last two intervals between checkpoints.

/// The least number of ready pages, in this interval and in the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surplus {
    before: u64,
    now: u64,
}

impl Surplus {
    /// A file that has just been opened: nothing is known of the time before.
    pub(super) fn new() -> Self {
        Self { before: 0, now: u64::MAX }
    }

    /// So many pages are ready at this moment.
    pub(super) fn note(&mut self, ready: u64) {
        self.now = self.now.min(ready);
    }

    /// A checkpoint begins the next interval.
    pub(super) fn next_interval(&mut self, ready: u64) {
        self.note(ready);
        self.before = self.now;
        self.now = ready;
    }

    /// So many ready pages have been given up.
    pub(super) fn cut(&mut self, pages: u64) {
        self.before = self.before.saturating_sub(pages);
        self.now = self.now.saturating_sub(pages);
    }

    /// The pages that nobody has needed.
    pub(super) fn pages(&self, ready: u64) -> u64 {
        self.before.min(self.now).min(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_ready_for_two_intervals_is_surplus() {
        let mut surplus = Surplus::new();
        assert_eq!(surplus.pages(500), 0, "nothing is known of the time before");
        surplus.next_interval(500);
        assert_eq!(surplus.pages(500), 500);
        surplus.note(20);
        assert_eq!(surplus.pages(400), 20);
        surplus.next_interval(400);
        assert_eq!(surplus.pages(400), 20, "in the interval before there were no more");
        surplus.next_interval(400);
        assert_eq!((surplus.pages(400), surplus.pages(30)), (400, 30));
        surplus.cut(150);
        assert_eq!(surplus.pages(400), 250);
    }
}
