//! A store, a hub, and clients that check what they are sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{ApplyTxn, CompactProgress, RevisionChanges, Store, View, trees};
use holdfast_engine::tree::{Db, DbOptions};
use holdfast_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use holdfast_proto::{mvccpb, watch as texts};
use prost::Message as _;

use super::client::{Client, Follower, PastEvent, Queue};
use crate::watch::slab::Key;
use crate::watch::states::State;
use crate::watch::{Hub, Identity, Limits, Response, WatchRange, What};

/// What a client asks of a watcher.
pub(super) type Ask = WatchCreateRequest;

/// The interval of the progress timer of every stream.
pub(super) const INTERVAL: Duration = Duration::from_secs(600);

pub(super) struct World {
    pub(super) store: Store,
    pub(super) hub: Hub<Queue>,
    pub(super) clients: Vec<Client>,
    /// Everything that ever happened.
    pub(super) history: Vec<PastEvent>,
    /// Published, but not told to the hub.
    pub(super) pending: VecDeque<RevisionChanges>,
    living: BTreeMap<Bytes, mvccpb::KeyValue>,
    pub(super) now: Duration,
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        let db = Db::open(Arc::new(MemFile::new()), trees::SPECS, DbOptions::default()).unwrap();
        let store = Store::open(db).unwrap();
        let mut hub = Hub::new(limits, store.view().unwrap().revision());
        hub.set_identity(Identity { cluster_id: 1, member_id: 2, raft_term: 3 });
        Self {
            store,
            hub,
            clients: Vec::new(),
            history: Vec::new(),
            pending: VecDeque::new(),
            living: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    pub(super) fn view(&self) -> View {
        self.store.view().unwrap()
    }

    /// Writes one revision, which the hub is not told of yet. Returns the current revision.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut ApplyTxn)) -> i64 {
        let mut txn = self.store.begin().unwrap();
        txn.begin_revision();
        write(&mut txn);
        let changes = txn.end_revision();
        let revision = txn.revision();
        txn.publish().unwrap();
        if let Some(changes) = changes {
            self.remember(&changes);
            self.pending.push_back(changes);
        }
        revision
    }

    fn remember(&mut self, changes: &RevisionChanges) {
        let before = self.living.clone();
        for change in &changes.changes {
            let kv = mvccpb::KeyValue::decode(change.kv.clone()).unwrap();
            let prev = before.get(&kv.key).filter(|_| !change.created).cloned();
            if change.deleted {
                self.living.remove(&kv.key);
            } else {
                self.living.insert(kv.key.clone(), kv.clone());
            }
            let event = mvccpb::Event { r#type: i32::from(change.deleted), kv: Some(kv), prev_kv: None };
            self.history.push(PastEvent { revision: changes.revision, event, prev });
        }
    }

    pub(super) fn put(&mut self, key: &str, value: &str) -> i64 {
        self.write(|txn| txn.put(key.as_bytes(), value.as_bytes(), 0).unwrap())
    }

    pub(super) fn delete(&mut self, key: &str, end: &str) -> i64 {
        self.write(|txn| drop(txn.delete_range(key.as_bytes(), end.as_bytes(), false).unwrap()))
    }

    /// Compacts, logically and physically.
    pub(super) fn compact(&mut self, revision: i64) {
        let mut txn = self.store.begin().unwrap();
        if txn.compact(revision).is_err() {
            return;
        }
        txn.publish().unwrap();
        loop {
            let mut txn = self.store.begin().unwrap();
            let progress = txn.compact_step(3).unwrap();
            txn.publish().unwrap();
            if !matches!(progress, CompactProgress::More) {
                break;
            }
        }
    }

    /// Tells the hub of the next `count` revisions, in one batch.
    pub(super) fn tell(&mut self, count: usize) {
        let count = count.min(self.pending.len());
        let batch: Vec<RevisionChanges> = self.pending.drain(..count).collect();
        self.hub.dispatch(&batch, &self.view()).unwrap();
        self.check();
    }

    pub(super) fn tell_all(&mut self) {
        self.tell(usize::MAX);
    }

    /// Forgets what the hub was not told, all but the last `keep` revisions, as an overflow or a snapshot does.
    pub(super) fn lose(&mut self, keep: usize) {
        let lost = self.pending.len().saturating_sub(keep);
        if let Some(last) = self.pending.drain(..lost).next_back() {
            // What is told next shows the gap as well.
            if keep == 0 || last.revision % 2 == 0 {
                self.hub.lost(last.revision);
            }
        }
        self.check();
    }

    pub(super) fn open(&mut self) -> usize {
        let queue = Queue::default();
        let stream = self.hub.open(queue.clone(), INTERVAL, self.now);
        self.clients.push(Client {
            stream,
            queue,
            controls: VecDeque::new(),
            registered: BTreeSet::new(),
            next_id: 0,
            followers: BTreeMap::new(),
            open: true,
        });
        self.clients.len() - 1
    }

    pub(super) fn close(&mut self, client: usize) {
        self.clients[client].open = false;
        self.hub.close(self.clients[client].stream);
        self.check();
    }

    /// Sends a create request; what must be answered is known here.
    pub(super) fn create(&mut self, client: usize, request: Ask) {
        let view = self.view();
        let current = view.revision();
        let client = &mut self.clients[client];
        self.hub.create(client.stream, &request, &view);
        if !client.open {
            return;
        }
        let refused = if request.start_revision < 0 {
            Some(texts::COMPACTED)
        } else if WatchRange::of_request(&request.key, &request.range_end).is_err() {
            Some(texts::EMPTY_WATCHER_RANGE)
        } else if request.watch_id != 0 && client.registered.contains(&request.watch_id) {
            Some(texts::DUPLICATE_WATCH_ID)
        } else {
            None
        };
        if let Some(reason) = refused {
            client.controls.push_back((Response::new(-1, current, What::Refused(reason)), None));
            return;
        }
        let mut id = request.watch_id;
        if id == 0 {
            while client.registered.contains(&client.next_id) {
                client.next_id += 1;
            }
            id = client.next_id;
            client.next_id += 1;
        }
        client.registered.insert(id);
        let start = if request.start_revision == 0 { current + 1 } else { request.start_revision };
        let at = self.history.partition_point(|past| past.revision < start);
        // A start beyond the history: it is looked for again when there is more.
        let follower = if start > current + 1 {
            Follower::starting_at(request, at, start)
        } else {
            Follower::new(request, at)
        };
        client.controls.push_back((Response::new(id, current, What::Created), Some(follower)));
        self.check();
    }

    pub(super) fn cancel(&mut self, client: usize, id: i64) {
        let view = self.view();
        let client = &mut self.clients[client];
        self.hub.cancel(client.stream, id, &view);
        if client.registered.remove(&id) && client.open {
            client.controls.push_back((Response::new(id, view.revision(), What::Canceled), None));
        }
        self.check();
    }

    pub(super) fn ask_progress(&mut self, client: usize) {
        self.hub.progress(self.clients[client].stream);
    }

    /// The client reads up to `count` responses. Returns them.
    pub(super) fn read(&mut self, client: usize, count: usize) -> Vec<Response> {
        let (current, compacted) = (self.view().revision(), self.view().compact_revision());
        let mut read = Vec::new();
        while read.len() < count {
            let reader = &mut self.clients[client];
            let Some((response, wake)) = reader.queue.pop() else { break };
            reader.read(&response, &self.history, current, compacted);
            read.push(response);
            if wake {
                self.hub.room(self.clients[client].stream);
            }
        }
        self.check();
        read
    }

    pub(super) fn read_all(&mut self, client: usize) -> Vec<Response> {
        self.read(client, usize::MAX)
    }

    /// One step of catching up; whether there is more to do.
    pub(super) fn step(&mut self) -> bool {
        let more = self.hub.catch_up(&self.view()).unwrap();
        self.check();
        more
    }

    pub(super) fn catch_up(&mut self) {
        while self.step() {}
    }

    /// Everybody gets everything.
    pub(super) fn settle(&mut self) {
        self.tell_all();
        loop {
            self.catch_up();
            let clients: Vec<usize> = (0..self.clients.len()).filter(|at| self.clients[*at].open).collect();
            if clients.into_iter().map(|at| self.read_all(at).len()).sum::<usize>() == 0 {
                break;
            }
        }
        for client in self.clients.iter().filter(|client| client.open) {
            assert!(client.controls.is_empty(), "an unanswered request");
            assert!(client.followers.keys().eq(&client.registered));
            for follower in client.followers.values().filter(|follower| !follower.ended) {
                assert!(follower.expected(&self.history).is_none(), "an event was never sent");
            }
        }
    }

    /// The hub's structures agree with each other.
    pub(super) fn check(&self) {
        let hub = &self.hub;
        assert!(hub.crowded.is_empty() && hub.hits.is_empty());
        let mut synced = 0;
        for (stream_key, stream) in hub.streams.iter() {
            let of = |wanted: fn(&State) -> bool| {
                let states = stream.watchers.values().map(|key| hub.watchers[*key].state);
                states.filter(wanted).count()
            };
            assert_eq!(stream.synced, of(|state| matches!(state, State::Synced { .. })));
            assert_eq!(stream.ready, of(|state| matches!(state, State::Ready { .. })));
            assert_eq!(stream.parked.len(), of(|state| matches!(state, State::Parked { .. })));
            synced += stream.synced;
            for (turn, key) in &stream.parked {
                assert_eq!(hub.watchers[*key].state, State::Parked { turn: *turn });
                assert_eq!(hub.watchers[*key].stream, stream_key);
            }
            if !stream.parked.is_empty() {
                assert!(stream.ready > 0 || stream.outlet.has_waker(), "nobody thinks of the parked");
            }
            assert!(hub.timers.contains(&(stream.progress_due, stream_key)));
        }
        assert_eq!(hub.timers.len(), hub.streams.len());
        assert_eq!(hub.stats().synced, synced);
        for (key, watcher) in hub.watchers.iter() {
            assert_eq!(hub.streams[watcher.stream].watchers.get(&watcher.id), Some(&key));
            if matches!(watcher.state, State::Synced { .. }) {
                let mut found: Vec<Key> = Vec::new();
                hub.index.visit(&watcher.range.from, |list| found.extend_from_slice(list));
                assert_eq!(found.iter().filter(|other| **other == key).count(), 1, "not in the index");
            }
        }
    }
}

/// A whole message, as it goes over the wire.
pub(super) fn message(response: &Response) -> WatchResponse {
    let mut wire = response.head(Identity { cluster_id: 1, member_id: 2, raft_term: 3 });
    response.frames().iter().for_each(|frame| wire.extend_from_slice(frame));
    WatchResponse::decode(wire.as_slice()).unwrap()
}
