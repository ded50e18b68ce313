//! What waits for the hub thread: new revisions, and what streams ask.
//!
//! The queue of revisions is bounded. When it is full, or when nobody watches, revisions are dropped and only the number of
//! the last one is kept: the hub treats them as lost, and watchers read them from the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use holdfast_engine::mvcc::{Change, RevisionChanges};
use parking_lot::{Condvar, Mutex};

use super::pipe::{Pipe, PipeEnd};

/// Bytes of revisions that may wait. The hub is faster than applying unless it is catching up for many; far more than what
/// is applied meanwhile, and little beside the memory of a server.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Batches taken at once: the asks of streams are not to wait for more.
const MAX_TAKEN_BATCHES: usize = 64;

/// What a stream asks of the hub.
pub(super) enum Ask {
    /// Begins the stream.
    Open { end: PipeEnd, progress_interval: std::time::Duration },
    /// Makes a watcher.
    Create(holdfast_proto::etcdserverpb::WatchCreateRequest),
    /// Answers a create request that a check has refused.
    Refuse(&'static str),
    /// Ends a watcher.
    Cancel(i64),
    /// Asks how far the stream is.
    Progress,
    /// The pipe has room again.
    Room,
    /// Ends the stream.
    Close,
}

/// Revisions and asks on their way to the hub.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Batches, with the bytes of each.
    changes: VecDeque<(usize, Vec<RevisionChanges>)>,
    waiting_bytes: usize,
    lost: Option<i64>,
    asks: Vec<(Arc<Pipe>, Ask)>,
    /// There may be watchers: changes are wanted.
    listening: bool,
    stopped: bool,
}

/// What the hub thread takes at once; to be handled in this order.
#[derive(Default)]
pub(super) struct Work {
    /// The revisions up to this one will not come.
    pub(super) lost: Option<i64>,
    pub(super) changes: Vec<Vec<RevisionChanges>>,
    pub(super) asks: Vec<(Arc<Pipe>, Ask)>,
    /// There is more.
    pub(super) more: bool,
    pub(super) stopped: bool,
}

/// How long to wait for work.
pub(super) enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Inbox {
    fn push_changes(&self, changes: Vec<RevisionChanges>) {
        let Some(last) = changes.last().map(|last| last.revision) else { return };
        let bytes = bytes_of(&changes);
        let mut state = self.state.lock();
        let dropped = if !state.listening || state.waiting_bytes + bytes > MAX_WAITING_BYTES {
            state.lost = state.lost.max(Some(last));
            state.waiting_bytes = 0;
            std::mem::take(&mut state.changes)
        } else {
            state.waiting_bytes += bytes;
            state.changes.push_back((bytes, changes));
            VecDeque::new()
        };
        let listening = state.listening;
        drop(state);
        // Large, and not to be freed under the lock.
        drop(dropped);
        if listening {
            self.changed.notify_one();
        }
    }

    /// The store has moved on to `through` without its revisions having been told one by one.
    fn skip(&self, through: i64) {
        let mut state = self.state.lock();
        state.lost = state.lost.max(Some(through));
        let listening = state.listening;
        drop(state);
        if listening {
            self.changed.notify_one();
        }
    }

    pub(super) fn ask(&self, pipe: Arc<Pipe>, ask: Ask) {
        let mut state = self.state.lock();
        if state.stopped {
            drop(state);
            // The pipe's end, if it is in the ask, ends the stream.
            drop(ask);
            return;
        }
        state.listening = true;
        state.asks.push((pipe, ask));
        drop(state);
        self.changed.notify_one();
    }

    /// Takes what waits. Without watchers (`idle`), and until the next ask, changes are dropped at once.
    pub(super) fn take(&self, wait: &Wait, idle: bool) -> Work {
        let mut state = self.state.lock();
        if idle && state.asks.is_empty() && state.listening {
            state.listening = false;
            if let Some(last) = state.changes.back().and_then(|(_, batch)| batch.last()) {
                state.lost = Some(last.revision);
            }
            state.waiting_bytes = 0;
            state.changes.clear();
        }
        while state.is_quiet() {
            match wait {
                Wait::No => break,
                Wait::Forever => self.changed.wait(&mut state),
                Wait::Until(due) => {
                    if self.changed.wait_until(&mut state, *due).timed_out() {
                        break;
                    }
                }
            }
        }
        let count = state.changes.len().min(MAX_TAKEN_BATCHES);
        state.waiting_bytes -= state.changes.iter().take(count).map(|(bytes, _)| bytes).sum::<usize>();
        let changes = state.changes.drain(..count).map(|(_, batch)| batch).collect();
        Work {
            lost: state.lost.take(),
            changes,
            asks: std::mem::take(&mut state.asks),
            more: !state.changes.is_empty(),
            stopped: state.stopped,
        }
    }

    /// The hub thread ends: nothing is taken any longer.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.listening = false;
        state.changes.clear();
        let asks = std::mem::take(&mut state.asks);
        drop(state);
        drop(asks);
        self.changed.notify_one();
    }
}

impl State {
    fn is_quiet(&self) -> bool {
        // Without watchers a lost revision interests nobody yet.
        let lost = self.lost.is_some() && self.listening;
        self.changes.is_empty() && self.asks.is_empty() && !lost && !self.stopped
    }
}

fn bytes_of(batch: &[RevisionChanges]) -> usize {
    let changes = batch.iter().flat_map(|revision| &revision.changes);
    changes.map(|change| change.kv.len() + size_of::<Change>()).sum()
}

/// The end of the inbox that the apply thread holds.
#[derive(Clone, Default)]
pub struct Feed(pub(super) Arc<Inbox>);

impl Feed {
    /// A feed that nobody listens to yet; [`super::start`] does.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands on revisions that have been published, in ascending order. Never blocks.
    pub fn push(&self, changes: Vec<RevisionChanges>) {
        self.0.push_changes(changes);
    }

    /// Says that the store holds everything up to revision `through`, though it was not pushed: a snapshot was installed.
    /// Watchers read what they have not seen from the store. Never blocks.
    pub fn skip(&self, through: i64) {
        self.0.skip(through);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn batch(revision: i64, len: usize) -> Vec<RevisionChanges> {
        let kv = Bytes::from(vec![0; len]);
        let change = Change { key: Bytes::new(), kv, deleted: false, created: true };
        vec![RevisionChanges { revision, changes: vec![change] }]
    }

    fn revisions(work: &Work) -> Vec<i64> {
        work.changes.iter().flatten().map(|changes| changes.revision).collect()
    }

    #[test]
    fn nothing_is_kept_while_nobody_listens() {
        let inbox = Inbox::default();
        inbox.push_changes(batch(2, 10));
        inbox.push_changes(batch(3, 10));
        inbox.ask(Arc::default(), Ask::Progress);
        inbox.push_changes(batch(4, 10));
        let work = inbox.take(&Wait::Forever, true);
        assert_eq!((work.lost, revisions(&work), work.asks.len()), (Some(3), vec![4], 1));
        // Whatever came until the hub says that it is idle is lost, but not forgotten.
        inbox.push_changes(batch(5, 10));
        let work = inbox.take(&Wait::No, true);
        assert_eq!((work.lost, revisions(&work)), (Some(5), vec![]));
    }

    #[test]
    fn a_full_queue_is_dropped_whole() {
        let inbox = Inbox::default();
        inbox.ask(Arc::default(), Ask::Progress);
        for revision in 0..40 {
            inbox.push_changes(batch(revision, 1 << 20));
        }
        // The first 31 fit; the next emptied the queue; those after it begin anew.
        let work = inbox.take(&Wait::Forever, false);
        assert_eq!(work.lost, Some(31));
        assert_eq!(revisions(&work), (32..40).collect::<Vec<_>>());
        assert_eq!(inbox.state.lock().waiting_bytes, 0);
    }

    #[test]
    fn a_skip_is_told_even_if_nothing_follows() {
        let inbox = Inbox::default();
        inbox.ask(Arc::default(), Ask::Progress);
        inbox.take(&Wait::Forever, false);
        inbox.push_changes(batch(7, 10));
        inbox.skip(9);
        let work = inbox.take(&Wait::Forever, false);
        // The hub passes over what lies below.
        assert_eq!((work.lost, revisions(&work)), (Some(9), vec![7]));
        inbox.skip(12);
        assert_eq!(inbox.take(&Wait::Forever, false).lost, Some(12));
    }

    #[test]
    fn asks_do_not_wait_for_all_changes() {
        let inbox = Inbox::default();
        inbox.ask(Arc::default(), Ask::Progress);
        (0..100).for_each(|revision| inbox.push_changes(batch(revision, 10)));
        let work = inbox.take(&Wait::Forever, false);
        assert!(work.more && work.changes.len() == MAX_TAKEN_BATCHES && work.asks.len() == 1);
        assert!(!inbox.take(&Wait::Forever, false).more);
    }
}
