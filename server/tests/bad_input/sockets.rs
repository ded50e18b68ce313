//! Bytes on the client port that are no gRPC.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::Home;
use crate::common::grpc::Client;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// How long the server may take to answer or close.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn garbage_on_the_port_harms_nobody() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let tls_hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    // A frame that says that it is 16 MiB long; headers that never end; a frame on a stream that is not open; a
    // compressed header block that is none; a window that overflows.
    let frame = |head: &[u8], rest: &[u8]| [PREFACE, SETTINGS, head, rest].concat();
    let cases: [(&str, Vec<u8>); 11] = [
        ("noise", noise.clone()),
        ("zeros", vec![0; 100_000]),
        ("the beginning of TLS", tls_hello.to_vec()),
        ("HTTP that is none", b"GET\r\n\r\n".to_vec()),
        ("a header line without end", [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'a'; 200_000]].concat()),
        ("preface, then noise", [PREFACE, &noise].concat()),
        ("a frame of 16 MiB", frame(&[255, 255, 255, 0, 0, 0, 0, 0, 1], &noise)),
        ("data on a closed stream", frame(&[0, 0, 4, 0, 0, 0, 0, 0, 7], b"data")),
        ("headers that cannot be decoded", frame(&[0, 0, 4, 1, 4, 0, 0, 0, 1], &[255; 4])),
        ("a window too large", frame(&[0, 0, 4, 8, 0, 0, 0, 0, 0], &[127, 255, 255, 255])),
        ("a stream with an even number", frame(&[0, 0, 1, 1, 5, 0, 0, 0, 2], &[0x82])),
    ];
    for (what, bytes) in cases {
        let mut stream = TcpStream::connect(server.endpoint()).await.unwrap();
        // The server may close before it has taken everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let end = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "{what}: the connection is not closed");
        client.put("alive", what.to_owned()).await.unwrap();
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_that_say_nothing_stop_nobody() {
    let home = Home::holdfast();
    let server = home.start();
    let beginnings: [&[u8]; 5] = [b"", b"P", &PREFACE[..20], PREFACE, b"GET /health HTTP/1.1\r\nHost"];
    let mut open = Vec::new();
    for n in 0..250 {
        let mut stream = TcpStream::connect(server.endpoint()).await.unwrap();
        stream.write_all(beginnings[n % beginnings.len()]).await.unwrap();
        open.push(stream);
    }
    // A request of which only the half comes.
    let half = half_a_call(&server.endpoint()).await;
    let client = Client::connect(&server.url()).await;
    for n in 0..100 {
        client.put("alive", n.to_string()).await.unwrap();
    }
    assert_eq!(client.get("alive").await.unwrap().unwrap(), "99");
    // They do not hold up the end either.
    server.terminate();
    drop((open, half));
}

/// Begins a call whose message is announced longer than it comes.
async fn half_a_call(endpoint: &str) -> impl Sized + use<> {
    let stream = TcpStream::connect(endpoint).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    let (answer, mut body) = send.send_request(request(endpoint, "/etcdserverpb.KV/Put"), false).unwrap();
    body.send_data(Bytes::from_static(&[0, 0, 0, 1, 0, 10, 1]), false).unwrap();
    (send, answer, body, driver)
}

fn request(endpoint: &str, path: &str) -> http::Request<()> {
    http::Request::post(format!("http://{endpoint}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// Calls `path` with bytes as the body; returns the `grpc-status` if there was one.
pub(crate) async fn raw_call(endpoint: &str, path: &str, body: &[u8]) -> Option<String> {
    let stream = TcpStream::connect(endpoint).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let (answer, mut sender) = send.send_request(request(endpoint, path), false).unwrap();
    let _ = sender.send_data(Bytes::copy_from_slice(body), true);
    let answer = timeout(LIMIT, answer).await.expect("no answer").ok()?;
    let status = |headers: &http::HeaderMap| {
        headers.get("grpc-status").map(|status| String::from_utf8_lossy(status.as_bytes()).into_owned())
    };
    if let Some(status) = status(answer.headers()) {
        return Some(status);
    }
    let mut body = answer.into_body();
    while timeout(LIMIT, body.data()).await.expect("no end").is_some() {}
    let trailers = timeout(LIMIT, body.trailers()).await.expect("no trailers").ok()??;
    status(&trailers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bodies_that_are_cut_or_lie_about_their_length() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let cases: [(&str, &[u8]); 5] = [
        ("nothing at all", &[]),
        ("half a prefix", &[0, 0, 0]),
        ("less than announced", &[0, 0, 0, 1, 0, 10, 1]),
        ("4 GiB announced", &[0, 255, 255, 255, 255, 10, 1]),
        ("an unknown flag", &[9, 0, 0, 0, 2, 10, 0]),
    ];
    for (what, body) in cases {
        let status = raw_call(&server.endpoint(), "/etcdserverpb.KV/Put", body).await;
        assert!(status.as_deref().is_some_and(|status| status != "0"), "{what}: {status:?}");
        client.put("alive", what.to_owned()).await.unwrap();
    }
    // The same with a good body, to see that the others were refused for what they are.
    let good = [0, 0, 0, 0, 6, 10, 1, b'k', 18, 1, b'v'];
    assert_eq!(raw_call(&server.endpoint(), "/etcdserverpb.KV/Put", &good).await.as_deref(), Some("0"));
    assert_eq!(client.get("k").await.unwrap().unwrap(), "v");
    server.terminate();
}
