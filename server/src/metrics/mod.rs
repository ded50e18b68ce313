//! Metrics: etcd's names, types, labels and buckets, in the text format of Prometheus.
//!
//! There is one [`Metrics`] in a process, passed around in an `Arc`; nothing is global. Its handles are plain atomic counters,
//! and what has labels is resolved once ([`grpc::MethodMetrics`], [`apply::ApplyMetrics`]), so that counting costs an
//! addition. What is a property of something else (database sizes, say) is set by a hook before each scrape.

pub mod apply;
pub mod grpc;
mod make;
pub mod methods;
mod network;
mod process;
mod server;
mod storage;
#[cfg(test)]
mod tests;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge, Registry, TextEncoder};

pub use self::apply::{ApplyMetrics, Op};
pub use self::grpc::{GrpcMetrics, MethodMetrics};
pub use self::network::NetworkMetrics;
pub use self::server::{LeaseMetrics, ServerMetrics};
pub use self::storage::{DiskMetrics, EngineMetrics, MvccMetrics, WatchMetrics};
use crate::version;

/// The type of the text, with the version of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is counted.
pub struct Metrics {
    /// The member in its cluster.
    pub server: ServerMetrics,
    /// Leases.
    pub lease: LeaseMetrics,
    /// Log and database file.
    pub disk: DiskMetrics,
    /// The storage engine.
    pub engine: EngineMetrics,
    /// Keys and revisions.
    pub mvcc: MvccMetrics,
    /// Watches.
    pub watch: WatchMetrics,
    /// Clients and peers.
    pub network: NetworkMetrics,
    /// Times by kind of request.
    pub apply: ApplyMetrics,
    /// Calls by method.
    pub grpc: GrpcMetrics,
    registry: Registry,
    scrapes: IntCounterVec,
    scrapes_in_flight: IntGauge,
    hooks: Mutex<Vec<Hook>>,
}

type Hook = Box<dyn Fn(&Metrics) + Send + Sync>;

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All metrics at 0. `extensive` adds the histogram of call times (`--metrics extensive`).
    pub fn new(extensive: bool) -> Self {
        let registry = Registry::new();
        let scrapes = make::counters(
            &registry,
            "promhttp_metric_handler_requests_total",
            "Scrapes by status code.",
            &["code"],
        );
        for code in ["200", "500", "503"] {
            let _ = scrapes.with_label_values(&[code]);
        }
        let scrapes_in_flight =
            make::gauge(&registry, "promhttp_metric_handler_requests_in_flight", "Scrapes being answered.");
        let metrics = Self {
            server: ServerMetrics::register(&registry),
            lease: LeaseMetrics::register(&registry),
            disk: DiskMetrics::register(&registry),
            engine: EngineMetrics::register(&registry),
            mvcc: MvccMetrics::register(&registry),
            watch: WatchMetrics::register(&registry),
            network: NetworkMetrics::register(&registry),
            apply: ApplyMetrics::register(&registry),
            grpc: GrpcMetrics::register(&registry, extensive),
            registry,
            scrapes,
            scrapes_in_flight,
            hooks: Mutex::new(Vec::new()),
        };
        metrics.server.version.with_label_values(&[version::ETCD]).set(1.0);
        metrics.server.go_version.with_label_values(&[&version::go()]).set(1.0);
        metrics.server.holdfast_version.with_label_values(&[version::HOLDFAST]).set(1.0);
        metrics
    }

    /// Has `hook` run before each scrape, to set what nobody counts.
    pub fn before_scrape(&self, hook: impl Fn(&Metrics) + Send + Sync + 'static) {
        self.hooks.lock().push(Box::new(hook));
    }

    /// All metrics as text.
    pub fn gather(&self) -> String {
        self.scrapes_in_flight.inc();
        for hook in &*self.hooks.lock() {
            hook(self);
        }
        let mut text = String::with_capacity(128 * 1024);
        let encoded = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        if let Err(error) = encoded {
            tracing::warn!(error = %error, "failed to encode metrics");
        }
        text.push_str(&process::text(&process::usage()));
        self.scrapes_in_flight.dec();
        self.scrapes.with_label_values(&["200"]).inc();
        text
    }
}
