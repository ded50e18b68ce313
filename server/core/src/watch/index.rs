//! Synced watchers by what they follow: single keys in a map, ranges in an interval tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::interval::IntervalTree;
use super::range::{Until, WatchRange};
use super::slab::Key;

/// Finds the watchers of a key. A watcher is told its place in the list of its range, so that it can be removed without a
/// search: a hundred thousand may follow the same key.
pub(super) struct Index {
    // Ordered rather than hashed: keys are the clients' choice, and a fixed hash function would let them collide.
    single: BTreeMap<Arc<[u8]>, Vec<Key>>,
    ranges: IntervalTree,
}

impl Index {
    pub(super) const fn new() -> Self {
        Self { single: BTreeMap::new(), ranges: IntervalTree::new() }
    }

    /// Adds a watcher; returns its place.
    pub(super) fn insert(&mut self, range: &WatchRange, watcher: Key) -> u32 {
        let list = self.list(range);
        // One watcher is the rule; a vector would begin with room for four.
        if list.is_empty() {
            list.reserve_exact(1);
        }
        list.push(watcher);
        u32::try_from(list.len() - 1).expect("there are fewer than 2^32 watchers")
    }

    /// Removes the watcher at `place`. Returns the one that has got this place now, if any.
    pub(super) fn remove(&mut self, range: &WatchRange, place: u32, watcher: Key) -> Option<Key> {
        let list = self.list(range);
        let removed = list.swap_remove(place as usize);
        assert_eq!(removed, watcher, "a synced watcher stands at its place");
        let moved = list.get(place as usize).copied();
        if list.is_empty() {
            match range.until {
                Until::First => drop(self.single.remove(&range.from)),
                _ => self.ranges.prune(range),
            }
        }
        moved
    }

    /// Calls `visit` with each list of watchers that follow `key`.
    pub(super) fn visit(&self, key: &[u8], mut visit: impl FnMut(&[Key])) {
        if let Some(watchers) = self.single.get(key) {
            visit(watchers);
        }
        self.ranges.visit(key, &mut visit);
    }

    fn list(&mut self, range: &WatchRange) -> &mut Vec<Key> {
        match range.until {
            Until::First => self.single.entry(Arc::clone(&range.from)).or_default(),
            _ => self.ranges.list(range),
        }
    }
}
