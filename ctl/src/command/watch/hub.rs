//! All watches of this process on one stream.
//!
//! 1. Orders are taken one at a time: the next one only when the watch before it has been created. So a
//!    request for progress reaches every watch that was ordered before it.
//! 2. Requests to create are answered in their order; events of a watch follow its creation.
//! 3. When the stream breaks, a new one is opened, at another endpoint if there is one, and every watch is
//!    created again behind the last event that was passed on. Nothing is lost and nothing comes twice.
//! 4. An error that another server would answer just the same ends all watches.

use std::{collections::VecDeque, time::Duration};

use holdfast_proto::{error::EtcdError, etcdserverpb as pb};
use pb::watch_request::RequestUnion;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code as GrpcCode, Streaming};

use super::{
    Wish,
    watcher::{self, Watcher},
};
use crate::{
    client::{Client, error::CallError},
    failure::{Code, Failure, Outcome},
    output::Printer,
};

/// Something to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Create a watch.
    Watch(Wish),
    /// Ask how far the watches are.
    Progress,
    /// End the program.
    Stop(Failure),
}

/// Requests that wait to be sent. The hub sends a handful at a time.
const MAX_WAITING_REQUESTS: usize = 16;

/// Pause before a broken stream is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// The watches and their stream.
pub(super) struct Hub {
    client: Client,
    printer: Printer,
    /// Whether the program goes on when a watch ends.
    outlives_watches: bool,
    watchers: Vec<Watcher>,
    /// Indices of watchers whose creation has been asked for and not been answered.
    pending: VecDeque<usize>,
    tasks: JoinSet<Outcome>,
    stream: Option<Stream>,
    token_renewed: bool,
}

struct Stream {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Hub {
    /// A hub without watches.
    pub(super) fn new(client: Client, printer: Printer, outlives_watches: bool) -> Self {
        Self {
            client,
            printer,
            outlives_watches,
            watchers: Vec::new(),
            pending: VecDeque::new(),
            tasks: JoinSet::new(),
            stream: None,
            token_renewed: false,
        }
    }

    /// Carries out orders and passes answers on until something fails.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Outcome {
        let mut orders_end = false;
        loop {
            if self.stream.is_none() && !self.watchers.is_empty() {
                self.connect().await;
            }
            tokio::select! {
                order = orders.recv(), if self.pending.is_empty() && !orders_end => match order {
                    Some(order) => self.carry_out(order).await?,
                    None => orders_end = true,
                },
                answer = next_answer(&mut self.stream) => self.take(answer).await?,
                Some(ended) = self.tasks.join_next() => {
                    ended.map_err(|error| Failure::new(Code::Error, error))??;
                    if !self.outlives_watches {
                        return Err(Failure::new(Code::Interrupted, "watch is canceled by the server"));
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, order: Order) -> Outcome {
        match order {
            Order::Watch(wish) => {
                let mut watcher = Watcher::start(wish, self.printer, &mut self.tasks);
                if let Some(stream) = &self.stream {
                    self.pending.push_back(self.watchers.len());
                    // A stream that is gone shows by its answers.
                    let _ = stream.requests.send(watcher.creation()).await;
                }
                self.watchers.push(watcher);
            }
            // Without a watch there is nobody to tell.
            Order::Progress => {
                if let Some(stream) = &self.stream {
                    let request = RequestUnion::ProgressRequest(pb::WatchProgressRequest {});
                    let _ = stream.requests.send(pb::WatchRequest { request_union: Some(request) }).await;
                }
            }
            Order::Stop(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Opens a stream and creates all watches on it, however long it takes. The requests that create them are
    /// the beginning of the stream, because a server says nothing, not even that it accepts the stream,
    /// before it has one.
    async fn connect(&mut self) {
        loop {
            let (requests, waiting) = mpsc::channel(MAX_WAITING_REQUESTS);
            let creations: Vec<_> = self.watchers.iter_mut().map(Watcher::creation).collect();
            let all = tokio_stream::iter(creations).chain(ReceiverStream::new(waiting));
            match self.client.watch(all).await {
                Ok(answers) => {
                    self.stream = Some(Stream { requests, answers });
                    self.pending = (0..self.watchers.len()).collect();
                    return;
                }
                Err(error) if is_final(&error) => {
                    self.cancel_all(&error).await;
                    return;
                }
                Err(_) => {
                    self.client.disconnect();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn take(&mut self, answer: Result<Option<pb::WatchResponse>, CallError>) -> Outcome {
        match answer {
            Ok(Some(response)) => {
                self.distribute(response).await;
                return Ok(());
            }
            Err(CallError::Server(EtcdError::InvalidAuthToken)) if !self.token_renewed => {
                self.token_renewed = true;
                if let Err(error) = self.client.reauthenticate().await {
                    self.cancel_all(&error).await;
                }
            }
            Err(error) if is_final(&error) => self.cancel_all(&error).await,
            Ok(None) | Err(_) => {
                self.client.disconnect();
                sleep(PAUSE).await;
            }
        }
        self.stream = None;
        self.pending.clear();
        Ok(())
    }

    async fn distribute(&mut self, response: pb::WatchResponse) {
        if watcher::concerns_all(&response) {
            for watcher in &mut self.watchers {
                watcher.tell(response.clone()).await;
            }
            return;
        }
        let index = if response.created {
            self.token_renewed = false;
            self.pending.pop_front()
        } else {
            self.watchers.iter().position(|watcher| watcher.id == Some(response.watch_id))
        };
        let Some(index) = index else { return };
        if response.created && response.canceled {
            // The watch never existed, and the reason is a text already.
            let refused = pb::WatchResponse { canceled: true, ..Default::default() };
            self.forget(index).cancel(refused, response.cancel_reason).await;
        } else if response.canceled {
            self.forget(index).cancel(response.clone(), watcher::reason(&response)).await;
        } else if response.created {
            self.watchers[index].created(&response);
        } else {
            self.watchers[index].pass(response).await;
        }
    }

    /// Takes a watcher out; those behind it move up.
    fn forget(&mut self, index: usize) -> Watcher {
        for waiting in self.pending.iter_mut().filter(|waiting| **waiting > index) {
            *waiting -= 1;
        }
        self.watchers.remove(index)
    }

    async fn cancel_all(&mut self, error: &CallError) {
        self.pending.clear();
        for watcher in std::mem::take(&mut self.watchers) {
            let response = pb::WatchResponse { canceled: true, ..Default::default() };
            watcher.cancel(response, error.to_string()).await;
        }
    }
}

/// The next answer; never, as long as there is no stream.
async fn next_answer(stream: &mut Option<Stream>) -> Result<Option<pb::WatchResponse>, CallError> {
    match stream {
        Some(stream) => Ok(stream.answers.message().await?),
        None => std::future::pending().await,
    }
}

/// Whether every server would answer the same.
fn is_final(error: &CallError) -> bool {
    match error {
        CallError::Other { code, .. } => !matches!(code, GrpcCode::Unavailable | GrpcCode::Internal),
        CallError::Server(known) => !matches!(known.code(), GrpcCode::Unavailable | GrpcCode::Internal),
        CallError::Transport(_) | CallError::Deadline => false,
    }
}
