//! Opening streams.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use holdfast_core::watch::{HubStats, Response};
use holdfast_proto::etcdserverpb::WatchCreateRequest;
use holdfast_proto::limits;
use parking_lot::Mutex;
use rand::Rng as _;
use tonic::Status;

use super::inbox::{Ask, Inbox};
use super::pipe::{Next, Pipe, PipeEnd};

/// The way to a member's watches; cheap to clone.
#[derive(Clone)]
pub struct WatchHandle {
    pub(super) inbox: Arc<Inbox>,
    pub(super) stats: Arc<Mutex<HubStats>>,
    pub(super) progress_interval: Duration,
}

impl WatchHandle {
    /// Opens a stream. It ends when its [`Responses`] are dropped.
    pub fn open(&self) -> (Asks, Responses) {
        let pipe = Arc::new(Pipe::default());
        // By chance a little longer, so that streams which were opened together do not wake together.
        let jitter = self.progress_interval / limits::WATCH_PROGRESS_JITTER;
        let progress_interval = self.progress_interval + jitter.mul_f64(rand::rng().random::<f64>());
        let open = Ask::Open { end: PipeEnd(Arc::clone(&pipe)), progress_interval };
        self.inbox.ask(Arc::clone(&pipe), open);
        let asks = Asks { pipe: Arc::clone(&pipe), inbox: Arc::clone(&self.inbox) };
        (asks, Responses { pipe, inbox: Arc::clone(&self.inbox) })
    }

    /// Numbers of the hub, as of a moment ago.
    pub fn stats(&self) -> HubStats {
        *self.stats.lock()
    }

    /// Ends all streams with "server stopped", and the hub thread.
    pub fn stop(&self) {
        self.inbox.stop();
    }
}

/// What can be asked on a stream. Every answer comes through its [`Responses`]; when too many have not been taken from
/// there, asking waits.
pub struct Asks {
    pub(super) pipe: Arc<Pipe>,
    inbox: Arc<Inbox>,
}

impl Asks {
    /// Makes a watcher, for a client that may have it.
    pub async fn create(&self, request: WatchCreateRequest) {
        self.ask(Ask::Create(request)).await;
    }

    /// Answers a create request with one of the reasons in [`holdfast_proto::watch`].
    pub async fn refuse(&self, reason: &'static str) {
        self.ask(Ask::Refuse(reason)).await;
    }

    /// Ends a watcher.
    pub async fn cancel(&self, watch_id: i64) {
        self.ask(Ask::Cancel(watch_id)).await;
    }

    /// Asks how far the stream is.
    pub async fn progress(&self) {
        self.ask(Ask::Progress).await;
    }

    /// Ends the stream behind the responses that wait.
    pub fn finish(&self, status: Status) {
        self.pipe.finish(status);
    }

    async fn ask(&self, ask: Ask) {
        self.pipe.admit().await;
        self.inbox.ask(Arc::clone(&self.pipe), ask);
    }
}

/// The responses of a stream, in order.
pub struct Responses {
    pipe: Arc<Pipe>,
    inbox: Arc<Inbox>,
}

impl Responses {
    /// The next response, or the status with which the stream has ended.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Response, Status>> {
        self.pipe.poll_next(context).map(|next| match next {
            Next::Response(response, room) => {
                if room {
                    self.inbox.ask(Arc::clone(&self.pipe), Ask::Room);
                }
                Ok(response)
            }
            Next::End(status) => Err(status),
        })
    }

    /// The next response.
    ///
    /// # Errors
    /// The status with which the stream has ended.
    pub async fn next(&mut self) -> Result<Response, Status> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        self.pipe.close();
        self.inbox.ask(Arc::clone(&self.pipe), Ask::Close);
    }
}
