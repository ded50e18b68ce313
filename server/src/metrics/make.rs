//! How a metric comes into the registry, and the macro that writes the structs of handles.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// `count` bucket limits, each double the one before.
pub(super) fn doubling(start: f64, count: usize) -> Vec<f64> {
    prometheus::exponential_buckets(start, 2.0, count)
        .expect("start and factor are positive and there is a bucket")
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let metric = made.expect("names and labels are literals of this crate, and well formed");
    registry
        .register(Box::new(metric.clone()))
        .expect("each name is registered once; a test makes the whole registry");
    metric
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help))
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str, start: f64, count: usize) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(doubling(start, count));
    register(registry, Histogram::with_opts(options))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: Vec<f64>,
) -> HistogramVec {
    register(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels))
}

/// A gauge that is always 1 and tells something in its label.
pub(super) fn info(registry: &Registry, name: &str, help: &str, label: &str) -> GaugeVec {
    register(registry, GaugeVec::new(Opts::new(name, help), &[label]))
}

/// Writes a struct of handles and the function that registers them, from rows `field: Type = maker("name", "help", …)`.
macro_rules! handles {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $make:ident($metric:literal, $help:literal $(, $arg:expr)*),)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $(#[doc = concat!("`", $metric, "`: ", $help)] pub $field: $type,)*
        }

        impl $name {
            pub(super) fn register(registry: &prometheus::Registry) -> Self {
                Self { $($field: super::make::$make(registry, $metric, $help $(, $arg)*),)* }
            }
        }
    };
}
pub(super) use handles;
