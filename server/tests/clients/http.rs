//! What is asked over HTTP on the client port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::grpc::Client;
use crate::common::{Home, Server};

/// Asks with HTTP/1.1; returns the status and the body.
fn ask(server: &Server, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.endpoint()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.endpoint())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {answer:?}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn probes_and_version() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.put("a", "1").await.unwrap();

    // The version of the cluster is agreed upon a moment after the server is ready.
    let deadline = Instant::now() + Duration::from_secs(20);
    let (version, body) = loop {
        let (status, body) = ask(&server, "GET", "/version");
        assert_eq!(status, 200);
        let version: Value = serde_json::from_str(&body).unwrap();
        if version["etcdcluster"] != "not_decided" {
            break (version, body);
        }
        assert!(Instant::now() < deadline, "the cluster has no version: {body}");
    };
    assert!(version["etcdserver"].as_str().unwrap().starts_with("3.7."), "{body}");
    assert_eq!(version["etcdcluster"], "3.7.0", "{body}");
    assert_eq!(ask(&server, "POST", "/version").0, 405);

    let healthy = (200, r#"{"health":"true","reason":""}"#.to_owned());
    assert_eq!(ask(&server, "GET", "/health"), healthy);
    assert_eq!(ask(&server, "GET", "/health?serializable=true"), healthy);
    for probe in ["/livez", "/readyz", "/readyz/linearizable_read"] {
        assert_eq!(ask(&server, "GET", probe), (200, "ok\n".to_owned()), "{probe}");
    }
    assert_eq!(ask(&server, "GET", "/nosuchpath").0, 404);

    // An alarm shows, unless it is excluded.
    client.alarm(1, 1, 1).await.unwrap();
    let alarmed = (503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n".to_owned());
    assert_eq!(ask(&server, "GET", "/health"), alarmed);
    assert_eq!(ask(&server, "GET", "/health?exclude=NOSPACE"), healthy);
    client.alarm(2, 1, 1).await.unwrap();
    assert_eq!(ask(&server, "GET", "/health"), healthy);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn metrics_have_the_names_that_dashboards_ask_for() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for n in 0..10 {
        client.put(format!("k{n}"), "v").await.unwrap();
    }
    client.delete("k0").await.unwrap();
    let (status, body) = ask(&server, "GET", "/metrics");
    assert_eq!(status, 200);
    let number = |name: &str| -> f64 {
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing")).parse().unwrap()
    };
    let value = |name: &str| number(name) as u64;
    assert_eq!(value("etcd_server_has_leader"), 1);
    assert_eq!(value("etcd_server_is_leader"), 1);
    assert_eq!(value("etcd_mvcc_put_total"), 10);
    assert_eq!(value("etcd_mvcc_delete_total"), 1);
    assert_eq!(value("etcd_debugging_mvcc_keys_total"), 9);
    assert_eq!(value("etcd_debugging_mvcc_current_revision"), 12);
    assert!(value("etcd_server_proposals_applied_total") >= 11);
    assert!(value("etcd_mvcc_db_total_size_in_bytes") >= value("etcd_mvcc_db_total_size_in_use_in_bytes"));
    assert!(value("etcd_disk_wal_fsync_duration_seconds_count") >= 1);
    assert!(value("process_resident_memory_bytes") > 0);
    let put = r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#;
    assert_eq!(value(put), 10);
    server.terminate();
}
