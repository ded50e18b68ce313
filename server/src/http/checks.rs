//! `/livez` and `/readyz`: named checks, together or one by one, in the manner of Kubernetes.

use std::fmt::Write as _;

use axum::body::Body;
use holdfast_proto::etcdserverpb::AlarmType;
use http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};

use super::answer::{self, TEXT};
use super::health::Probe;
use crate::config::quote::Quoted;

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

/// A set of checks under one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checks {
    /// `livez` or `readyz`.
    pub(super) kind: &'static str,
    pub(super) checks: &'static [Check],
}

/// Whether the process is worth keeping.
pub(super) const LIVEZ: Checks = Checks { kind: "livez", checks: &[Check::SerializableRead] };
/// Whether the member can serve.
pub(super) const READYZ: Checks = Checks {
    kind: "readyz",
    checks: &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner],
};

impl Check {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, probe: &Probe) -> Result<(), String> {
        match self {
            Self::SerializableRead => probe.read(true).await,
            Self::LinearizableRead => probe.read(false).await,
            Self::DataCorruption => {
                let corrupt = i32::from(AlarmType::Corrupt);
                if probe.source.alarms().iter().any(|alarm| alarm.alarm == corrupt) {
                    return Err("alarm activated: CORRUPT".to_owned());
                }
                Ok(())
            }
            Self::NonLearner if probe.source.is_learner() => Err("not supported for learner".to_owned()),
            Self::NonLearner => Ok(()),
        }
    }
}

impl Checks {
    /// Answers `/livez` or `/readyz`: all checks but the excluded ones.
    pub(super) async fn all(self, probe: Probe, request: Request<Body>) -> Response<Body> {
        let mut excluded = answer::query_values(&request, "exclude");
        excluded.retain(|name| !name.is_empty());
        let chosen: Vec<_> = self
            .checks
            .iter()
            .copied()
            .filter(|check| !excluded.iter().any(|name| name == check.name()))
            .collect();
        excluded.retain(|name| !self.checks.iter().any(|check| name == check.name()));
        let asked = Asked::new(&request);
        if !excluded.is_empty() && asked.is_get {
            let missing: Vec<_> = excluded.iter().map(|name| Quoted(name).to_string()).collect();
            tracing::warn!(
                "missing-health-checks" = missing.join(","),
                "some health checks cannot be excluded"
            );
        }
        self.answer(&probe, &chosen, asked).await
    }

    /// Answers `/livez/<check>` or `/readyz/<check>`.
    pub(super) async fn one(self, check: Check, probe: Probe, request: Request<Body>) -> Response<Body> {
        self.answer(&probe, &[check], Asked::new(&request)).await
    }

    async fn answer(self, probe: &Probe, checks: &[Check], asked: Asked) -> Response<Body> {
        let path = asked.path;
        if !asked.is_get {
            tracing::warn!(path, "status-code" = 405, "Health request error");
            return answer::only("GET");
        }
        let (mut report, mut good) = (String::new(), true);
        for check in checks {
            let result = check.run(probe).await;
            probe.metrics.server.record_health_check(self.kind, check.name(), result.is_ok());
            match result {
                Ok(()) => {
                    let _ = writeln!(report, "[+]{} ok", check.name());
                }
                Err(error) => {
                    good = false;
                    let _ = writeln!(report, "[-]{} failed: {error}", check.name());
                }
            }
        }
        if !good {
            tracing::error!(path, reason = report, "status-code" = 503, "Health check error");
            return answer::error(StatusCode::SERVICE_UNAVAILABLE, &report);
        }
        tracing::debug!(path, reason = report, "status-code" = 200, "Health check OK");
        let body = if asked.verbose { report + "ok\n" } else { "ok\n".to_owned() };
        let mut response = answer::ok(TEXT, body);
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// What an answer depends on. (A request cannot be held across a wait.)
struct Asked {
    path: String,
    is_get: bool,
    verbose: bool,
}

impl Asked {
    fn new(request: &Request<Body>) -> Self {
        Self {
            path: request.uri().path().to_owned(),
            is_get: request.method() == Method::GET,
            verbose: !answer::query_values(request, "verbose").is_empty(),
        }
    }
}
