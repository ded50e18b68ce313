//! Streams and their watchers: what clients ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_proto::etcdserverpb::WatchCreateRequest;
use holdfast_proto::etcdserverpb::watch_create_request::FilterType;
use holdfast_proto::{limits, watch as texts};

use super::index::Index;
use super::outlet::{Load, Outlet};
use super::range::WatchRange;
use super::ready::ReadyQueue;
use super::response::{Identity, Response, What};
use super::slab::{Key, Slab};
use super::states::State;
use super::{EmptyRange, Reader};

/// Bounds of the hub's work and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Responses that wait on a stream before its watchers are parked. A stream with more watchers than that may have one
    /// for each, so that a revision that all of them follow fits.
    pub stream_responses: usize,
    /// Bytes of events that wait on a stream before its watchers are parked. The last response may go beyond.
    pub stream_bytes: usize,
    /// Encoded length from which a response to a watcher that asked for it is cut.
    pub fragment_bytes: usize,
    /// Bytes of events in a response that catches up, unless one revision has more. Libraries refuse messages above a limit of
    /// their own, four megabytes by default.
    pub response_bytes: usize,
    /// Revisions in one step of catching up, and so in one response.
    pub step_revisions: usize,
    /// Bytes of events read in one step, unless one revision has more.
    pub step_bytes: usize,
    /// Watchers served in one step.
    pub step_watchers: usize,
    /// Comparisons of a watcher with a change in one step: many watchers share a short piece of history, or few a long one.
    pub step_comparisons: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream_responses: limits::WATCH_STREAM_EVENTS,
            stream_bytes: limits::MAX_RECEIVE_BYTES,
            fragment_bytes: limits::MAX_RECEIVE_BYTES,
            response_bytes: limits::MAX_RECEIVE_BYTES,
            step_revisions: limits::WATCH_BATCH_REVISIONS,
            step_bytes: 3 * limits::MAX_RECEIVE_BYTES,
            step_watchers: limits::WATCHERS_PER_SYNC,
            step_comparisons: 100 * limits::WATCH_BATCH_REVISIONS,
        }
    }
}

/// Names a stream. Never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub(super) Key);

/// Numbers of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStats {
    /// Open streams.
    pub streams: usize,
    /// Watchers on them.
    pub watchers: usize,
    /// Watchers that have been given everything up to the hub's revision.
    pub synced: usize,
    /// Watchers that catch up.
    pub ready: usize,
    /// Events put into responses since the start.
    pub events: u64,
    /// How often a watcher fell behind because its client did not read fast enough.
    pub demotions: u64,
}

/// One watcher.
pub(super) struct Watcher {
    pub(super) stream: Key,
    pub(super) id: i64,
    pub(super) range: WatchRange,
    /// `start_revision` as asked for.
    pub(super) start: i64,
    /// The first revision that it has not been given. While it is synced, anything up to the hub's revision means the one
    /// behind that.
    pub(super) next: i64,
    pub(super) state: State,
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
    pub(super) prev_kv: bool,
    pub(super) fragment: bool,
    pub(super) progress_notify: bool,
    /// No events since the last look of the progress timer.
    pub(super) quiet: bool,
}

impl Watcher {
    pub(super) fn wants(&self, deleted: bool) -> bool {
        !(if deleted { self.no_delete } else { self.no_put })
    }
}

/// One stream.
pub(super) struct Stream<O> {
    pub(super) outlet: O,
    pub(super) watchers: BTreeMap<i64, Key>,
    next_id: i64,
    /// Watchers that wait for room, in the order in which they are let on.
    pub(super) parked: BTreeMap<u64, Key>,
    /// How many of its watchers are in the ready queue.
    pub(super) ready: usize,
    /// How many are synced.
    pub(super) synced: usize,
    /// How many want to be told how far they are.
    pub(super) notified: usize,
    /// No watcher starts above this revision.
    pub(super) latest_start: i64,
    pub(super) progress_interval: Duration,
    pub(super) progress_due: Duration,
}

/// All watches of a member; see the module's description.
pub struct Hub<O> {
    pub(super) limits: Limits,
    pub(super) who: Identity,
    /// The newest revision that synced watchers have been given.
    pub(super) revision: i64,
    pub(super) streams: Slab<Stream<O>>,
    pub(super) watchers: Slab<Watcher>,
    pub(super) index: Index,
    pub(super) ready: ReadyQueue,
    pub(super) last_turn: u64,
    /// Streams by the time of their next look at progress.
    pub(super) timers: BTreeSet<(Duration, Key)>,
    /// Scratch of dispatch: who follows which change of the revision at hand.
    pub(super) hits: Vec<(Key, usize)>,
    /// Streams on which watchers were parked in the operation at hand.
    pub(super) crowded: Vec<Key>,
    pub(super) stats: HubStats,
}

impl<O: Outlet> Hub<O> {
    /// A hub without streams, which expects the revisions behind `revision`.
    pub fn new(limits: Limits, revision: i64) -> Self {
        Self {
            limits,
            who: Identity::default(),
            revision,
            streams: Slab::new(),
            watchers: Slab::new(),
            index: Index::new(),
            ready: ReadyQueue::default(),
            last_turn: 0,
            timers: BTreeSet::new(),
            hits: Vec::new(),
            crowded: Vec::new(),
            stats: HubStats::default(),
        }
    }

    /// Says who answers. The hub needs it only to know how long a response becomes.
    pub fn set_identity(&mut self, who: Identity) {
        self.who = who;
    }

    /// The newest revision that it was told of.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Its numbers.
    pub fn stats(&self) -> HubStats {
        HubStats {
            streams: self.streams.len(),
            watchers: self.watchers.len(),
            ready: self.ready.len(),
            ..self.stats
        }
    }

    /// Opens a stream whose responses go into `outlet`. Every `progress_interval`, first that long after `now`, it is
    /// looked for watchers that want to be told how far they are.
    pub fn open(&mut self, outlet: O, progress_interval: Duration, now: Duration) -> StreamId {
        let progress_due = now.saturating_add(progress_interval);
        let stream = self.streams.insert(Stream {
            outlet,
            watchers: BTreeMap::new(),
            next_id: 0,
            parked: BTreeMap::new(),
            ready: 0,
            synced: 0,
            notified: 0,
            latest_start: 0,
            progress_interval,
            progress_due,
        });
        self.timers.insert((progress_due, stream));
        StreamId(stream)
    }

    /// Ends a stream with all its watchers. Nothing more goes into its outlet, which is dropped.
    pub fn close(&mut self, stream: StreamId) {
        let Some(open) = self.streams.get(stream.0) else { return };
        self.timers.remove(&(open.progress_due, stream.0));
        let watchers: Vec<Key> = open.watchers.values().copied().collect();
        for watcher in watchers {
            self.leave_state(watcher);
            self.watchers.remove(watcher);
        }
        self.streams.remove(stream.0);
    }

    /// Makes a watcher, or says why not. Whether the client may have it has been checked. `now` is the store as the client
    /// knows it: at least as new as everything that has been acknowledged to it.
    pub fn create<R: Reader>(&mut self, stream: StreamId, request: &WatchCreateRequest, now: &R) {
        let Some(open) = self.streams.get_mut(stream.0) else { return };
        let current = now.revision().max(self.revision);
        let asked = if request.start_revision < 0 {
            Err(texts::COMPACTED)
        } else {
            match WatchRange::of_request(&request.key, &request.range_end) {
                Ok(range) => open.new_id(request.watch_id).map(|id| (id, range)),
                Err(EmptyRange) => Err(texts::EMPTY_WATCHER_RANGE),
            }
        };
        let (id, range) = match asked {
            Ok(asked) => asked,
            Err(reason) => return open.refuse(reason, current),
        };
        open.outlet.push(Response::new(id, current, What::Created));
        let start = request.start_revision;
        let watcher = watcher(stream.0, id, range, request, if start == 0 { current + 1 } else { start });
        open.latest_start = open.latest_start.max(start);
        open.notified += usize::from(watcher.progress_notify);
        let behind = watcher.next <= self.revision || watcher.next < now.compact_revision();
        let key = self.watchers.insert(watcher);
        open.watchers.insert(id, key);
        if behind {
            self.make_ready(key);
        } else {
            self.make_synced(key);
        }
    }

    /// Answers a create request that a check outside has refused, for one of the reasons in [`holdfast_proto::watch`].
    pub fn refuse<R: Reader>(&mut self, stream: StreamId, reason: &'static str, now: &R) {
        let current = now.revision().max(self.revision);
        if let Some(open) = self.streams.get_mut(stream.0) {
            open.refuse(reason, current);
        }
    }

    /// Ends a watcher. One that the stream does not know is not answered.
    pub fn cancel<R: Reader>(&mut self, stream: StreamId, id: i64, now: &R) {
        let current = now.revision().max(self.revision);
        let Some(open) = self.streams.get(stream.0) else { return };
        let Some(&key) = open.watchers.get(&id) else { return };
        self.leave_state(key);
        let watcher = self.watchers.remove(key);
        let open = &mut self.streams[stream.0];
        open.watchers.remove(&id);
        open.notified -= usize::from(watcher.is_some_and(|watcher| watcher.progress_notify));
        open.outlet.push(Response::new(id, current, What::Canceled));
        self.let_on(stream.0);
    }
}

fn watcher(stream: Key, id: i64, range: WatchRange, request: &WatchCreateRequest, next: i64) -> Watcher {
    let filtered = |filter: FilterType| request.filters.contains(&(filter as i32));
    Watcher {
        stream,
        id,
        range,
        start: request.start_revision,
        next,
        state: State::Ended,
        no_put: filtered(FilterType::Noput),
        no_delete: filtered(FilterType::Nodelete),
        prev_kv: request.prev_kv,
        fragment: request.fragment,
        progress_notify: request.progress_notify,
        quiet: true,
    }
}

impl<O: Outlet> Stream<O> {
    /// The identifier that the next watcher gets when its client asks for `asked`.
    fn new_id(&mut self, asked: i64) -> Result<i64, &'static str> {
        if asked != texts::AUTO_WATCH_ID {
            return if self.watchers.contains_key(&asked) {
                Err(texts::DUPLICATE_WATCH_ID)
            } else {
                Ok(asked)
            };
        }
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Ok(self.next_id - 1)
    }

    fn refuse(&mut self, reason: &'static str, current: i64) {
        self.outlet.push(Response::new(texts::INVALID_WATCH_ID, current, What::Refused(reason)));
    }

    /// What may wait on it.
    pub(super) fn capacity(&self, limits: &Limits) -> Load {
        Load { responses: limits.stream_responses.max(self.watchers.len()), bytes: limits.stream_bytes }
    }

    /// Whether another response with events may go into the outlet.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.outlet.load().is_below(self.capacity(limits))
    }
}
