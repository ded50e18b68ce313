//! `/health`: one answer for everything that can be wrong, the oldest of etcd's probes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use holdfast_proto::etcdserverpb::AlarmType;
use http::{Method, Request, Response, StatusCode};

use super::HealthSource;
use super::answer::{self, TEXT};
use crate::metrics::Metrics;

/// What the probes share.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) source: Arc<dyn HealthSource>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) timeout: Duration,
}

impl Probe {
    /// A read that ends with etcd's words when it takes too long.
    pub(super) async fn read(&self, serializable: bool) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.source.read(serializable)).await {
            Ok(result) => result,
            Err(_) => Err("context deadline exceeded".to_owned()),
        }
    }
}

/// Answers `/health`.
pub(super) async fn handle(probe: Probe, request: Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        tracing::warn!("status-code" = 405, "/health error");
        return answer::only("GET");
    }
    let excluded = answer::query_values(&request, "exclude");
    // Go looks at the first value only.
    let serializable = answer::query_values(&request, "serializable").first().is_some_and(|v| v == "true");
    match find_fault(&probe, &excluded, serializable).await {
        None => {
            probe.metrics.server.health_success.inc();
            tracing::debug!("status-code" = 200, "/health OK");
            answer::ok(TEXT, r#"{"health":"true","reason":""}"#)
        }
        Some(reason) => {
            probe.metrics.server.health_failures.inc();
            let reason = serde_json::Value::String(reason);
            let output = format!("{{\"health\":\"false\",\"reason\":{reason}}}");
            tracing::warn!(output, "status-code" = 503, "/health error");
            answer::error(StatusCode::SERVICE_UNAVAILABLE, &output)
        }
    }
}

/// The first thing that is wrong: an alarm, no leader, no read.
async fn find_fault(probe: &Probe, excluded: &[String], serializable: bool) -> Option<String> {
    for alarm in probe.source.alarms() {
        let kind = AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |kind| kind.as_str_name());
        if excluded.iter().any(|name| name == kind) {
            tracing::debug!(alarm = kind, "/health excluded alarm");
            continue;
        }
        tracing::warn!(alarm = kind, "serving /health false due to an alarm");
        let shown = if matches!(kind, "NOSPACE" | "CORRUPT") { kind } else { "UNKNOWN" };
        return Some(format!("ALARM {shown}"));
    }
    if !serializable && !probe.source.has_leader() {
        tracing::warn!("serving /health false; no leader");
        return Some("RAFT NO LEADER".to_owned());
    }
    match probe.read(serializable).await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(error, "serving /health false; Range fails");
            Some(format!("RANGE ERROR:{error}"))
        }
    }
}
