//! Automatic compaction.

use std::time::{Duration, Instant};

use crate::common::grpc::Client;
use crate::common::{Home, skipped};

/// Writes until the server has compacted by itself; returns the compacted and the current revision then.
async fn until_compacted(client: &Client, limit: Duration) -> (i64, i64) {
    let deadline = Instant::now() + limit;
    loop {
        let current = client.put("k", "v").await.unwrap();
        let compacted = client.hash_kv(0).await.unwrap().compact_revision;
        if compacted > 1 {
            return (compacted, current);
        }
        assert!(Instant::now() < deadline, "nothing is compacted at revision {current}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn by_age() {
    let home =
        Home::holdfast().with(&["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "2s"]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let begin = Instant::now();
    let (compacted, current) = until_compacted(&client, Duration::from_secs(60)).await;
    assert!(begin.elapsed() >= Duration::from_millis(1900), "what is younger than two seconds stays");
    assert!(compacted < current);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn by_count() {
    // etcd looks every five minutes only.
    if std::env::var_os("HOLDFAST_LONG_TESTS").is_none_or(|value| value != "1") {
        return skipped("it takes five minutes; HOLDFAST_LONG_TESTS=1 runs it");
    }
    let home =
        Home::holdfast().with(&["--auto-compaction-mode", "revision", "--auto-compaction-retention", "100"]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let (compacted, current) = until_compacted(&client, Duration::from_secs(400)).await;
    assert!((current - 150..=current - 100).contains(&compacted), "{compacted} of {current}");
    server.terminate();
}
