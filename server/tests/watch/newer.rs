//! What later releases than 3.5.1 answer, and Holdfast with them.

use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;
use tonic::Code;

use crate::common::Home;
use crate::common::grpc::Client;
use crate::stream::{Stream, create, line_of};

#[tokio::test]
async fn progress_on_request_is_told_when_it_is_true() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut stream = Stream::open(&client);
    stream.progress().await;
    stream.expect(&[]).await;
    stream.create(create("a", "")).await;
    stream.expect(&["0@1 created".into()]).await;
    client.put("b", "").await.unwrap();
    // The hub may be a moment behind the answer to the put: what it says is true in any case.
    let mut told = 1;
    while told < 2 {
        stream.progress().await;
        let progress = stream.next().await.unwrap();
        assert!(progress.watch_id == -1 && progress.events.is_empty());
        told = progress.header.unwrap().revision;
    }
    // A watcher that waits for the future holds it back.
    stream.create(pb::WatchCreateRequest { start_revision: 3, ..create("a", "") }).await;
    stream.expect(&["1@2 created".into()]).await;
    stream.progress().await;
    stream.expect(&[]).await;
    client.put("a", "").await.unwrap();
    let both = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    assert!(both.iter().all(|answer| answer.events.len() == 1));
    stream.progress().await;
    stream.expect(&["-1@3".into()]).await;
}

#[tokio::test]
async fn progress_from_time_to_time() {
    let home = Home::holdfast().with(&["--watch-progress-notify-interval=100ms"]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut stream = Stream::open(&client);
    stream.create(pb::WatchCreateRequest { progress_notify: true, watch_id: 4, ..create("a", "") }).await;
    assert_eq!(line_of(&stream.next().await.unwrap()), "4@1 created");
    assert_eq!(line_of(&stream.next().await.unwrap()), "4@1");
    client.put("b", "").await.unwrap();
    while line_of(&stream.next().await.unwrap()) != "4@2" {}
}

#[tokio::test]
async fn a_negative_start_is_refused() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut stream = Stream::open(&client);
    stream.create(pb::WatchCreateRequest { start_revision: -1, watch_id: 3, ..create("a", "") }).await;
    let reason = "etcdserver: mvcc: required revision has been compacted";
    stream.expect(&[format!("-1@1 created canceled ({reason})")]).await;
}

#[tokio::test]
async fn a_deletion_at_the_compacted_revision_is_told() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.put("a", "").await.unwrap();
    client.delete("a").await.unwrap();
    client.compact(3, true).await.unwrap();
    let mut stream = Stream::open(&client);
    stream.create(pb::WatchCreateRequest { start_revision: 3, ..create("a", "") }).await;
    stream.expect(&["0@3 created".into(), "0@3; del a= 0/3/0/0".into()]).await;
}

#[tokio::test]
async fn a_request_that_is_none_ends_the_stream() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut stream = Stream::open(&client);
    // Longer than any request may be.
    let request = pb::WatchCreateRequest { key: vec![b'k'; 3 << 20].into(), ..Default::default() };
    stream.create(request).await;
    let status = stream.next().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().starts_with("grpc: received message larger than max (31457"), "{status}");
}

/// A member that stops ends its streams, so that clients go to another one at once.
#[tokio::test]
async fn streams_end_with_their_server() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut stream = Stream::open(&client);
    stream.create(create("a", "")).await;
    stream.next().await.unwrap();
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    let status = stream.next().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let (exit, output) = tokio::time::timeout(Duration::from_secs(60), stopped).await.unwrap().unwrap();
    assert!(exit.success() || exit.code().is_none(), "{exit:?}: {output}");
}
