//! What peers and tools ask a peer listener for over plain HTTP: `/members`, `/version`, `/raft/probing`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Response};
use serde::Serialize;
use time::OffsetDateTime;

use super::answer::{self, JSON, TEXT};
use super::client::version;
use super::source::{HealthSource, PeerSource};

/// The header by which members tell clusters apart.
const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");

/// The routes of a peer listener. `more` are those of the raft transport.
pub fn peer_router(health: Arc<dyn HealthSource>, peers: Arc<dyn PeerSource>, more: Router) -> Router {
    Router::new()
        .route("/version", any(move |request| version(Arc::clone(&health), request)))
        .route("/members", any(move |method: Method| async move { members(&*peers, &method) }))
        .route("/raft/probing", any(async || probing()))
        .merge(more)
        .fallback(answer::not_found)
}

/// A member in the words of etcd's JSON; members that have not started have neither name nor client URLs.
#[derive(Debug, Serialize)]
struct MemberJson {
    id: u64,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(rename = "isLearner", skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "clientURLs", skip_serializing_if = "Vec::is_empty")]
    client_urls: Vec<String>,
}

fn members(peers: &dyn PeerSource, method: &Method) -> Response<Body> {
    let mut response = if method == Method::GET {
        let members: Vec<_> = peers
            .members()
            .into_iter()
            .map(|member| MemberJson {
                id: member.id,
                peer_urls: member.peer_urls,
                is_learner: member.is_learner,
                name: member.name,
                client_urls: member.client_urls,
            })
            .collect();
        let mut body = serde_json::to_vec(&members).expect("plain structs with text keys are always JSON");
        body.push(b'\n');
        answer::ok(JSON, body)
    } else {
        return answer::only("GET");
    };
    let id =
        HeaderValue::from_str(&format!("{:x}", peers.cluster_id())).expect("hex digits are a header value");
    response.headers_mut().insert(CLUSTER_ID, id);
    response
}

/// Peers measure the round trip with it, and the difference of clocks.
fn probing() -> Response<Body> {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second, nano) = now.to_hms_nano();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    answer::ok(
        TEXT,
        format!(
            "{{\"OK\":true,\"Now\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nano:09}Z\"}}\n"
        ),
    )
}
