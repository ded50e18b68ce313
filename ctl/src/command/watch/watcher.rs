//! One watch on this side: what it still wants, and the task that prints its events.
//!
//! Each watch has a task of its own, so that a slow command of one does not hold back the others.

use holdfast_proto::{error::EtcdError, etcdserverpb as pb, watch::INVALID_WATCH_ID};
use pb::watch_request::RequestUnion;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Wish, exec};
use crate::{
    client::error::CallError,
    failure::Outcome,
    output::{Printer, Reply, write_stdout},
};

/// Answers that wait for the task of a watch. A task that is slower for long holds the stream back, and the
/// server with it, which is better than to keep everything here.
const MAX_WAITING_ANSWERS: usize = 256;

/// A watch.
#[derive(Debug)]
pub(super) struct Watcher {
    /// What creates it. The start revision moves on with the events.
    request: pb::WatchCreateRequest,
    /// Its identifier on the current stream.
    pub(super) id: Option<i64>,
    answers: mpsc::Sender<Answer>,
}

#[derive(Debug)]
struct Answer {
    response: pb::WatchResponse,
    canceled_because: Option<String>,
}

impl Watcher {
    /// A watch that prints by a new task among `tasks`. The task ends when the watch is cancelled or dropped,
    /// or when its command fails.
    pub(super) fn start(wish: Wish, printer: Printer, tasks: &mut JoinSet<Outcome>) -> Self {
        let (answers, waiting) = mpsc::channel(MAX_WAITING_ANSWERS);
        tasks.spawn(print(waiting, printer, wish.command));
        Self { request: wish.request, id: None, answers }
    }

    /// The request that creates the watch, on the first stream or on one that takes the place of a broken
    /// one.
    pub(super) fn creation(&mut self) -> pb::WatchRequest {
        self.id = None;
        pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(self.request.clone())) }
    }

    /// Takes note that the watch exists now. A watch without a start revision begins behind the current one,
    /// also if it must be created again before the first event.
    pub(super) fn created(&mut self, response: &pb::WatchResponse) {
        self.id = Some(response.watch_id);
        if self.request.start_revision <= 0 {
            self.request.start_revision = revision(response) + 1;
        }
    }

    /// Passes on events, or a progress report that the server made for this watch alone.
    pub(super) async fn pass(&mut self, response: pb::WatchResponse) {
        let seen = match response.events.last().and_then(|event| event.kv.as_ref()) {
            Some(kv) => kv.mod_revision,
            None => revision(&response),
        };
        self.request.start_revision = self.request.start_revision.max(seen + 1);
        self.tell(response).await;
    }

    /// Passes on a progress report for the whole stream. The watch does not move on by it: etcd before 3.5.8
    /// sends such a report while older events are still to come, and a watch that is created again must not
    /// miss them.
    pub(super) async fn tell(&mut self, response: pb::WatchResponse) {
        // A task that has ended is noticed by whoever waits for it.
        let _ = self.answers.send(Answer { response, canceled_because: None }).await;
    }

    /// Passes on that the watch is over.
    pub(super) async fn cancel(self, response: pb::WatchResponse, reason: String) {
        let _ = self.answers.send(Answer { response, canceled_because: Some(reason) }).await;
    }
}

fn revision(response: &pb::WatchResponse) -> i64 {
    response.header.map_or(0, |header| header.revision)
}

/// Why the server cancelled a watch.
pub(super) fn reason(response: &pb::WatchResponse) -> String {
    if response.compact_revision != 0 {
        return CallError::Server(EtcdError::Compacted).to_string();
    }
    if response.cancel_reason.is_empty() {
        return CallError::Server(EtcdError::FutureRev).to_string();
    }
    CallError::from(tonic::Status::failed_precondition(&response.cancel_reason)).to_string()
}

async fn print(mut waiting: mpsc::Receiver<Answer>, printer: Printer, command: Vec<Vec<u8>>) -> Outcome {
    while let Some(Answer { response, canceled_because }) = waiting.recv().await {
        if let Some(reason) = canceled_because {
            eprintln!("watch was canceled ({reason})");
            return printer.print(&Reply::Watch(&response));
        }
        if response.events.is_empty() {
            write_stdout(format!("progress notify: {}\n", revision(&response)).as_bytes())?;
        }
        printer.print(&Reply::Watch(&response))?;
        for event in response.events.iter().filter(|_| !command.is_empty()) {
            exec::run(&command, event, revision(&response)).await?;
        }
    }
    Ok(())
}

/// Whether an answer concerns all watches of the stream.
pub(super) fn concerns_all(response: &pb::WatchResponse) -> bool {
    response.watch_id == INVALID_WATCH_ID && !response.created && !response.canceled
}
