//! A watch over everything, which outlives the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::mvccpb::event::EventType;
use pb::watch_request::RequestUnion;
use tokio::task::JoinHandle;

use crate::common::grpc::{Client, end_of_prefix};
use crate::input::Input;

/// Pause before a server that is not there is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// How long the watch may take to catch up when all is loaded.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

/// The watch under way.
pub(crate) struct Follower {
    /// The next revision that it expects.
    next: Arc<AtomicI64>,
    task: JoinHandle<()>,
    /// The number of the key that each revision from 2 on has written.
    seen: Arc<parking_lot::Mutex<Vec<usize>>>,
}

impl Follower {
    /// Watches `url`, and again whenever it comes back.
    pub(crate) fn start(input: Arc<dyn Input>, url: String) -> Self {
        let next = Arc::new(AtomicI64::new(2));
        let seen = Arc::new(parking_lot::Mutex::new(Vec::with_capacity(input.len())));
        let (position, written) = (Arc::clone(&next), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                if let Ok(client) = Client::try_connect(&url).await {
                    follow(&client, &*input, &position, &written).await;
                }
                tokio::time::sleep(RETRY).await;
            }
        });
        Self { next, task, seen }
    }

    /// The revision that is expected next.
    pub(crate) fn next(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    /// Waits until everything up to `revision` was told; returns which key each revision from 2 on has written.
    pub(crate) async fn finish(self, revision: i64) -> Vec<usize> {
        let deadline = tokio::time::Instant::now() + CATCH_UP_LIMIT;
        while self.next() <= revision {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the watch stays at {} of {revision}",
                self.next()
            );
            if self.task.is_finished() {
                // It ends only by finding something wrong.
                self.task.await.unwrap();
                unreachable!("the watch has ended without a reason");
            }
            tokio::time::sleep(RETRY).await;
        }
        self.task.abort();
        std::mem::take(&mut self.seen.lock())
    }
}

/// Watches until the stream breaks. What is told must be the next revision, each time.
async fn follow(client: &Client, input: &dyn Input, next: &AtomicI64, seen: &parking_lot::Mutex<Vec<usize>>) {
    let create = pb::WatchCreateRequest {
        key: input.prefix().into(),
        range_end: end_of_prefix(input.prefix()),
        start_revision: next.load(Ordering::Acquire),
        ..Default::default()
    };
    let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    // The stream of requests stays open: the watch is to go on.
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let Ok(stream) = client.watch.clone().watch(requests).await else { return };
    let mut stream = stream.into_inner();
    while let Ok(Some(response)) = stream.message().await {
        assert!(!response.canceled, "the watch was cancelled: {response:?}");
        for event in response.events {
            let kv = event.kv.expect("an event has a key");
            let expected = next.load(Ordering::Acquire);
            assert_eq!(
                kv.mod_revision, expected,
                "the watch is told {kv:?}, and expects revision {expected}"
            );
            assert_eq!(event.r#type, EventType::Put as i32);
            let number = input.number(&kv.key).unwrap_or_else(|| panic!("nobody has put {kv:?}"));
            assert!(kv.value == input.value(number), "the watch is told another value of {:?}", kv.key);
            seen.lock().push(number);
            next.store(expected + 1, Ordering::Release);
        }
    }
}
