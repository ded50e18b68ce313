//! The thread and the service over real connections. What the hub decides is tested in the core.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use holdfast_core::watch::Identity;
use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{ApplyTxn, MvccError, Store, View, trees};
use holdfast_engine::tree::{Db, DbOptions};
use holdfast_proto::etcdserverpb::watch_client::WatchClient;
use holdfast_proto::etcdserverpb::watch_request::RequestUnion;
use holdfast_proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use holdfast_proto::limits::WATCH_STREAM_CONTROLS;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Streaming};

use super::{Feed, Host, PATH, Settings, WatchHandle, WatchService, start};

/// A store with watches on it, without a log.
struct TestHost {
    store: Store,
    feed: Feed,
    leader: AtomicBool,
}

impl Host for TestHost {
    fn view(&self) -> Result<View, MvccError> {
        self.store.view()
    }

    fn identity(&self) -> Identity {
        Identity { cluster_id: 11, member_id: 22, raft_term: 33 }
    }

    fn has_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed)
    }

    fn store_failed(&self, error: MvccError) {
        panic!("{error}");
    }
}

struct Server {
    host: Arc<TestHost>,
    handle: WatchHandle,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

const ELECTION: Duration = Duration::from_millis(20);

impl Server {
    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let db = Db::open(Arc::new(MemFile::new()), trees::SPECS, DbOptions::default()).unwrap();
        let host = TestHost { store: Store::open(db).unwrap(), feed: Feed::new(), leader: true.into() };
        let host = Arc::new(host);
        let shared: Arc<dyn Host> = Arc::<TestHost>::clone(&host);
        let (handle, thread) = start(&host.feed, Arc::clone(&shared), settings).unwrap();
        let service = WatchService::new(handle.clone(), shared, 2 << 20, ELECTION);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route_service(PATH, service);
        let serving = tokio::spawn(axum::serve(listener, router).into_future());
        Self { host, handle, address, thread: Some(thread), serving }
    }

    fn write(&self, write: impl FnOnce(&mut ApplyTxn)) -> i64 {
        let mut txn = self.host.store.begin().unwrap();
        txn.begin_revision();
        write(&mut txn);
        let changes = txn.end_revision();
        let revision = txn.revision();
        txn.publish().unwrap();
        self.host.feed.push(changes.into_iter().collect());
        revision
    }

    fn put(&self, key: &str, value: &str) -> i64 {
        self.write(|txn| txn.put(key.as_bytes(), value.as_bytes(), 0).unwrap())
    }

    async fn watch(&self) -> Stream {
        self.watch_with(|_| {}).await.unwrap()
    }

    async fn watch_with(
        &self,
        change: impl FnOnce(&mut Request<ReceiverStream<WatchRequest>>),
    ) -> Result<Stream, tonic::Status> {
        let mut client = WatchClient::connect(format!("http://{}", self.address)).await.unwrap();
        let (asks, requests) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(requests));
        change(&mut request);
        let responses = client.watch(request).await?.into_inner();
        Ok(Stream { asks: Some(asks), responses })
    }

    /// Waits until the hub's numbers are as they should be.
    async fn until(&self, what: impl Fn(&holdfast_core::watch::HubStats) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !what(&self.handle.stats()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.handle.stats());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        self.handle.stop();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

struct Stream {
    asks: Option<mpsc::Sender<WatchRequest>>,
    responses: Streaming<WatchResponse>,
}

impl Stream {
    async fn ask(&self, union: RequestUnion) {
        let asks = self.asks.as_ref().unwrap();
        asks.send(WatchRequest { request_union: Some(union) }).await.unwrap();
    }

    async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(request)).await;
        self.next().await
    }

    async fn next(&mut self) -> WatchResponse {
        self.result().await.unwrap().expect("the stream goes on")
    }

    async fn result(&mut self) -> Result<Option<WatchResponse>, tonic::Status> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.responses.message());
        next.await.expect("an answer in time")
    }
}

fn key(key: &str) -> WatchCreateRequest {
    WatchCreateRequest { key: key.to_owned().into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_follows_its_key() {
    let server = Server::start().await;
    let mut stream = server.watch().await;
    let created = stream.create(key("a")).await;
    assert!(created.created && created.watch_id == 0);
    let header = created.header.unwrap();
    assert_eq!((header.cluster_id, header.member_id, header.raft_term, header.revision), (11, 22, 33, 1));
    server.put("b", "other");
    let revision = server.put("a", "1");
    let told = stream.next().await;
    assert_eq!(told.header.unwrap().revision, revision);
    assert_eq!(told.events[0].kv.as_ref().unwrap().value, "1");

    // A request without content is passed over, and a client that has no more to say goes on listening.
    stream.asks.as_ref().unwrap().send(WatchRequest::default()).await.unwrap();
    stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, progress.header.unwrap().revision), (-1, revision));
    stream.asks = None;
    server.put("a", "2");
    assert_eq!(stream.next().await.events[0].kv.as_ref().unwrap().value, "2");
    drop(stream);
    server.until(|stats| stats.streams == 0 && stats.watchers == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_is_not_told() {
    let server = Server::start().await;
    let mut stream = server.watch().await;
    for n in 0..200 {
        let revision = server.put("a", &n.to_string());
        let created = stream.create(WatchCreateRequest { watch_id: n + 1, ..key("a") }).await;
        assert!(created.created, "{created:?}");
        assert!(created.header.unwrap().revision >= revision);
        let next = server.put("a", "next");
        let told = stream.next().await;
        assert_eq!((told.watch_id, told.header.unwrap().revision), (n + 1, next));
        stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: n + 1 })).await;
        let canceled = stream.next().await;
        assert!(canceled.canceled && canceled.watch_id == n + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_events_arrive_whole() {
    let server = Server::start().await;
    let mut stream = server.watch().await;
    stream.create(WatchCreateRequest { range_end: "\0".into(), prev_kv: true, ..key("\0") }).await;
    let lens = [0usize, 1, 100, 16_000, 16_384, 40_000, 1_000_000];
    for round in 0..2 {
        server.write(|txn| {
            for len in lens {
                let value = vec![b'a' + round; len];
                txn.put(format!("k{len}").as_bytes(), &value, 0).unwrap();
            }
        });
        let told = stream.next().await;
        let sizes: Vec<usize> =
            told.events.iter().map(|event| event.kv.as_ref().unwrap().value.len()).collect();
        assert_eq!(sizes, lens);
        for (event, len) in told.events.iter().zip(lens) {
            assert!(event.kv.as_ref().unwrap().value.iter().all(|byte| *byte == b'a' + round));
            let prev = event.prev_kv.as_ref().map(|prev| prev.value.len());
            assert_eq!(prev, (round > 0).then_some(len));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_wants_a_leader_loses_its_stream_with_it() {
    let server = Server::start().await;
    let insist =
        |request: &mut Request<_>| drop(request.metadata_mut().insert("hasleader", "true".parse().unwrap()));
    let mut insisting = server.watch_with(insist).await.unwrap();
    let mut patient = server.watch().await;
    insisting.create(key("a")).await;
    patient.create(key("a")).await;
    server.host.leader.store(false, Ordering::Relaxed);
    let status = insisting.result().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
    server.put("a", "1");
    assert_eq!(patient.next().await.events.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let server = Server::start().await;
    let (mut lazy, mut eager) = (server.watch().await, server.watch().await);
    lazy.create(key("a")).await;
    eager.create(key("a")).await;
    let value = "v".repeat(10_000);
    let mut last = 0;
    for _ in 0..1500 {
        last = server.put("a", &value);
    }
    let mut seen = 0;
    while seen < last {
        let told = eager.next().await;
        seen = told.events.last().unwrap().kv.as_ref().unwrap().mod_revision;
    }
    // 15 MB were told; the lazy client's watcher has been waiting for room since its pipe was full.
    server.until(|stats| stats.synced == 1 && stats.ready == 0).await;
    // Nothing was lost for it.
    let mut expected = 2;
    while expected <= last {
        for event in lazy.next().await.events {
            assert_eq!(event.kv.unwrap().mod_revision, expected);
            expected += 1;
        }
    }
    server.until(|stats| stats.synced == 2).await;
}

#[tokio::test]
async fn a_client_that_only_asks_is_heard_no_longer() {
    let server = Server::start().await;
    let (asks, mut responses) = server.handle.open();
    let heard = async |limit: usize| {
        let mut heard = 0;
        while heard < limit {
            let create = asks.create(key("a"));
            if tokio::time::timeout(Duration::from_millis(200), create).await.is_err() {
                break;
            }
            heard += 1;
        }
        heard
    };
    assert_eq!(heard(1000).await, WATCH_STREAM_CONTROLS);
    for _ in 0..3 {
        responses.next().await.unwrap();
    }
    assert_eq!(heard(1000).await, 3);
    server.until(|stats| stats.watchers == WATCH_STREAM_CONTROLS + 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_says_so() {
    let server = Server::start().await;
    let mut stream = server.watch().await;
    stream.create(key("a")).await;
    server.handle.stop();
    let status = stream.result().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    let mut late = server.watch().await;
    assert_eq!(late.result().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_watchers_are_told_how_far_they_are() {
    let settings = Settings { progress_interval: Duration::from_millis(1), ..Settings::default() };
    let server = Server::with(settings).await;
    let mut stream = server.watch().await;
    stream.create(WatchCreateRequest { progress_notify: true, watch_id: 5, ..key("a") }).await;
    let revision = server.put("b", "1");
    let progress = stream.next().await;
    assert!(progress.watch_id == 5 && progress.events.is_empty() && !progress.created && !progress.canceled);
    assert_eq!(progress.header.unwrap().revision, revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_compression_is_refused() {
    let server = Server::start().await;
    let zip = |request: &mut Request<_>| {
        drop(request.metadata_mut().insert("grpc-encoding", "zip".parse().unwrap()));
    };
    let status = server.watch_with(zip).await.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

/// A writer that never pauses and compacts often, and clients of all speeds: what each is told is without gap until it is
/// told of a compaction, and nobody is told of one who kept up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_compactions_and_readers_at_the_same_time() {
    let server = Arc::new(Server::start().await);
    let mut readers = Vec::new();
    for pause in [0u64, 0, 2, 20] {
        let mut stream = server.watch().await;
        stream.create(WatchCreateRequest { range_end: "z".into(), ..key("a") }).await;
        readers.push(tokio::spawn(async move {
            let mut expected = 2;
            let mut ends = 0;
            let mut read = 0;
            loop {
                let told = stream.next().await;
                if told.compact_revision != 0 {
                    assert!(told.canceled && told.compact_revision > expected);
                    ends += 1;
                    expected = told.compact_revision;
                    let id = told.watch_id;
                    stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: id })).await;
                    assert!(stream.next().await.canceled);
                    let again =
                        WatchCreateRequest { range_end: "z".into(), start_revision: expected, ..key("a") };
                    assert!(stream.create(again).await.created);
                    continue;
                }
                for event in told.events {
                    let kv = event.kv.unwrap();
                    assert_eq!(kv.mod_revision, expected, "a gap");
                    expected += 1;
                    if kv.key == "last" {
                        return ends;
                    }
                }
                read += 1;
                if pause > 0 && read % 32 == 0 {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        }));
    }
    let writing = Arc::clone(&server);
    tokio::task::spawn_blocking(move || {
        for n in 0..5000 {
            let revision = writing.put(&format!("k{}", n % 7), &"v".repeat(n % 300));
            if n % 200 == 199 {
                let mut txn = writing.host.store.begin().unwrap();
                txn.compact(revision - 100).unwrap();
                while txn.compact_step(1000).unwrap() == holdfast_engine::mvcc::CompactProgress::More {}
                txn.publish().unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        writing.put("last", "");
    })
    .await
    .unwrap();
    for reader in readers {
        let _ends: u32 = reader.await.unwrap();
    }
}
