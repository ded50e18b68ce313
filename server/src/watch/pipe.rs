//! What waits for one client: the queue between the hub thread and the body of its response.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use holdfast_core::watch::{Load, Outlet, Response, StreamId, What};
use holdfast_proto::error::EtcdError;
use holdfast_proto::limits;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::Status;

/// The queue of one stream.
#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    /// The load again, for the hub, which asks more often than it puts in.
    responses: AtomicUsize,
    bytes: AtomicUsize,
    /// The request reader may go on.
    admission: Notify,
    /// Set by the hub thread before it handles anything else of this stream.
    pub(super) stream: OnceLock<StreamId>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Response>,
    bytes: usize,
    /// Responses in the queue that answer requests, and requests that the hub has not handled.
    unanswered: usize,
    wake_below: Option<Load>,
    reader: Option<Waker>,
    /// The stream ends with this status when the queue is empty.
    end: Option<Status>,
    /// The client is gone: nothing is queued any longer.
    closed: bool,
}

/// What comes out of a pipe.
pub(super) enum Next {
    /// A response; and whether the hub wants to be told that there is room.
    Response(Response, bool),
    /// The end.
    End(Status),
}

impl Pipe {
    /// The oldest response, or the end behind the last one.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state.lock();
        let Some(response) = state.queue.pop_front() else {
            if let Some(status) = &state.end {
                return Poll::Ready(Next::End(status.clone()));
            }
            if !state.reader.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                state.reader = Some(context.waker().clone());
            }
            return Poll::Pending;
        };
        state.bytes -= response.held_bytes();
        let load = self.note_load(&state);
        let room = state.wake_below.is_some_and(|limit| load.is_below(limit));
        if room {
            state.wake_below = None;
        }
        if is_answer(&response) {
            state.unanswered = state.unanswered.saturating_sub(1);
            self.admission.notify_one();
        }
        Poll::Ready(Next::Response(response, room))
    }

    fn note_load(&self, state: &State) -> Load {
        self.responses.store(state.queue.len(), Ordering::Relaxed);
        self.bytes.store(state.bytes, Ordering::Relaxed);
        Load { responses: state.queue.len(), bytes: state.bytes }
    }

    /// Waits until few enough requests are unanswered, and counts another one.
    pub(super) async fn admit(&self) {
        loop {
            {
                let mut state = self.state.lock();
                if state.unanswered < limits::WATCH_STREAM_CONTROLS {
                    state.unanswered += 1;
                    return;
                }
            }
            self.admission.notified().await;
        }
    }

    /// The hub has handled a request that was admitted. Its answer, if there is one, is in the queue and counts by itself.
    pub(super) fn handled(&self) {
        let mut state = self.state.lock();
        state.unanswered = state.unanswered.saturating_sub(1);
        drop(state);
        self.admission.notify_one();
    }

    /// Ends the stream behind what is queued. The first end counts.
    pub(super) fn finish(&self, status: Status) {
        let mut state = self.state.lock();
        state.end.get_or_insert(status);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The client is gone.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.bytes = 0;
        let queue = std::mem::take(&mut state.queue);
        self.note_load(&state);
        drop(state);
        drop(queue);
    }
}

/// Whether a response answers a request. Progress told by itself counts too, and an end: they are as few.
fn is_answer(response: &Response) -> bool {
    !matches!(response.what, What::Events { .. })
}

/// The hub's end of a pipe. When the hub drops it the stream is over; if the client still listens it is told that the
/// server stops.
pub(super) struct PipeEnd(pub(super) Arc<Pipe>);

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.0.finish(EtcdError::Stopped.into());
    }
}

impl Outlet for PipeEnd {
    fn load(&self) -> Load {
        Load {
            responses: self.0.responses.load(Ordering::Relaxed),
            bytes: self.0.bytes.load(Ordering::Relaxed),
        }
    }

    fn push(&mut self, response: Response) {
        let mut state = self.0.state.lock();
        if state.closed {
            return;
        }
        state.bytes += response.held_bytes();
        state.unanswered += usize::from(is_answer(&response));
        state.queue.push_back(response);
        self.0.note_load(&state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn wake_below(&mut self, limit: Load) -> bool {
        let mut state = self.0.state.lock();
        if (Load { responses: state.queue.len(), bytes: state.bytes }).is_below(limit) {
            return false;
        }
        state.wake_below = Some(limit);
        true
    }
}
