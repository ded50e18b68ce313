//! Watches that cannot be.

use holdfast_proto::etcdserverpb as pb;
use pb::watch_request::RequestUnion;
use tokio::sync::mpsc::UnboundedSender;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::common::Home;
use crate::common::grpc::{Client, limited};

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
const EMPTY: &str = "mvcc: watcher range is empty";

/// A watch stream with both of its ends.
struct Stream {
    ask: UnboundedSender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Stream {
    /// Opens a stream with a request that asks nothing, and with `first`.
    async fn open(client: &Client, first: pb::WatchCreateRequest) -> Self {
        let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
        ask.send(pb::WatchRequest { request_union: None }).unwrap();
        ask.send(pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(first)) }).unwrap();
        // The headers of the answers may come with the first answer only.
        let call = client.watch.clone().watch(UnboundedReceiverStream::new(asked)).await;
        Self { ask, answers: call.unwrap().into_inner() }
    }

    fn ask(&self, request: RequestUnion) {
        self.ask.send(pb::WatchRequest { request_union: Some(request) }).unwrap();
    }

    async fn answer(&mut self) -> pb::WatchResponse {
        limited(self.answers.message()).await.unwrap().expect("the stream has ended")
    }

    async fn create(&mut self, create: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(RequestUnion::CreateRequest(create));
        self.answer().await
    }

    async fn refused(&mut self, create: pb::WatchCreateRequest, reason: &str) {
        let what = format!("{create:?}");
        let answer = self.create(create).await;
        assert!(answer.created && answer.canceled && answer.events.is_empty(), "{what}: {answer:?}");
        assert_eq!((answer.watch_id, answer.cancel_reason.as_str()), (-1, reason), "{what}");
    }
}

fn watch(key: &str, end: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn refusals_leave_the_stream_and_its_watches_alone() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for n in 0..8 {
        client.put("foo", n.to_string()).await.unwrap();
    }
    client.compact(5, true).await.unwrap();

    let mut stream = Stream::open(&client, watch("foo", "")).await;
    let first = stream.answer().await;
    assert!(first.created && !first.canceled, "{first:?}");
    assert_eq!(first.watch_id, 0);
    let with_id = |id: i64| pb::WatchCreateRequest { watch_id: id, ..watch("foo", "") };
    assert_eq!(stream.create(with_id(7)).await.watch_id, 7);
    stream.refused(with_id(7), DUPLICATE).await;
    stream.refused(watch("b", "a"), EMPTY).await;
    stream.refused(watch("b", "b"), EMPTY).await;
    stream.refused(pb::WatchCreateRequest { start_revision: -1, ..watch("foo", "") }, COMPACTED).await;

    // From a compacted revision: created, then cancelled with the revision to start from.
    let late = pb::WatchCreateRequest { start_revision: 2, watch_id: 9, ..watch("foo", "") };
    let created = stream.create(late).await;
    assert!(created.created && !created.canceled && created.watch_id == 9, "{created:?}");
    let cancelled = stream.answer().await;
    assert!(cancelled.canceled && cancelled.watch_id == 9, "{cancelled:?}");
    assert_eq!((cancelled.compact_revision, cancelled.header.unwrap().revision), (5, 0));

    // Unknown ids, unknown filters and requests that ask nothing are passed over.
    stream.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 1234 }));
    stream.ask.send(pb::WatchRequest { request_union: None }).unwrap();
    let filters = pb::WatchCreateRequest { filters: vec![77, -1], watch_id: 11, ..watch("foo", "") };
    assert_eq!(stream.create(filters).await.watch_id, 11);

    let revision = client.put("foo", "live").await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let answer = stream.answer().await;
        assert_eq!(answer.events.len(), 1, "{answer:?}");
        assert_eq!(answer.events[0].kv.as_ref().unwrap().mod_revision, revision);
        told.push(answer.watch_id);
    }
    told.sort_unstable();
    assert_eq!(told, [0, 7, 11], "the watches that were accepted are told, the others are not");
    server.terminate();
}
