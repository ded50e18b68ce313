//! The queue of watchers that can catch up.
//!
//! Two orders over the same watchers: by turn, who has waited longest; and by cursor, so that whatever is read for the
//! first in turn can serve all who need the same piece of history.

use std::collections::{BTreeMap, BTreeSet};

use super::slab::Key;

/// Ready watchers by turn and by the revision they want next.
#[derive(Default)]
pub(super) struct ReadyQueue {
    by_turn: BTreeMap<u64, Key>,
    by_next: BTreeSet<(i64, Key)>,
}

impl ReadyQueue {
    pub(super) fn insert(&mut self, turn: u64, next: i64, watcher: Key) {
        self.by_turn.insert(turn, watcher);
        self.by_next.insert((next, watcher));
    }

    pub(super) fn remove(&mut self, turn: u64, next: i64, watcher: Key) {
        let by_turn = self.by_turn.remove(&turn);
        let by_next = self.by_next.remove(&(next, watcher));
        assert!(by_turn == Some(watcher) && by_next, "a ready watcher stands in both orders");
    }

    pub(super) fn len(&self) -> usize {
        self.by_turn.len()
    }

    /// Who has waited longest.
    pub(super) fn first(&self) -> Option<Key> {
        self.by_turn.first_key_value().map(|(_, watcher)| *watcher)
    }

    /// The first in turn, then others that want a revision from `from` to `through`, by ascending cursor: `limit` in all.
    pub(super) fn first_and_those_within(&self, from: i64, through: i64, limit: usize) -> Vec<Key> {
        let Some(first) = self.first() else { return Vec::new() };
        let others = self.by_next.range((from, Key::MIN)..=(through, Key::MAX)).map(|(_, watcher)| *watcher);
        let others = others.filter(|watcher| *watcher != first);
        std::iter::once(first).chain(others).take(limit).collect()
    }
}
