//! A client that knows what it must be sent, and complains about anything else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use holdfast_proto::{etcdserverpb as pb, mvccpb};
use prost::Message as _;

use crate::watch::{Load, Outlet, Response, StreamId, WatchRange, What};

/// The queue between hub and client.
#[derive(Clone, Default)]
pub(super) struct Queue(Rc<RefCell<Waiting>>);

#[derive(Default)]
struct Waiting {
    responses: VecDeque<Response>,
    bytes: usize,
    wake_below: Option<Load>,
}

impl Queue {
    /// Takes the oldest response; also whether the hub wants to be told.
    pub(super) fn pop(&self) -> Option<(Response, bool)> {
        let mut waiting = self.0.borrow_mut();
        let response = waiting.responses.pop_front()?;
        waiting.bytes -= response.held_bytes();
        let load = Load { responses: waiting.responses.len(), bytes: waiting.bytes };
        let wake = waiting.wake_below.is_some_and(|limit| load.is_below(limit));
        if wake {
            waiting.wake_below = None;
        }
        Some((response, wake))
    }

    pub(super) fn has_waker(&self) -> bool {
        self.0.borrow().wake_below.is_some()
    }
}

impl Outlet for Queue {
    fn load(&self) -> Load {
        let waiting = self.0.borrow();
        Load { responses: waiting.responses.len(), bytes: waiting.bytes }
    }

    fn push(&mut self, response: Response) {
        let mut waiting = self.0.borrow_mut();
        waiting.bytes += response.held_bytes();
        waiting.responses.push_back(response);
    }

    fn wake_below(&mut self, limit: Load) -> bool {
        if self.load().is_below(limit) {
            return false;
        }
        self.0.borrow_mut().wake_below = Some(limit);
        true
    }
}

/// A change as the model of the store knows it.
#[derive(Clone, Debug)]
pub(super) struct PastEvent {
    pub(super) revision: i64,
    pub(super) event: mvccpb::Event,
    /// The version before.
    pub(super) prev: Option<mvccpb::KeyValue>,
}

/// What the client knows of one of its watchers.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) request: pb::WatchCreateRequest,
    /// Position in the history of the first event that it has not been sent.
    pub(super) at: usize,
    pub(super) ended: bool,
    /// Nothing below this revision is sent.
    start: i64,
    /// Inside a response that was cut.
    in_fragment: bool,
}

impl Follower {
    pub(super) fn new(request: pb::WatchCreateRequest, at: usize) -> Self {
        Self::starting_at(request, at, 0)
    }

    /// One that begins at a revision which may lie in the future.
    pub(super) fn starting_at(request: pb::WatchCreateRequest, at: usize, start: i64) -> Self {
        Self { request, at, ended: false, start, in_fragment: false }
    }

    fn follows(&self, past: &PastEvent) -> bool {
        let range = WatchRange::of_request(&self.request.key, &self.request.range_end).unwrap();
        let filter = i32::from(past.event.r#type != 0);
        past.revision >= self.start
            && range.contains(&past.event.kv.as_ref().unwrap().key)
            && !self.request.filters.contains(&filter)
    }

    /// The next event that it must be sent, with its position.
    pub(super) fn expected<'a>(&self, history: &'a [PastEvent]) -> Option<(usize, &'a PastEvent)> {
        history.iter().enumerate().skip(self.at).find(|(_, past)| self.follows(past))
    }
}

/// One stream as its client sees it.
pub(super) struct Client {
    pub(super) stream: StreamId,
    pub(super) queue: Queue,
    /// Control responses that must come, in order; a created one brings its follower.
    pub(super) controls: VecDeque<(Response, Option<Follower>)>,
    /// What the server has registered.
    pub(super) registered: BTreeSet<i64>,
    pub(super) next_id: i64,
    /// What the client knows to exist, by what it has read.
    pub(super) followers: BTreeMap<i64, Follower>,
    pub(super) open: bool,
}

/// The events of a response.
pub(super) fn events(response: &Response) -> Vec<mvccpb::Event> {
    let wire: Vec<u8> = response.frames().iter().flatten().copied().collect();
    pb::WatchResponse::decode(wire.as_slice()).unwrap().events
}

impl Client {
    /// Checks a response against everything that has happened.
    pub(super) fn read(&mut self, response: &Response, history: &[PastEvent], current: i64, compacted: i64) {
        match response.what {
            What::Created | What::Refused(_) | What::Canceled => self.read_control(response),
            What::Compacted(revision) => {
                assert_eq!(response.revision, 0);
                assert!(revision <= compacted);
                let follower = self.followers.get_mut(&response.watch_id).unwrap();
                assert!(!follower.ended && follower.request.start_revision < revision);
                follower.ended = true;
            }
            What::Progress => self.read_progress(response, history),
            What::Events { fragment } => {
                let follower = self.followers.get_mut(&response.watch_id).unwrap();
                assert!(!follower.ended, "events after the end");
                let events = events(response);
                assert!(!events.is_empty());
                let mut last = 0;
                for event in events {
                    let (at, past) = follower.expected(history).expect("an event that never happened");
                    check_event(&event, past, follower.request.prev_kv, compacted);
                    follower.at = at + 1;
                    last = past.revision;
                }
                assert!(last <= response.revision && response.revision <= current);
                assert!(!fragment || follower.request.fragment, "cut without being asked to");
                follower.in_fragment = fragment;
                let next = follower.expected(history);
                if fragment {
                    assert!(next.is_some(), "a fragment that nothing follows");
                } else {
                    assert!(next.is_none_or(|(_, past)| past.revision > last), "a revision was torn");
                }
            }
        }
    }

    fn read_control(&mut self, response: &Response) {
        let (expected, follower) = self.controls.pop_front().expect("an answer to no question");
        assert_eq!(*response, expected);
        let id = response.watch_id;
        match response.what {
            What::Created => drop(self.followers.insert(id, follower.unwrap())),
            What::Canceled => drop(self.followers.remove(&id)),
            _ => {}
        }
    }

    fn read_progress(&mut self, response: &Response, history: &[PastEvent]) {
        let all = response.watch_id == -1;
        let concerned = self.followers.iter().filter(|(id, _)| all || **id == response.watch_id);
        let mut any = false;
        for (_, follower) in concerned {
            any = true;
            assert!(!follower.ended && !follower.in_fragment);
            assert!(all || follower.request.progress_notify);
            assert!(follower.request.start_revision <= response.revision, "progress before the start");
            let next = follower.expected(history);
            assert!(next.is_none_or(|(_, past)| past.revision > response.revision), "untrue progress");
        }
        assert!(any, "progress of nothing");
    }
}

fn check_event(event: &mvccpb::Event, past: &PastEvent, wants_prev: bool, compacted: i64) {
    let plain = mvccpb::Event { prev_kv: None, ..event.clone() };
    assert_eq!(plain, past.event);
    match &event.prev_kv {
        Some(prev) => assert!(wants_prev && past.prev.as_ref() == Some(prev)),
        None => assert!(!wants_prev || past.prev.is_none() || past.revision - 1 < compacted),
    }
}

impl Client {
    /// What waits is no more than the limits allow: without the answers to its own questions, progress, and the response
    /// that went over the limit.
    pub(super) fn check_bounds(&self, limits: &crate::watch::Limits) {
        let waiting = self.queue.0.borrow();
        let mut load = Load::default();
        for response in &waiting.responses {
            let starts = matches!(response.what, What::Events { .. });
            let room = load.bytes < limits.stream_bytes;
            // Parts of a response that was cut follow each other whatever the load.
            assert!(!starts || room || load.bytes <= limits.stream_bytes + LONGEST_RESPONSE);
            load.bytes += response.held_bytes();
        }
        assert_eq!(load.bytes, waiting.bytes);
        assert!(waiting.bytes <= limits.stream_bytes + LONGEST_RESPONSE, "{}", waiting.bytes);
    }
}

/// Bytes of the longest response in the random tests: a step's worth, one revision more, each with the version before.
const LONGEST_RESPONSE: usize = 4000;
