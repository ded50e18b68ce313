//! The HTTP side of client listeners and of metrics listeners.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::HeaderValue;
use http::{Method, Request, Response};
use tower::ServiceExt;

use super::access::{Access, Verdict};
use super::answer::{self, JSON};
use super::checks::{Checks, LIVEZ, READYZ};
use super::health::{self, Probe};
use super::source::HealthSource;
use crate::metrics::{self, Metrics};
use crate::version;

/// All of HTTP on a client listener: access first, then the routes.
#[derive(Debug, Clone)]
pub struct ClientHttp {
    access: Access,
    router: Router,
}

impl ClientHttp {
    /// `timeout` bounds the reads of the probes. `more` are further routes, such as those of the JSON gateway.
    pub fn new(
        source: Arc<dyn HealthSource>,
        metrics: Arc<Metrics>,
        access: Access,
        timeout: Duration,
        more: Router,
    ) -> Self {
        let versions = Arc::clone(&source);
        let router = metrics_router(source, metrics, timeout)
            .route("/version", any(move |request| version(Arc::clone(&versions), request)))
            .merge(more)
            .fallback(answer::not_found);
        Self { access, router }
    }

    /// Answers one request.
    pub async fn serve(self, request: Request<Body>) -> Response<Body> {
        let headers = match self.access.judge(&request) {
            Verdict::Answer(response) => return *response,
            Verdict::Serve(headers) => headers,
        };
        let Ok(mut response) = self.router.oneshot(request).await;
        response.headers_mut().extend(headers);
        response
    }
}

/// The routes of a metrics listener: metrics and probes, nothing else.
pub fn metrics_router(source: Arc<dyn HealthSource>, metrics: Arc<Metrics>, timeout: Duration) -> Router {
    let scraped = Arc::clone(&metrics);
    let probe = Probe { source, metrics, timeout };
    let for_health = probe.clone();
    let mut router = Router::new()
        .route("/metrics", any(move || async move { scrape(&scraped) }))
        .route("/health", any(move |request| health::handle(for_health.clone(), request)));
    for checks in [LIVEZ, READYZ] {
        router = add_checks(router, checks, &probe);
    }
    router.fallback(answer::not_found)
}

fn add_checks(mut router: Router, checks: Checks, probe: &Probe) -> Router {
    let path = format!("/{}", checks.kind);
    let all = probe.clone();
    router = router.route(&path, any(move |request| checks.all(all.clone(), request)));
    for &check in checks.checks {
        let one = probe.clone();
        let path = format!("{path}/{}", check.name());
        router = router.route(&path, any(move |request| checks.one(check, one.clone(), request)));
    }
    router
}

/// `/metrics`, whatever the method, as the Go library has it.
fn scrape(metrics: &Metrics) -> Response<Body> {
    answer::ok(HeaderValue::from_static(metrics::CONTENT_TYPE), metrics.gather())
}

/// `/version`.
pub(super) async fn version(source: Arc<dyn HealthSource>, request: Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        return answer::only("GET");
    }
    let cluster = source.cluster_version().unwrap_or_else(|| "not_decided".to_owned());
    let storage = source.storage_version().unwrap_or_else(|| "unknown".to_owned());
    let body = format!(
        "{{\"etcdserver\":\"{}\",\"etcdcluster\":\"{cluster}\",\"storage\":\"{storage}\"}}",
        version::ETCD
    );
    answer::ok(JSON, body)
}
