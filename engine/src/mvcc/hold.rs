//! Holding back physical compaction, for reads that take long.
//!
//! A read that takes long must not pin a root: every page that is replaced meanwhile could not be used again, and a
//! slow client would make the file grow. So it works in chunks. Each takes the newest root, goes to where the last one
//! stopped, reads at the fixed revision of the whole read, and lets go. What a reader at an older revision needs stays
//! in the trees until compaction removes it, so only compaction has to be held back: that is what a [`RevisionHold`]
//! does. It costs one row in a table, and the space of what was superseded while it lived.
//!
//! **What a hold at L keeps.** Everything that a reader at any revision from L on needs. A version is needed at R if
//! it was written by R and superseded after it. Compaction finds what it removes at the record that superseded it, so
//! it walks only records *below* L: the versions that go were superseded before L, and the deletions that go are
//! older than L. With several holds the lowest counts. A hold at or above the compaction's target changes nothing.
//! Only the physical half is held back: a new request at a revision that is compacted is refused as ever.
//!
//! **Who comes first.** Between the moment when a step of compaction has asked for the lowest hold and the moment when
//! it is published (or given up), no hold is given out: [`Holds::hold`] waits. So a hold is seen by every step that is
//! published after it was given out. A reader takes its hold first and a root second: that root then lacks only what
//! was removed for a compaction that the root itself tells of.
//!
//! **Its limit.** A hold that is older than its limit is broken, and compaction goes on. Time is counted in ticks of
//! the caller ([`super::Store::tick_holds`]); there is no clock here. A reader takes a root first and asks whether its
//! hold is whole second. If it is, every step that did not heed the hold comes after the root.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Below every revision: a hold there keeps everything.
pub(crate) const EVERYTHING: i64 = i64::MIN;

/// Figures about the holds that are alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldStats {
    /// How many there are.
    pub holds: u64,
    /// Age of the oldest in ticks; 0 when there is none.
    pub oldest_ticks: u64,
    /// How many have been broken since the store was opened.
    pub broken: u64,
}

/// The holds of a store.
#[derive(Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
    step_is_over: Condvar,
}

#[derive(Default)]
struct State {
    /// Ticks so far.
    now: u64,
    next_id: u64,
    held: BTreeMap<u64, Held>,
    /// Steps of compaction between their look at the holds and their end: one, or for a moment two.
    stepping: u32,
    broken: u64,
}

struct Held {
    revision: i64,
    since: u64,
    limit: u64,
}

impl Holds {
    /// Keeps what readers from `revision` on need, for more than `limit` ticks. Waits for a step of compaction that is
    /// under way: a thread that has one open must not call this.
    pub(crate) fn hold(self: &Arc<Self>, revision: i64, limit: u64) -> RevisionHold {
        let mut state = self.state.lock();
        while state.stepping > 0 {
            self.step_is_over.wait(&mut state);
        }
        let id = state.next_id;
        state.next_id += 1;
        let since = state.now;
        state.held.insert(id, Held { revision, since, limit });
        RevisionHold { holds: Arc::clone(self), id }
    }

    /// A step of compaction begins: the lowest revision that is held, and the turn, during which nothing is given out.
    pub(crate) fn begin_step(self: &Arc<Self>) -> (Option<i64>, StepTurn) {
        let mut state = self.state.lock();
        state.stepping += 1;
        let lowest = state.held.values().map(|held| held.revision).min();
        (lowest, StepTurn { holds: Arc::clone(self) })
    }

    /// Counts a tick and breaks the holds that are older than their limit.
    pub(crate) fn tick(&self) {
        let mut state = self.state.lock();
        state.now += 1;
        let now = state.now;
        let before = state.held.len();
        state.held.retain(|_, held| now - held.since <= held.limit);
        state.broken += (before - state.held.len()) as u64;
    }

    pub(crate) fn stats(&self) -> HoldStats {
        let state = self.state.lock();
        let oldest = state.held.values().map(|held| state.now - held.since).max();
        HoldStats { holds: state.held.len() as u64, oldest_ticks: oldest.unwrap_or(0), broken: state.broken }
    }
}

/// A step of compaction that is under way. Ends when dropped, which must be after its transaction's end.
pub(crate) struct StepTurn {
    holds: Arc<Holds>,
}

impl Drop for StepTurn {
    fn drop(&mut self) {
        self.holds.state.lock().stepping -= 1;
        self.holds.step_is_over.notify_all();
    }
}

/// Holds back physical compaction until it is dropped, or broken for its age. See the module head.
pub(crate) struct RevisionHold {
    holds: Arc<Holds>,
    id: u64,
}

impl RevisionHold {
    /// Whether it was given up for its age. A reader asks after it has taken a root.
    pub(crate) fn is_broken(&self) -> bool {
        !self.holds.state.lock().held.contains_key(&self.id)
    }

    /// Lets go of what only readers below `revision` need.
    pub(crate) fn raise(&self, revision: i64) {
        if let Some(held) = self.holds.state.lock().held.get_mut(&self.id) {
            held.revision = held.revision.max(revision);
        }
    }
}

impl Drop for RevisionHold {
    fn drop(&mut self) {
        self.holds.state.lock().held.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_hold_counts_until_it_is_dropped() {
        let holds = Arc::new(Holds::default());
        assert_eq!(holds.begin_step().0, None);
        let (a, b) = (holds.hold(7, 1), holds.hold(5, 1));
        assert_eq!(holds.begin_step().0, Some(5));
        b.raise(9);
        b.raise(3);
        assert_eq!(holds.begin_step().0, Some(7));
        drop(a);
        assert_eq!(holds.begin_step().0, Some(9));
        drop(b);
        assert_eq!(holds.begin_step().0, None);
    }

    #[test]
    fn an_old_hold_is_broken() {
        let holds = Arc::new(Holds::default());
        let (old, lasting) = (holds.hold(1, 2), holds.hold(2, 9));
        holds.tick();
        holds.tick();
        assert!(!old.is_broken(), "its limit is reached, not passed");
        assert_eq!(holds.stats(), HoldStats { holds: 2, oldest_ticks: 2, broken: 0 });
        holds.tick();
        assert!(old.is_broken() && !lasting.is_broken());
        assert_eq!(holds.begin_step().0, Some(2));
        old.raise(1);
        drop(old);
        assert_eq!(holds.stats(), HoldStats { holds: 1, oldest_ticks: 3, broken: 1 });
    }

    #[test]
    fn a_hold_waits_for_the_step_that_did_not_see_it() {
        let holds = Arc::new(Holds::default());
        let (_, turn) = holds.begin_step();
        let (given, waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let hold = holds.hold(1, 1);
                given.send(()).unwrap_or_default();
                drop(hold);
            });
            // A hold that is not given out cannot be seen, so this cannot fail by being too fast.
            assert!(waiting.recv_timeout(std::time::Duration::from_millis(50)).is_err());
            drop(turn);
            assert!(waiting.recv().is_ok());
        });
    }
}
