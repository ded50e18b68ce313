//! The states of watchers and the ways between them.
//!
//! Whoever is in a state stands in the structure that belongs to it: synced in the index, ready in the queue, parked on
//! the stream. A change of state is [`Hub::leave_state`], then one of the `make_…`.
//!
//! A stream with parked watchers always has somebody who will think of it: one of its watchers is ready, and the step that
//! serves it lets on others; or its outlet has been asked for a call when there is room. [`Hub::let_on`] keeps it so.

use super::StreamId;
use super::hub::Hub;
use super::outlet::{Load, Outlet};
use super::slab::Key;

/// State of a watcher; see the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In the index, at this place.
    Synced { place: u32 },
    /// In the ready queue, with this turn.
    Ready { turn: u64 },
    /// On its stream, with this turn.
    Parked { turn: u64 },
    /// Overtaken by compaction. New watchers are in it until they have a state.
    Ended,
}

impl<O: Outlet> Hub<O> {
    pub(super) fn leave_state(&mut self, key: Key) {
        let watcher = &mut self.watchers[key];
        let left = std::mem::replace(&mut watcher.state, State::Ended);
        let stream = &mut self.streams[watcher.stream];
        match left {
            State::Synced { place } => {
                stream.synced -= 1;
                self.stats.synced -= 1;
                if let Some(moved) = self.index.remove(&watcher.range, place, key) {
                    self.watchers[moved].state = State::Synced { place };
                }
            }
            State::Ready { turn } => {
                stream.ready -= 1;
                self.ready.remove(turn, watcher.next, key);
            }
            State::Parked { turn } => {
                stream.parked.remove(&turn);
            }
            State::Ended => {}
        }
    }

    pub(super) fn make_synced(&mut self, key: Key) {
        let watcher = &mut self.watchers[key];
        assert!(watcher.next > self.revision, "a synced watcher has been given everything");
        let place = self.index.insert(&watcher.range, key);
        watcher.state = State::Synced { place };
        self.streams[watcher.stream].synced += 1;
        self.stats.synced += 1;
    }

    pub(super) fn make_ready(&mut self, key: Key) {
        let turn = self.next_turn();
        let watcher = &mut self.watchers[key];
        watcher.state = State::Ready { turn };
        self.ready.insert(turn, watcher.next, key);
        self.streams[watcher.stream].ready += 1;
    }

    /// The caller lets others on afterwards: the stream is noted as crowded.
    pub(super) fn make_parked(&mut self, key: Key) {
        let turn = self.next_turn();
        let watcher = &mut self.watchers[key];
        watcher.state = State::Parked { turn };
        let stream = watcher.stream;
        self.streams[stream].parked.insert(turn, key);
        self.note_crowded(stream);
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// There may be parked watchers on `stream` that nobody thinks of.
    pub(super) fn note_crowded(&mut self, stream: Key) {
        if self.crowded.last() != Some(&stream) {
            self.crowded.push(stream);
        }
    }

    /// To be called at the end of what has parked or served watchers.
    pub(super) fn let_on_crowded(&mut self) {
        let mut crowded = std::mem::take(&mut self.crowded);
        for stream in crowded.drain(..) {
            self.let_on(stream);
        }
        self.crowded = crowded;
    }

    /// Lets as many parked watchers of a stream on as its outlet has room for, or sees to it that there will be a call when
    /// it has.
    pub(super) fn let_on(&mut self, stream: Key) {
        loop {
            let Some(open) = self.streams.get_mut(stream) else { return };
            if open.parked.is_empty() || open.ready > 0 {
                return;
            }
            let capacity = open.capacity(&self.limits);
            let load = open.outlet.load();
            if load.is_below(capacity) {
                let admitted = capacity.responses - load.responses;
                let turns: Vec<Key> = open.parked.values().take(admitted).copied().collect();
                for key in turns {
                    self.leave_state(key);
                    self.make_ready(key);
                }
                return;
            }
            // Half: a client that reads steadily is not met by one call for each response.
            let low = Load { responses: capacity.responses.div_ceil(2), bytes: capacity.bytes.div_ceil(2) };
            if open.outlet.wake_below(low) {
                return;
            }
        }
    }

    /// The outlet of `stream` has room again, as it was asked to tell.
    pub fn room(&mut self, stream: StreamId) {
        self.let_on(stream.0);
    }
}
