//! gRPC messages that are none, and methods that nobody has.

use bytes::{Buf as _, BufMut as _, Bytes};
use holdfast_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::common::Home;
use crate::common::grpc::{Client, failure, limited};

/// Messages as they are on the wire.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Calls `path` with a message given as bytes.
async fn call(client: &Client, path: &'static str, message: impl Into<Bytes>) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(client.channel.clone());
    grpc.ready().await.unwrap();
    let call = grpc.unary(Request::new(message.into()), PathAndQuery::from_static(path), Raw);
    Ok(limited(call).await?.into_inner())
}

/// Calls the streaming method `path` with a message given as bytes; returns how the stream ends.
async fn stream(client: &Client, path: &'static str, message: impl Into<Bytes>) -> Result<(), Status> {
    let mut grpc = Grpc::new(client.channel.clone());
    grpc.ready().await.unwrap();
    let requests = Request::new(tokio_stream::once(message.into()));
    let call = grpc.streaming(requests, PathAndQuery::from_static(path), Raw);
    let mut answers = limited(call).await?.into_inner();
    while limited(answers.message()).await?.is_some() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bytes_that_are_no_message() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    // Ends within a number; a length beyond the end; a field of a type that there is not; a group that is never closed.
    let garbage: [&[u8]; 5] = [
        b"\xff",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0f",
        b"\x0b",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    let unary = [
        "/etcdserverpb.KV/Put",
        "/etcdserverpb.KV/Range",
        "/etcdserverpb.KV/DeleteRange",
        "/etcdserverpb.KV/Txn",
        "/etcdserverpb.KV/Compact",
        "/etcdserverpb.Lease/LeaseGrant",
        "/etcdserverpb.Lease/LeaseRevoke",
        "/etcdserverpb.Cluster/MemberList",
        "/etcdserverpb.Maintenance/Alarm",
        "/etcdserverpb.Maintenance/HashKV",
    ];
    for path in unary {
        for message in garbage {
            let (code, text) = failure(call(&client, path, message).await);
            assert_eq!(code, Code::Internal, "{path} {message:?}: {text}");
            assert!(text.starts_with("grpc: error unmarshalling request: "), "{path} {message:?}: {text}");
        }
    }
    for path in ["/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"] {
        let (code, text) = failure(stream(&client, path, garbage[0]).await);
        assert_eq!(code, Code::Internal, "{path}: {text}");
        assert!(text.starts_with("grpc: error unmarshalling request: "), "{path}: {text}");
    }
    client.put("alive", "yes").await.unwrap();
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn methods_that_nobody_has() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for (path, text) in [
        ("/etcdserverpb.KV/Nope", "unknown method Nope for service etcdserverpb.KV"),
        ("/etcdserverpb.Nope/Put", "unknown service etcdserverpb.Nope"),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "unknown service grpc.reflection.v1alpha.ServerReflection",
        ),
    ] {
        assert_eq!(failure(call(&client, path, Bytes::new()).await), (Code::Unimplemented, text.to_owned()));
    }
    let mut health = holdfast_proto::health::health_client::HealthClient::new(client.channel.clone());
    let request = holdfast_proto::health::HealthCheckRequest { service: "nope".to_owned() };
    let unknown = (Code::NotFound, "unknown service".to_owned());
    assert_eq!(failure(health.check(request).await), unknown);
    let request = holdfast_proto::health::HealthCheckRequest::default();
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "SERVING");
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_that_are_nested_too_deep() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for depth in [40, 129, 2000, 20_000] {
        // Built from the inside out as bytes: a type of ours would recurse.
        let mut txn = Vec::new();
        for _ in 0..depth {
            let operation = field(4, &txn);
            txn = field(2, &operation);
        }
        match call(&client, "/etcdserverpb.KV/Txn", txn).await {
            Ok(_) => assert_eq!(depth, 40),
            Err(status) => assert!(
                matches!(status.code(), Code::InvalidArgument | Code::Internal | Code::ResourceExhausted),
                "depth {depth}: {status:?}"
            ),
        }
    }
    client.put("alive", "yes").await.unwrap();
    server.terminate();
}

/// A field whose type is bytes or a message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn compressed_messages_are_read_but_not_without_limit() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let mut kv = client.kv.clone().send_compressed(CompressionEncoding::Gzip);
    let put =
        |bytes: usize| pb::PutRequest { key: "z".into(), value: vec![0; bytes].into(), ..Default::default() };
    limited(kv.put(put(1_000_000))).await.unwrap();
    assert_eq!(client.get("z").await.unwrap().unwrap().len(), 1_000_000);

    // A hundred megabytes of zeros are a hundred kilobytes on the wire.
    let before = server.memory_kib("VmHWM");
    let (code, text) = failure(limited(kv.put(put(100 << 20))).await);
    assert_eq!(code, Code::ResourceExhausted, "{text}");
    let grown = server.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 50 << 10, "the server has taken {grown} KiB for a message that it refuses");
    assert_eq!(client.get("z").await.unwrap().unwrap().len(), 1_000_000);

    // Not compressed, though the flag says so.
    let message = put(10).encode_to_vec();
    let mut framed = vec![1, 0, 0, 0, message.len() as u8];
    framed.extend(message);
    let status = crate::sockets::raw_call(&server.endpoint(), "/etcdserverpb.KV/Put", &framed).await;
    assert_ne!(status.as_deref(), Some("0"), "a compressed message without a named compression");
    server.terminate();
}
