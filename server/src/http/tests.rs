//! Requests through the routers, answers compared with etcd's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::future::BoxFuture;
use holdfast_proto::etcdserverpb::{AlarmMember, AlarmType, Member};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::metrics::Metrics;

/// A member in any state of health.
#[derive(Default)]
struct Fake {
    alarms: Mutex<Vec<AlarmType>>,
    no_leader: bool,
    learner: bool,
    local_read: Option<&'static str>,
    quorum_read: Option<&'static str>,
    hangs: bool,
    versions: Option<(&'static str, &'static str)>,
}

impl HealthSource for Fake {
    fn read(&self, serializable: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let fault = if serializable { self.local_read } else { self.quorum_read };
            fault.map_or(Ok(()), |text| Err(text.to_owned()))
        })
    }

    fn alarms(&self) -> Vec<AlarmMember> {
        let alarms = self.alarms.lock().unwrap();
        alarms.iter().map(|kind| AlarmMember { member_id: 1, alarm: i32::from(*kind) }).collect()
    }

    fn has_leader(&self) -> bool {
        !self.no_leader
    }

    fn is_learner(&self) -> bool {
        self.learner
    }

    fn cluster_version(&self) -> Option<String> {
        self.versions.map(|v| v.0.to_owned())
    }

    fn storage_version(&self) -> Option<String> {
        self.versions.map(|v| v.1.to_owned())
    }
}

impl PeerSource for Fake {
    fn cluster_id(&self) -> u64 {
        0x0cdf_8181_94e3_a8c3
    }

    fn members(&self) -> Vec<Member> {
        vec![
            Member {
                id: 7,
                name: "n1".into(),
                peer_urls: vec!["http://h:1".into()],
                client_urls: vec!["http://h:2".into()],
                is_learner: false,
            },
            Member { id: 8, peer_urls: vec!["http://h:3".into()], is_learner: true, ..Member::default() },
        ]
    }
}

fn list(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn client_with(fake: Fake, cors: &[&str], hosts: &[&str]) -> (ClientHttp, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new(false));
    let access = Access::new(&list(cors), &list(hosts));
    let timeout = Duration::from_millis(50);
    (ClientHttp::new(Arc::new(fake), Arc::clone(&metrics), access, timeout, Router::new()), metrics)
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Status, content type, body.
async fn ask(fake: Fake, method: &str, path: &str) -> (u16, String, String) {
    let request =
        Request::builder().method(method).uri(path).header("host", "h:1").body(Body::empty()).unwrap();
    let response = client_with(fake, &["*"], &["*"]).0.serve(request).await;
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let kind = response.headers().get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
    (response.status().as_u16(), kind, text(response).await)
}

const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn version() {
    let fake = || Fake { versions: Some(("3.7.0", "3.7.0")), ..Fake::default() };
    let body = r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#;
    assert_eq!(ask(fake(), "GET", "/version").await, (200, "application/json".into(), body.into()));
    let body = r#"{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}"#;
    assert_eq!(ask(Fake::default(), "GET", "/version").await.2, body);
    assert_eq!(ask(fake(), "HEAD", "/version").await.0, 405);
    for method in ["PUT", "POST"] {
        assert_eq!(ask(fake(), method, "/version").await, (405, TEXT.into(), "Method Not Allowed\n".into()));
    }
}

#[tokio::test]
async fn wrong_paths() {
    assert_eq!(
        ask(Fake::default(), "GET", "/nosuch").await,
        (404, TEXT.into(), "404 page not found\n".into())
    );
    assert_eq!(ask(Fake::default(), "GET", "/version/").await.0, 404);
    assert_eq!(ask(Fake::default(), "GET", "/livez/linearizable_read").await.0, 404);
    let (status, kind, body) = ask(Fake::default(), "GET", "//version").await;
    assert_eq!((status, kind.as_str()), (301, "text/html; charset=utf-8"));
    assert_eq!(body, "<a href=\"/version\">Moved Permanently</a>.\n\n");
}

#[tokio::test]
async fn health() {
    let (status, kind, body) = ask(Fake::default(), "GET", "/health").await;
    assert_eq!((status, kind.as_str(), body.as_str()), (200, TEXT, r#"{"health":"true","reason":""}"#));
    assert_eq!(ask(Fake::default(), "POST", "/health").await.0, 405);
    let no_leader = || Fake { no_leader: true, ..Fake::default() };
    let alarmed = |alarms: &[AlarmType]| Fake { alarms: Mutex::new(alarms.to_vec()), ..Fake::default() };
    for (fake, path, reason) in [
        (alarmed(&[AlarmType::Nospace]), "/health", "ALARM NOSPACE"),
        (alarmed(&[AlarmType::Corrupt]), "/health?exclude=NOSPACE", "ALARM CORRUPT"),
        (no_leader(), "/health", "RAFT NO LEADER"),
        (
            Fake { quorum_read: Some("etcdserver: \"x\""), ..Fake::default() },
            "/health",
            "RANGE ERROR:etcdserver: \\\"x\\\"",
        ),
        (Fake { hangs: true, ..Fake::default() }, "/health", "RANGE ERROR:context deadline exceeded"),
        (Fake { local_read: Some("x"), ..Fake::default() }, "/health?serializable=true", "RANGE ERROR:x"),
    ] {
        let (status, kind, body) = ask(fake, "GET", path).await;
        assert_eq!((status, kind.as_str()), (503, TEXT));
        assert_eq!(body, format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n"));
    }
    let both = alarmed(&[AlarmType::Nospace, AlarmType::Corrupt]);
    assert_eq!(ask(both, "GET", "/health?exclude=NOSPACE&exclude=CORRUPT").await.0, 200);
    assert_eq!(ask(no_leader(), "GET", "/health?serializable=true").await.0, 200);
}

#[tokio::test]
async fn health_is_counted() {
    let (client, metrics) = client_with(Fake { no_leader: true, ..Fake::default() }, &["*"], &["*"]);
    for path in ["/health", "/health?serializable=true", "/readyz"] {
        client.clone().serve(Request::get(path).body(Body::empty()).unwrap()).await;
    }
    assert_eq!((metrics.server.health_failures.get(), metrics.server.health_success.get()), (1, 1));
    let text = metrics.gather();
    assert!(text.contains("etcd_server_healthcheck{name=\"linearizable_read\",type=\"readyz\"} 1"));
}

#[tokio::test]
async fn livez_and_readyz() {
    let ok = (200, TEXT.to_owned(), "ok\n".to_owned());
    for path in
        ["/livez", "/readyz", "/livez/serializable_read", "/readyz/non_learner", "/livez?exclude=nosuch"]
    {
        assert_eq!(ask(Fake::default(), "GET", path).await, ok, "{path}");
    }
    assert_eq!(ask(Fake::default(), "GET", "/livez?verbose").await.2, "[+]serializable_read ok\nok\n");
    assert_eq!(ask(Fake::default(), "DELETE", "/livez").await.0, 405);
    let ill = || Fake {
        learner: true,
        quorum_read: Some("no quorum"),
        alarms: Mutex::new(vec![AlarmType::Corrupt]),
        ..Fake::default()
    };
    assert_eq!(ask(ill(), "GET", "/livez").await, ok);
    let (status, _, body) = ask(ill(), "GET", "/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n\
         [-]linearizable_read failed: no quorum\n[-]non_learner failed: not supported for learner\n\n"
    );
    let path = "/readyz?exclude=data_corruption&exclude=linearizable_read&exclude=non_learner";
    assert_eq!(ask(ill(), "GET", path).await, ok);
}

#[tokio::test]
async fn metrics_are_served_to_any_method() {
    for method in ["GET", "POST"] {
        let (status, kind, body) = ask(Fake::default(), method, "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(body.contains("# TYPE etcd_server_has_leader gauge"));
    }
}

#[tokio::test]
async fn options_ends_at_cors() {
    let (status, _, body) = ask(Fake::default(), "OPTIONS", "/anything").await;
    assert_eq!((status, body.as_str()), (200, ""));
    let (client, _) = client_with(Fake::default(), &["http://good:80"], &["*"]);
    for (origin, echoed) in [("http://good:80", true), ("http://bad:80", false)] {
        let request = Request::get("/version").header("origin", origin).body(Body::empty()).unwrap();
        let response = client.clone().serve(request).await;
        let allowed = response.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some_and(|v| v == origin), echoed);
        assert_eq!(response.headers().contains_key("access-control-allow-methods"), echoed);
    }
}

#[tokio::test]
async fn strange_hosts_are_misdirected() {
    let (client, _) = client_with(Fake::default(), &["*"], &["good.com", "::1"]);
    for (host, status) in [
        ("good.com", 200),
        ("good.com:2379", 200),
        ("[::1]:2379", 200),
        ("evil.com", 421),
        ("good.com:1:2", 421),
        ("", 421),
    ] {
        let request = Request::get("/version").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(client.clone().serve(request).await.status().as_u16(), status, "{host}");
    }
    let request = Request::builder()
        .method("OPTIONS")
        .uri("/x")
        .header("host", "evil.com")
        .body(Body::empty())
        .unwrap();
    let response = client.serve(request).await;
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    let body = text(response).await;
    assert!(
        body.starts_with("\netcd received your request, but the Host header was unrecognized.\n\nTo fix")
    );
    assert!(body.contains("\n  - e.g. etcd --host-whitelist \"evil.com\"\n\nThis requirement"));
    assert!(body.ends_with("(CVE-2018-5702).\n\n"));
}

#[tokio::test]
async fn peers_get_members_and_no_cors() {
    let fake = Arc::new(Fake { versions: Some(("3.7.0", "3.7.0")), ..Fake::default() });
    let router = peer_router(Arc::clone(&fake) as Arc<dyn HealthSource>, fake, Router::new());
    let ask = |method: &'static str, path: &'static str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request)
    };
    let response = ask("GET", "/members").await.unwrap();
    assert_eq!(response.headers()["x-etcd-cluster-id"], "cdf818194e3a8c3");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    assert_eq!(
        text(response).await,
        "[{\"id\":7,\"peerURLs\":[\"http://h:1\"],\"name\":\"n1\",\"clientURLs\":[\"http://h:2\"]},\
         {\"id\":8,\"peerURLs\":[\"http://h:3\"],\"isLearner\":true}]\n"
    );
    let probing = text(ask("POST", "/raft/probing").await.unwrap()).await;
    assert!(probing.starts_with("{\"OK\":true,\"Now\":\"2") && probing.ends_with("Z\"}\n"));
    assert_eq!(ask("GET", "/version").await.unwrap().status(), 200);
    assert_eq!(ask("POST", "/members").await.unwrap().status(), 405);
    assert_eq!(ask("GET", "/health").await.unwrap().status(), 404);
    assert_eq!(ask("OPTIONS", "/x").await.unwrap().status(), 404);
}
