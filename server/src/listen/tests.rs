//! Real sockets on loopback: raw bytes, HTTP/1.1, HTTP/2 and gRPC on one port.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use holdfast_proto::etcdserverpb::AlarmMember;
use holdfast_proto::health::health_client::HealthClient;
use holdfast_proto::health::health_server::{Health, HealthServer};
use holdfast_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::service::Routes;
use tonic::{Code, Response, Status};

use super::*;
use crate::config::Url;
use crate::http::{Access, ClientHttp, HealthSource};
use crate::metrics::Metrics;

struct Healthy;

impl HealthSource for Healthy {
    fn read(&self, _: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn alarms(&self) -> Vec<AlarmMember> {
        Vec::new()
    }
    fn has_leader(&self) -> bool {
        true
    }
    fn is_learner(&self) -> bool {
        false
    }
    fn cluster_version(&self) -> Option<String> {
        None
    }
    fn storage_version(&self) -> Option<String> {
        None
    }
}

/// `Check` answers, `List` never does, `Watch` sends one message and stays open.
struct Grpc;

#[tonic::async_trait]
impl Health for Grpc {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" => Ok(Response::new(HealthCheckResponse { status: 1 })),
            _ => Err(Status::not_found("unknown service")),
        }
    }

    async fn list(
        &self,
        _: tonic::Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        std::future::pending().await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let first = futures_util::stream::iter([Ok(HealthCheckResponse { status: 1 })]);
        Ok(Response::new(Box::pin(futures_util::StreamExt::chain(first, futures_util::stream::pending()))))
    }
}

struct Fixture {
    server: Server,
    metrics: Arc<Metrics>,
    address: SocketAddr,
}

fn front(metrics: &Arc<Metrics>) -> Front<Routes> {
    let access = Access::new(&["*".to_owned()].into(), &["*".to_owned()].into());
    let timeout = Duration::from_secs(5);
    let http = ClientHttp::new(Arc::new(Healthy), Arc::clone(metrics), access, timeout, axum::Router::new());
    let routes = Routes::new(HealthServer::new(Grpc).max_decoding_message_size(1000));
    Front::new(Some(routes), HttpService::Client(http), Arc::clone(metrics))
}

fn settings() -> Settings {
    Settings { max_streams: 100, first_bytes_timeout: Duration::from_millis(200), ..Settings::plain() }
}

fn start() -> Fixture {
    let metrics = Arc::new(Metrics::new(true));
    let listener = bind(&Url::parse("http://127.0.0.1:0").unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(100);
    server.add(listener, front(&metrics), settings());
    Fixture { server, metrics, address }
}

/// Sends bytes and reads what comes until the server closes.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // A reset after the answer is as good as an orderly end.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .expect("still open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http1_on_the_port() {
    let fixture = start();
    let two = "GET /version HTTP/1.1\r\nHost: h\r\n\r\nGET /nosuch HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = raw(fixture.address, two.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: application/json\r\n"), "Go's capitals: {answer}");
    assert!(answer.contains("Content-Length: ") && answer.contains("Date: "));
    assert!(answer.contains("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("404 page not found\n"));
    let grpc = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(raw(fixture.address, grpc.as_bytes()).await.starts_with("HTTP/1.1 404"), "gRPC needs HTTP/2");
}

#[tokio::test]
async fn garbage_ends_its_connection_only() {
    let fixture = start();
    let mut bystander = HealthClient::connect(format!("http://{}", fixture.address)).await.unwrap();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03ClientHello"[..],
        b"\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"hello\r\n\r\n",
        b"x",
        b"",
        b"PRI * HTTP/2.0\r\n",
    ] {
        let answer = raw(fixture.address, garbage).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    let long = format!("GET /version HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let answer = raw(fixture.address, long.as_bytes()).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    bystander.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn grpc_is_served_and_counted() {
    let fixture = start();
    let mut client = HealthClient::connect(format!("http://{}", fixture.address)).await.unwrap();
    assert_eq!(client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status, 1);
    let request = HealthCheckRequest { service: "x".into() };
    let status = client.check(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "unknown service"));
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    drop(watch);
    drop(client);
    let labels = |method: &str, kind: &str| {
        format!("{{grpc_method=\"{method}\",grpc_service=\"grpc.health.v1.Health\",grpc_type=\"{kind}\"}}")
    };
    let handled = |code: &str, method: &str, kind: &str| {
        let labels = labels(method, kind);
        format!("grpc_server_handled_total{{grpc_code=\"{code}\",{}", &labels[1..])
    };
    let wanted = [
        format!("grpc_server_started_total{} 2", labels("Check", "unary")),
        format!("grpc_server_msg_received_total{} 2", labels("Check", "unary")),
        format!("grpc_server_msg_sent_total{} 1", labels("Check", "unary")),
        format!("{} 1", handled("OK", "Check", "unary")),
        format!("{} 1", handled("NotFound", "Check", "unary")),
        format!("{} 1", handled("Canceled", "Watch", "server_stream")),
        format!("grpc_server_msg_sent_total{} 1", labels("Watch", "server_stream")),
        format!("grpc_server_handling_seconds_count{} 2", labels("Check", "unary")),
        "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"unary\"} 2".to_owned(),
        "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"stream\"} 1".to_owned(),
        "etcd_network_client_grpc_received_bytes_total 3".to_owned(),
        "etcd_network_client_grpc_sent_bytes_total 4".to_owned(),
    ];
    // The end of the watch takes a moment to arrive.
    let mut text = String::new();
    for _ in 0..200 {
        text = fixture.metrics.gather();
        if wanted.iter().all(|line| text.lines().any(|l| l == line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let missing: Vec<_> = wanted.iter().filter(|line| !text.lines().any(|l| l == line.as_str())).collect();
    let grpc: Vec<_> = text.lines().filter(|l| l.contains("Health\"") && !l.ends_with(" 0")).collect();
    panic!("missing {missing:#?} in {grpc:#?}");
}

/// One call with any path and body, as a client without generated code would make it: HTTP status, gRPC code, text.
async fn call(address: SocketAddr, path: &str, body: Bytes, timeout: Option<&str>) -> (u16, i32, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = Request::post(format!("http://h{path}")).header("content-type", "application/grpc");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let mut client = client.ready().await.unwrap();
    let (response, mut sender) = client.send_request(request.body(()).unwrap(), false).unwrap();
    sender.send_data(body, true).unwrap();
    let response = response.await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = response.into_body();
    while body.data().await.is_some() {}
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let found = if headers.contains_key("grpc-status") { headers } else { trailers };
    let grpc = Status::from_header_map(&found).expect("every answer has a status");
    driver.abort();
    (status, grpc.code() as i32, grpc.message().to_owned())
}

fn message(payload: &[u8]) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.into()
}

#[tokio::test]
async fn framework_errors_have_gos_words() {
    let fixture = start();
    let address = fixture.address;
    let check = "/grpc.health.v1.Health/Check";
    let empty = || message(&[]);
    for (path, body, code, text) in [
        (check, empty(), Code::Ok, ""),
        (
            check,
            message(&[0; 3000]),
            Code::ResourceExhausted,
            "grpc: received message larger than max (3000 vs. 1000)",
        ),
        ("/x.Y/Z", empty(), Code::Unimplemented, "unknown service x.Y"),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            empty(),
            Code::Unimplemented,
            "unknown service grpc.reflection.v1alpha.ServerReflection",
        ),
        (
            "/grpc.health.v1.Health/Nope",
            empty(),
            Code::Unimplemented,
            "unknown method Nope for service grpc.health.v1.Health",
        ),
    ] {
        assert_eq!(call(address, path, body, None).await, (200, code as i32, text.to_owned()));
    }
    let (_, code, text) = call(address, check, message(b"\x0a\xff"), None).await;
    assert_eq!(code, Code::Internal as i32);
    assert!(text.starts_with("grpc: error unmarshalling request: "), "{text}");
    let late = call(address, "/grpc.health.v1.Health/List", empty(), Some("50m")).await;
    assert_eq!(late, (200, Code::DeadlineExceeded as i32, "context deadline exceeded".into()));
}

/// A client that sends half a request and resets the stream has canceled it; nothing went wrong here.
#[tokio::test]
async fn half_a_request_counts_as_canceled() {
    let fixture = start();
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::post("http://h/grpc.health.v1.Health/Check").header("content-type", "application/grpc");
    let mut client = client.ready().await.unwrap();
    let (_response, mut sender) = client.send_request(request.body(()).unwrap(), false).unwrap();
    sender.send_data(Bytes::from_static(&[0, 0, 0, 0, 9, 1, 2]), false).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    sender.send_reset(h2::Reason::CANCEL);
    let line = "grpc_server_handled_total{grpc_code=\"Canceled\",grpc_method=\"Check\",\
                grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"} 1";
    for _ in 0..200 {
        if fixture.metrics.gather().lines().any(|l| l == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let text = fixture.metrics.gather();
    panic!(
        "{:#?}",
        text.lines().filter(|l| l.contains("\"Check\"") && !l.ends_with(" 0")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn plain_http2_is_http() {
    let fixture = start();
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://h/version").body(()).unwrap();
    let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
}

#[tokio::test]
async fn stopping_lets_calls_end_and_cuts_the_rest_off() {
    let fixture = start();
    let mut idle = TcpStream::connect(fixture.address).await.unwrap();
    idle.write_all(b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut client = HealthClient::connect(format!("http://{}", fixture.address)).await.unwrap();
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let begun = std::time::Instant::now();
    fixture.server.stop(Duration::from_millis(300)).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "the watch had its time");
    let end = tokio::time::timeout(Duration::from_secs(10), watch.message()).await.expect("cut off");
    assert!(end.is_err());
    assert!(TcpStream::connect(fixture.address).await.is_err());
    let fixture = start();
    let _client = HealthClient::connect(format!("http://{}", fixture.address)).await.unwrap();
    let begun = std::time::Instant::now();
    fixture.server.stop(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "idle connections go at once");
}

#[tokio::test]
async fn unix_sockets_and_wildcards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let url = Url::parse(&format!("unix://{}", path.display())).unwrap();
    let metrics = Arc::new(Metrics::new(false));
    let mut server = Server::new(10);
    drop(bind(&url, false).unwrap());
    std::fs::write(&path, "left behind").unwrap();
    server.add(bind(&url, false).unwrap(), front(&metrics), settings());
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(r#"{"health":"true","reason":""}"#));
    server.stop(Duration::from_secs(10)).await;
    assert!(!path.exists(), "the file goes with the listener");

    for url in ["http://0.0.0.0:0", "http://localhost:0"] {
        let listener = bind(&Url::parse(url).unwrap(), false).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_in_gos_words() {
    let fixture = start();
    let error = bind(&Url::parse(&format!("http://{}", fixture.address)).unwrap(), false).unwrap_err();
    assert_eq!(error.to_string(), format!("listen tcp {}: bind: address already in use", fixture.address));
    let error = bind(&Url::parse("unix:///no/such/dir/s").unwrap(), false).unwrap_err();
    assert_eq!(error.to_string(), "listen unix /no/such/dir/s: bind: no such file or directory");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let metrics = Arc::new(Metrics::new(false));
    let listener = bind(&Url::parse("http://127.0.0.1:0").unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(1);
    server.add(
        listener,
        front(&metrics),
        Settings { first_bytes_timeout: Duration::from_secs(60), ..settings() },
    );
    let first = TcpStream::connect(address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let second = tokio::spawn(async move { raw(address, request).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().contains("200 OK"));
}
