//! `grpc_server_*`: every call by method, and by code when it ends.
//!
//! A call looks its method up once and then holds [`MethodMetrics`]; each count after that is one atomic addition.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use tonic::Code;

use super::make;
use super::methods::{METHODS, Method, MethodKind};

/// The names of the seventeen codes in Go's words, by their number.
pub const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The bounds of the Go Prometheus library, which the histogram of call times has.
const HANDLING_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All methods.
#[derive(Debug)]
pub struct GrpcMetrics {
    families: Families,
    methods: HashMap<&'static str, (Method, OnceLock<Arc<MethodMetrics>>)>,
}

#[derive(Debug)]
struct Families {
    started: IntCounterVec,
    handled: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    handling: Option<HistogramVec>,
}

/// The counters of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    started: IntCounter,
    handled: [IntCounter; CODES.len()],
    received: IntCounter,
    sent: IntCounter,
    handling: Option<Histogram>,
    unary: bool,
}

impl GrpcMetrics {
    pub(super) fn register(registry: &Registry, extensive: bool) -> Self {
        let labels = ["grpc_type", "grpc_service", "grpc_method"];
        let with_code = ["grpc_code", "grpc_type", "grpc_service", "grpc_method"];
        let counters = |name, help| make::counters(registry, name, help, &labels);
        let families = Families {
            started: counters("grpc_server_started_total", "Calls begun."),
            handled: make::counters(
                registry,
                "grpc_server_handled_total",
                "Calls ended, by code.",
                &with_code,
            ),
            received: counters("grpc_server_msg_received_total", "Messages received in calls."),
            sent: counters("grpc_server_msg_sent_total", "Messages sent in calls."),
            handling: extensive.then(|| {
                let help = "Time from the begin to the end of a call.";
                make::histograms(
                    registry,
                    "grpc_server_handling_seconds",
                    help,
                    &labels,
                    HANDLING_BUCKETS.to_vec(),
                )
            }),
        };
        let methods = METHODS.iter().map(|method| (method.path, (*method, OnceLock::new()))).collect();
        let metrics = Self { families, methods };
        for method in METHODS.iter().filter(|method| method.eager) {
            let _ = metrics.method(method.path);
        }
        metrics
    }

    /// The counters of the method with this path; `None` when there is no such method.
    pub fn method(&self, path: &str) -> Option<Arc<MethodMetrics>> {
        let (method, slot) = self.methods.get(path)?;
        Some(Arc::clone(slot.get_or_init(|| Arc::new(MethodMetrics::new(&self.families, method)))))
    }
}

impl MethodMetrics {
    fn new(families: &Families, method: &Method) -> Self {
        let labels = [method.kind.as_str(), method.service(), method.name()];
        let [kind, service, name] = labels;
        Self {
            started: families.started.with_label_values(&labels),
            handled: CODES.map(|code| families.handled.with_label_values(&[code, kind, service, name])),
            received: families.received.with_label_values(&labels),
            sent: families.sent.with_label_values(&labels),
            handling: families.handling.as_ref().map(|vec| vec.with_label_values(&labels)),
            unary: method.kind == MethodKind::Unary,
        }
    }

    /// A call has begun.
    pub fn started(&self) {
        self.started.inc();
    }

    /// What `etcd_server_client_requests_total` calls such a call.
    pub fn client_request_type(&self) -> &'static str {
        if self.unary { "unary" } else { "stream" }
    }

    /// A call has ended.
    pub fn handled(&self, code: Code, seconds: f64) {
        self.handled[code as usize].inc();
        if let Some(handling) = &self.handling {
            handling.observe(seconds);
        }
    }

    /// Messages came in.
    pub fn received(&self, messages: u64) {
        self.received.inc_by(messages);
    }

    /// Messages went out.
    pub fn sent(&self, messages: u64) {
        self.sent.inc_by(messages);
    }
}
