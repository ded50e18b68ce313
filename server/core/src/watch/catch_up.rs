//! History, to watchers that are behind.

use bytes::Bytes;
use holdfast_engine::mvcc::{Change, MvccError};

use super::Reader;
use super::event::EventFrames;
use super::hub::{Hub, Watcher};
use super::outlet::Outlet;
use super::response::{Frames, Response, What};
use super::slab::Key;

/// A change of the history at hand.
struct Past<'a> {
    revision: i64,
    change: &'a Change,
    frames: EventFrames<'a>,
}

/// Events of whole revisions, gathered into responses of limited length.
struct Batches {
    limit: usize,
    full: Vec<Frames>,
    current: Frames,
    current_bytes: usize,
}

impl Batches {
    fn new(limit: usize) -> Self {
        Self { limit, full: Vec::new(), current: Frames::new(), current_bytes: 0 }
    }

    /// Adds the events of one revision: to the last response, unless that would become too long.
    fn add(&mut self, revision: Frames) {
        let bytes: usize = revision.iter().map(Bytes::len).sum();
        if !self.current.is_empty() && self.current_bytes + bytes > self.limit {
            self.full.push(std::mem::take(&mut self.current));
            self.current_bytes = 0;
        }
        self.current_bytes += bytes;
        self.current.extend(revision);
    }

    fn finish(mut self) -> Vec<Frames> {
        if !self.current.is_empty() {
            self.full.push(self.current);
        }
        self.full
    }
}

impl<O: Outlet> Hub<O> {
    /// One bounded step: serves the ready watcher that has waited longest, and others that can be served from the same
    /// piece of history. `reader` must be the newest state: a compaction that it does not know may have removed what it
    /// would read. Returns whether any watchers are ready still.
    ///
    /// # Errors
    /// The store is damaged. The member has to stop: the hub must not be used any longer.
    ///
    /// # Panics
    /// When `reader` is older than the revisions that the hub was told of.
    pub fn catch_up<R: Reader>(&mut self, reader: &R) -> Result<bool, MvccError> {
        let Some(first) = self.ready.first() else { return Ok(false) };
        let from = self.watchers[first].next;
        let compacted = reader.compact_revision();
        assert!(reader.revision() >= self.revision, "changes are told after they were published");
        if from < compacted {
            self.end_overtaken(compacted);
        } else {
            self.serve_from(from, reader)?;
        }
        self.let_on_crowded();
        Ok(self.ready.len() > 0)
    }

    /// Tells watchers that wait for what has been compacted that they have ended.
    fn end_overtaken(&mut self, compacted: i64) {
        let overtaken = self.ready.first_and_those_within(0, compacted - 1, self.limits.step_watchers);
        for key in overtaken {
            self.leave_state(key);
            let Watcher { stream, id, .. } = self.watchers[key];
            if self.streams[stream].has_room(&self.limits) {
                self.streams[stream].outlet.push(Response::new(id, 0, What::Compacted(compacted)));
                self.note_crowded(stream);
            } else {
                self.make_parked(key);
            }
        }
    }

    fn serve_from<R: Reader>(&mut self, from: i64, reader: &R) -> Result<(), MvccError> {
        let read = reader.changes(from, self.limits.step_revisions, self.limits.step_bytes)?;
        // With nothing to read, everything up to the reader's revision has been seen.
        let through = read.last().map_or(reader.revision(), |last| last.revision);
        let mut history: Vec<Past<'_>> = Vec::new();
        for changes in &read {
            let revision = changes.revision;
            history.extend(changes.changes.iter().map(|change| {
                let frames = EventFrames::new(change, revision);
                Past { revision, change, frames }
            }));
        }
        let affordable = self.limits.step_comparisons / history.len().max(1);
        let limit = affordable.clamp(1, self.limits.step_watchers);
        for key in self.ready.first_and_those_within(from, through, limit) {
            self.leave_state(key);
            self.serve(key, &mut history, through, reader)?;
        }
        Ok(())
    }

    /// Gives one watcher what it follows of `history`, which reaches through revision `through`.
    fn serve<R: Reader>(
        &mut self,
        key: Key,
        history: &mut [Past<'_>],
        through: i64,
        reader: &R,
    ) -> Result<(), MvccError> {
        let watcher = &self.watchers[key];
        let stream = watcher.stream;
        if !self.streams[stream].has_room(&self.limits) {
            self.make_parked(key);
            return Ok(());
        }
        let begin = history.partition_point(|past| past.revision < watcher.next);
        // What is cut into fragments may be cut anywhere; otherwise whole revisions go together.
        let limit = if watcher.fragment { usize::MAX } else { self.limits.response_bytes };
        let mut responses = Batches::new(limit);
        for revision in history[begin..].chunk_by_mut(|a, b| a.revision == b.revision) {
            let mut events = Frames::new();
            for past in revision {
                if watcher.wants(past.change.deleted) && watcher.range.contains(&past.change.key) {
                    events.push(past.frames.frame(watcher.prev_kv, reader)?);
                }
            }
            responses.add(events);
        }
        for events in responses.finish() {
            self.send(key, reader.revision(), events);
        }
        self.watchers[key].next = through + 1;
        if through >= self.revision {
            self.make_synced(key);
        } else {
            self.make_ready(key);
        }
        self.note_crowded(stream);
        Ok(())
    }
}
