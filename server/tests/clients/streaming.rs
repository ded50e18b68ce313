//! Ranges in many messages.

use holdfast_proto::etcdserverpb as pb;
use tonic::Code;

use crate::common::Home;
use crate::common::grpc::{Client, limited};

const KEYS: usize = 400;

fn everything() -> pb::RangeRequest {
    pb::RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() }
}

/// The client is slow, and meanwhile every key is overwritten or deleted, and all of it compacted.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_stream_is_one_revision() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    // More than the windows of a connection take in advance.
    for n in 0..KEYS {
        client.put(format!("k{n:04}"), vec![n as u8; 20_000]).await.unwrap();
    }
    let expected = client.range(everything()).await.unwrap();
    let mut stream = limited(client.kv.clone().range_stream(everything())).await.unwrap().into_inner();
    let mut pieces = vec![stream.message().await.unwrap().unwrap().range_response.unwrap()];
    for n in 0..KEYS {
        if n % 2 == 0 {
            client.delete(format!("k{n:04}")).await.unwrap();
        } else {
            client.put(format!("k{n:04}"), "new").await.unwrap();
        }
    }
    let last = client.put("z", "new").await.unwrap();
    client.compact(last, false).await.unwrap();
    let refused = client.range(pb::RangeRequest { revision: last - 1, ..everything() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "a new request is refused");
    while let Some(piece) = stream.message().await.unwrap() {
        pieces.push(piece.range_response.unwrap());
    }
    assert!(pieces.len() > 10, "{} messages", pieces.len());
    let end = pieces.last().unwrap();
    assert_eq!((end.count, end.more), (KEYS as i64, false));
    assert_eq!(end.header.as_ref().unwrap().revision, expected.header.as_ref().unwrap().revision);
    assert!(pieces[..pieces.len() - 1].iter().all(|piece| piece.header.is_none() && piece.count == 0));
    let kvs: Vec<_> = pieces.into_iter().flat_map(|piece| piece.kvs).collect();
    assert_eq!(kvs, expected.kvs);
    // Now that it is over, nothing is in the way of the compaction.
    client.put("z", "newer").await.unwrap();
    client.compact(last + 1, true).await.unwrap();
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn counts_limits_and_refusals() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for key in ["a", "b", "c"] {
        client.put(key, "1").await.unwrap();
    }
    let all = async |request: pb::RangeRequest| {
        let mut stream = limited(client.kv.clone().range_stream(request)).await?.into_inner();
        let mut pieces = Vec::new();
        while let Some(piece) = stream.message().await? {
            pieces.push(piece.range_response.unwrap());
        }
        Ok::<_, tonic::Status>(pieces)
    };
    for request in [
        pb::RangeRequest { count_only: true, ..everything() },
        pb::RangeRequest { limit: 2, ..everything() },
        pb::RangeRequest { revision: 2, ..everything() },
        pb::RangeRequest { key: "b".into(), ..Default::default() },
        pb::RangeRequest { key: "nothing".into(), ..Default::default() },
    ] {
        let pieces = all(request.clone()).await.unwrap();
        assert_eq!(pieces, [client.range(request).await.unwrap()]);
    }
    for (request, code) in [
        (pb::RangeRequest { revision: 100, ..everything() }, Code::OutOfRange),
        (pb::RangeRequest::default(), Code::InvalidArgument),
        (pb::RangeRequest { min_mod_revision: 1, ..everything() }, Code::Unimplemented),
    ] {
        assert_eq!(all(request).await.unwrap_err().code(), code);
    }
    server.terminate();
}
