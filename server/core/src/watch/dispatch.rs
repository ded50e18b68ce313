//! New revisions, to the watchers that have been given everything before.

use std::collections::BTreeMap;

use holdfast_engine::mvcc::{MvccError, RevisionChanges};

use super::Reader;
use super::event::EventFrames;
use super::hub::Hub;
use super::outlet::Outlet;
use super::response::{Frames, Response};
use super::slab::Key;
use super::states::State;

impl<O: Outlet> Hub<O> {
    /// New revisions in ascending order. Those that it knows are passed over; if any are missing before them it is as if
    /// [`Hub::lost`] had been called. `reader` must be at least as new as they are; the versions before changes are read
    /// from it.
    ///
    /// # Errors
    /// The store is damaged. The member has to stop: the hub must not be used any longer.
    pub fn dispatch<R: Reader>(&mut self, batch: &[RevisionChanges], reader: &R) -> Result<(), MvccError> {
        for changes in batch {
            if changes.revision <= self.revision {
                continue;
            }
            self.lost(changes.revision - 1);
            self.dispatch_revision(changes, reader)?;
            self.revision = changes.revision;
        }
        self.let_on_crowded();
        Ok(())
    }

    /// The revisions up to `through` will not be dispatched, because they were too many to be kept, or came in a snapshot:
    /// watchers that have not been given them will find them in the store.
    pub fn lost(&mut self, through: i64) {
        if through <= self.revision {
            return;
        }
        let expected = self.revision + 1;
        let behind: Vec<Key> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| matches!(watcher.state, State::Synced { .. }) && watcher.next <= through)
            .map(|(key, _)| key)
            .collect();
        for key in behind {
            self.leave_state(key);
            let watcher = &mut self.watchers[key];
            watcher.next = watcher.next.max(expected);
            self.make_ready(key);
        }
        self.revision = through;
    }

    fn dispatch_revision<R: Reader>(
        &mut self,
        changes: &RevisionChanges,
        reader: &R,
    ) -> Result<(), MvccError> {
        let mut hits = std::mem::take(&mut self.hits);
        for (at, change) in changes.changes.iter().enumerate() {
            self.index.visit(&change.key, |watchers| hits.extend(watchers.iter().map(|key| (*key, at))));
        }
        if changes.changes.len() > 1 {
            // Together what goes to one watcher, in the order of the changes.
            hits.sort_unstable();
        }
        let mut frames = BTreeMap::new();
        for hit in hits.chunk_by(|a, b| a.0 == b.0) {
            self.deliver(hit, changes, &mut frames, reader)?;
        }
        hits.clear();
        // One enormous revision must not decide what is kept from then on.
        hits.shrink_to(1 << 16);
        self.hits = hits;
        Ok(())
    }

    /// Gives one watcher the changes of a revision that it follows: all of them in one response, or none.
    fn deliver<'a, R: Reader>(
        &mut self,
        hit: &[(Key, usize)],
        changes: &'a RevisionChanges,
        frames: &mut BTreeMap<usize, EventFrames<'a>>,
        reader: &R,
    ) -> Result<(), MvccError> {
        let key = hit[0].0;
        let revision = changes.revision;
        let watcher = &self.watchers[key];
        let wanted =
            || hit.iter().map(|(_, at)| *at).filter(|at| watcher.wants(changes.changes[*at].deleted));
        if revision < watcher.next || wanted().next().is_none() {
            return Ok(());
        }
        let stream = &self.streams[watcher.stream];
        // Those who wait for room come first.
        if !stream.parked.is_empty() || !stream.has_room(&self.limits) {
            self.leave_state(key);
            self.watchers[key].next = revision;
            self.make_parked(key);
            self.stats.demotions += 1;
            return Ok(());
        }
        let mut events = Frames::new();
        for at in wanted() {
            let event = frames.entry(at).or_insert_with(|| EventFrames::new(&changes.changes[at], revision));
            events.push(event.frame(watcher.prev_kv, reader)?);
        }
        self.send(key, revision, events);
        self.watchers[key].next = revision + 1;
        Ok(())
    }

    /// Puts events of a watcher into the outlet of its stream.
    pub(super) fn send(&mut self, key: Key, header_revision: i64, events: Frames) {
        let watcher = &mut self.watchers[key];
        let outlet = &mut self.streams[watcher.stream].outlet;
        self.stats.events += events.len() as u64;
        watcher.quiet = false;
        let response = Response::events(watcher.id, header_revision, events);
        if watcher.fragment {
            response.cut(self.limits.fragment_bytes, self.who).for_each(|part| outlet.push(part));
        } else {
            outlet.push(response);
        }
    }
}
