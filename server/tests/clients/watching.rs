//! Watches as clients have them from etcd: what comes in one response, in which order, with what in it.

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::mvccpb::Event;
use holdfast_proto::mvccpb::event::EventType;
use pb::watch_request::RequestUnion;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::common::Home;
use crate::common::grpc::{Client, limited, put_op};

struct Watch {
    ask: UnboundedSender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Watch {
    async fn create(client: &Client, create: pb::WatchCreateRequest) -> Self {
        let (ask, asked) = unbounded_channel();
        let create = RequestUnion::CreateRequest(create);
        ask.send(pb::WatchRequest { request_union: Some(create) }).unwrap();
        let answers =
            client.watch.clone().watch(UnboundedReceiverStream::new(asked)).await.unwrap().into_inner();
        let mut watch = Self { ask, answers };
        let created = watch.next().await;
        assert!(created.created && !created.canceled && created.events.is_empty(), "{created:?}");
        watch
    }

    async fn next(&mut self) -> pb::WatchResponse {
        limited(self.answers.message()).await.unwrap().expect("the stream has ended")
    }

    fn ask(&self, request: RequestUnion) {
        self.ask.send(pb::WatchRequest { request_union: Some(request) }).unwrap();
    }
}

fn prefix(prefix: &str) -> pb::WatchCreateRequest {
    let range_end = crate::common::grpc::end_of_prefix(prefix);
    pb::WatchCreateRequest { key: prefix.to_owned().into(), range_end, ..Default::default() }
}

/// What an event says: kind, key, value, revision, and the value before.
fn told(event: &Event) -> (EventType, &[u8], &[u8], i64, Option<&[u8]>) {
    let kv = event.kv.as_ref().unwrap();
    (event.r#type(), &kv.key, &kv.value, kv.mod_revision, event.prev_kv.as_ref().map(|kv| &kv.value[..]))
}

async fn delete_and_put(client: &Client) -> i64 {
    let delete = pb::DeleteRangeRequest { key: "h2".into(), ..Default::default() };
    let delete = pb::RequestOp { request: Some(pb::request_op::Request::RequestDeleteRange(delete)) };
    let success = vec![put_op("h1", "b"), delete, put_op("h0", "x")];
    client.txn(pb::TxnRequest { success, ..Default::default() }).await.unwrap().header.unwrap().revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_response_for_each_revision_live_and_one_for_many_from_the_past() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut live = Watch::create(&client, pb::WatchCreateRequest { prev_kv: true, ..prefix("h") }).await;
    let first = client.put("h1", "a").await.unwrap();
    client.put("h2", "a").await.unwrap();
    client.put("not watched", "a").await.unwrap();
    let last = delete_and_put(&client).await;
    assert_eq!(last, first + 3);
    use EventType::{Delete, Put};
    let expected: [&[_]; 3] = [
        &[(Put, &b"h1"[..], &b"a"[..], first, None)],
        &[(Put, b"h2", b"a", first + 1, None)],
        &[
            (Put, b"h1", b"b", last, Some(&b"a"[..])),
            (Delete, b"h2", b"", last, Some(b"a")),
            (Put, b"h0", b"x", last, None),
        ],
    ];
    for events in expected {
        let response = live.next().await;
        assert_eq!(response.events.iter().map(told).collect::<Vec<_>>(), events);
        assert_eq!(response.header.unwrap().revision, events[0].3);
    }
    let from_first = pb::WatchCreateRequest { prev_kv: true, start_revision: first, ..prefix("h") };
    let mut past = Watch::create(&client, from_first.clone()).await;
    let response = past.next().await;
    assert_eq!(response.events.iter().map(told).collect::<Vec<_>>(), expected.concat());
    assert_eq!(response.header.unwrap().revision, last);
    // Only what the filters let through.
    for (filter, kind, count) in [(0, Delete, 1), (1, Put, 4)] {
        let filtered = pb::WatchCreateRequest { filters: vec![filter], ..from_first.clone() };
        let response = Watch::create(&client, filtered).await.next().await;
        assert_eq!(response.events.len(), count);
        assert!(response.events.iter().all(|event| event.r#type() == kind), "{response:?}");
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_pasts_come_in_parts_and_large_responses_in_fragments() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for n in 0..1100 {
        client.put("p", n.to_string()).await.unwrap();
    }
    let from = |key: &str, start_revision: i64| pb::WatchCreateRequest { start_revision, ..prefix(key) };
    let mut past = Watch::create(&client, from("p", 2)).await;
    for count in [1000, 100] {
        let response = past.next().await;
        assert_eq!(response.events.len(), count);
        assert_eq!(response.header.unwrap().revision, 1101, "the newest revision, in every part");
    }

    let value = Bytes::from(vec![b'v'; 1_000_000]);
    let mut first = 0;
    for n in 0..5 {
        let revision = client.put(format!("q{n}"), value.clone()).await.unwrap();
        first = if n == 0 { revision } else { first };
    }
    let fragments = pb::WatchCreateRequest { fragment: true, ..from("q", first) };
    let mut fragmented = Watch::create(&client, fragments).await;
    for (count, more) in [(2, true), (2, true), (1, false)] {
        let response = fragmented.next().await;
        assert_eq!((response.events.len(), response.fragment), (count, more));
    }
    // Without fragments a response is cut between revisions only.
    let mut whole = Watch::create(&client, from("q", first)).await;
    let mut next = first;
    while next < first + 5 {
        let response = whole.next().await;
        assert!(!response.fragment, "nobody has asked for fragments");
        for event in response.events {
            assert_eq!(event.kv.unwrap().mod_revision, next);
            next += 1;
        }
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_that_does_not_read_holds_up_nobody_and_loses_nothing() {
    const VALUES: usize = 1500;
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    // On a connection of its own: what nobody takes fills its window.
    let slow = Client::connect(&server.url()).await;
    let mut watch = Watch::create(&slow, prefix("k")).await;
    let before = server.memory_kib("RssAnon");
    let value = |n: usize| Bytes::from(vec![n as u8; 100_000]);
    let mut other = Watch::create(&client, prefix("k")).await;
    for n in 0..VALUES {
        let revision = client.put("k", value(n)).await.unwrap();
        assert_eq!(other.next().await.events[0].kv.as_ref().unwrap().mod_revision, revision);
    }
    let grown = server.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 100 << 10, "{VALUES} values of 100 kB that nobody reads have taken {grown} KiB");
    let mut told = 0;
    while told < VALUES {
        for event in watch.next().await.events {
            let kv = event.kv.unwrap();
            assert_eq!((kv.mod_revision, kv.value), (told as i64 + 2, value(told)));
            told += 1;
        }
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn progress_cancel_and_starts_in_the_future() {
    let home = Home::holdfast().with(&["--watch-progress-notify-interval", "200ms"]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let revision = client.put("a", "1").await.unwrap();

    // Asked for, and by itself while nothing happens.
    let mut watch =
        Watch::create(&client, pb::WatchCreateRequest { progress_notify: true, ..prefix("zzz") }).await;
    let by_itself = watch.next().await;
    assert!(by_itself.events.is_empty() && !by_itself.canceled, "{by_itself:?}");
    assert_eq!((by_itself.watch_id, by_itself.header.unwrap().revision), (0, revision));
    let mut quiet = Watch::create(&client, prefix("zzz")).await;
    quiet.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {}));
    let asked = quiet.next().await;
    assert_eq!((asked.watch_id, asked.header.unwrap().revision), (-1, revision));

    let mut future =
        Watch::create(&client, pb::WatchCreateRequest { start_revision: revision + 3, ..prefix("a") }).await;
    for n in 0..4 {
        client.put("a", n.to_string()).await.unwrap();
    }
    assert_eq!(future.next().await.events[0].kv.as_ref().unwrap().mod_revision, revision + 3);
    assert_eq!(future.next().await.events[0].kv.as_ref().unwrap().mod_revision, revision + 4);
    future.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 }));
    let cancelled = future.next().await;
    assert!(
        cancelled.canceled && cancelled.watch_id == 0 && cancelled.cancel_reason.is_empty(),
        "{cancelled:?}"
    );

    // A watch that compaction overtakes before it has begun in the past is told where it could begin.
    client.compact(revision + 2, true).await.unwrap();
    let mut late = Watch::create(&client, pb::WatchCreateRequest { start_revision: 1, ..prefix("a") }).await;
    let cancelled = late.next().await;
    assert!(cancelled.canceled, "{cancelled:?}");
    assert_eq!(cancelled.compact_revision, revision + 2);
    let mut at =
        Watch::create(&client, pb::WatchCreateRequest { start_revision: revision + 2, ..prefix("a") }).await;
    assert_eq!(at.next().await.events.len(), 3);
    server.terminate();
}
