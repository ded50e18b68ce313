//! A watch stream whose answers are lines.

use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::mvccpb::{Event, KeyValue};
use pb::watch_request::RequestUnion;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::common::grpc::Client;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long nothing must come for "nothing" to be believed.
const QUIET: Duration = Duration::from_millis(60);

/// An open stream.
pub(crate) struct Stream {
    asks: Option<mpsc::Sender<pb::WatchRequest>>,
    answers: Answers,
}

/// The answers of a stream. Go's library sends the headers with the first of them and not before, so that the call itself
/// stays open until something was asked.
enum Answers {
    Called(JoinHandle<Result<tonic::Response<Streaming<pb::WatchResponse>>, Status>>),
    Open(Box<Streaming<pb::WatchResponse>>),
}

impl Answers {
    async fn message(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        if let Self::Called(call) = self {
            *self = Self::Open(Box::new(call.await.unwrap()?.into_inner()));
        }
        match self {
            Self::Open(answers) => answers.message().await,
            Self::Called(_) => unreachable!("it has just been opened"),
        }
    }
}

/// A create request for a range.
pub(crate) fn create(key: &str, end: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        ..Default::default()
    }
}

impl Stream {
    pub(crate) fn open(client: &Client) -> Self {
        let (asks, requests) = mpsc::channel(64);
        let mut client = client.watch.clone();
        let call = tokio::spawn(async move { client.watch(ReceiverStream::new(requests)).await });
        Self { asks: Some(asks), answers: Answers::Called(call) }
    }

    pub(crate) async fn send(&self, request_union: Option<RequestUnion>) {
        self.asks.as_ref().unwrap().send(pb::WatchRequest { request_union }).await.unwrap();
    }

    pub(crate) async fn create(&self, request: pb::WatchCreateRequest) {
        self.send(Some(RequestUnion::CreateRequest(request))).await;
    }

    pub(crate) async fn cancel(&self, watch_id: i64) {
        self.send(Some(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id }))).await;
    }

    pub(crate) async fn progress(&self) {
        self.send(Some(RequestUnion::ProgressRequest(pb::WatchProgressRequest {}))).await;
    }

    /// Says that no more requests follow.
    pub(crate) fn half_close(&mut self) {
        self.asks = None;
    }

    pub(crate) async fn next(&mut self) -> Result<pb::WatchResponse, Status> {
        let next = tokio::time::timeout(LIMIT, self.answers.message()).await.expect("an answer in time");
        next.map(|answer| answer.expect("a watch has no end of its own"))
    }

    /// The next answers must be these lines, and nothing after them.
    pub(crate) async fn expect(&mut self, lines: &[String]) {
        for (at, line) in lines.iter().enumerate() {
            let answer = line_of(&self.next().await.unwrap());
            assert_eq!(answer, *line, "answer {at} of {lines:#?}");
        }
        if let Ok(more) = tokio::time::timeout(QUIET, self.answers.message()).await {
            panic!("more than expected: {:?}", more.map(|answer| answer.map(|answer| line_of(&answer))));
        }
    }
}

/// An answer as a line: what it is, then its events.
pub(crate) fn line_of(answer: &pb::WatchResponse) -> String {
    let header = answer.header.as_ref().unwrap();
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0);
    let mut parts = vec![format!("{}@{}", answer.watch_id, header.revision)];
    let flags = [(answer.created, "created"), (answer.canceled, "canceled"), (answer.fragment, "fragment")];
    parts.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| format!(" {name}")));
    if answer.compact_revision != 0 {
        parts.push(format!(" compacted {}", answer.compact_revision));
    }
    if !answer.cancel_reason.is_empty() {
        parts.push(format!(" ({})", answer.cancel_reason));
    }
    parts.extend(answer.events.iter().map(|event| format!("; {}", of_event(event))));
    parts.concat()
}

fn of_event(event: &Event) -> String {
    let kv = of_kv(event.kv.as_ref().unwrap());
    let prev = event.prev_kv.as_ref().map_or(String::new(), |prev| format!(" was {}", of_kv(prev)));
    format!("{} {kv}{prev}", if event.r#type == 0 { "put" } else { "del" })
}

/// Key, value, and the numbers: creation, modification, version, lease.
fn of_kv(kv: &KeyValue) -> String {
    let value = match kv.value.len() {
        0..=20 => String::from_utf8_lossy(&kv.value).into_owned(),
        long => format!("{long} bytes"),
    };
    let KeyValue { create_revision, mod_revision, version, lease, .. } = kv;
    format!("{}={value} {create_revision}/{mod_revision}/{version}/{lease}", String::from_utf8_lossy(&kv.key))
}
