//! The text of a scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Code;

use super::methods::METHODS;
use super::*;

/// Family name → type.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

#[test]
fn the_mixins_names_are_there_with_their_types() {
    let text = Metrics::new(true).gather();
    let families = families(&text);
    for (name, kind) in [
        ("etcd_server_has_leader", "gauge"),
        ("etcd_server_leader_changes_seen_total", "counter"),
        ("etcd_server_proposals_applied_total", "gauge"),
        ("etcd_server_proposals_committed_total", "gauge"),
        ("etcd_server_proposals_failed_total", "counter"),
        ("etcd_server_proposals_pending", "gauge"),
        ("etcd_server_quota_backend_bytes", "gauge"),
        ("etcd_disk_wal_fsync_duration_seconds", "histogram"),
        ("etcd_disk_wal_write_bytes_total", "gauge"),
        ("etcd_disk_backend_commit_duration_seconds", "histogram"),
        ("etcd_mvcc_db_total_size_in_bytes", "gauge"),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge"),
        ("etcd_network_client_grpc_received_bytes_total", "counter"),
        ("etcd_network_client_grpc_sent_bytes_total", "counter"),
        ("grpc_server_started_total", "counter"),
        ("grpc_server_handled_total", "counter"),
        ("grpc_server_handling_seconds", "histogram"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("go_threads", "gauge"),
        ("go_gc_duration_seconds", "summary"),
    ] {
        assert_eq!(families.get(name), Some(&kind), "{name}");
    }
}

#[test]
fn buckets_double() {
    let metrics = Metrics::new(false);
    metrics.disk.wal_fsync.observe(0.0015);
    let text = metrics.gather();
    let bounds: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"")?.split('"').next()
        })
        .collect();
    assert_eq!(
        bounds,
        [
            "0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512",
            "1.024", "2.048", "4.096", "8.192", "+Inf"
        ]
    );
    assert!(text.contains("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 1\n"));
    assert!(!text.contains("grpc_server_handling_seconds"), "only with --metrics extensive");
}

#[test]
fn calls_are_counted_by_method_and_code() {
    let metrics = Metrics::new(false);
    let text = metrics.gather();
    let eager = METHODS.iter().filter(|method| method.eager).count();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("grpc_server_handled_total{")).count(),
        eager * 17
    );
    assert!(!text.contains("v3lockpb.Lock"), "not before its first use");

    let range = metrics.grpc.method("/etcdserverpb.KV/Range").unwrap();
    range.started();
    range.received(1);
    range.sent(1);
    range.handled(Code::Unauthenticated, 0.1);
    metrics.grpc.method("/v3lockpb.Lock/Lock").unwrap().started();
    assert!(metrics.grpc.method("/etcdserverpb.KV/Nothing").is_none());
    let text = metrics.gather();
    for line in [
        "grpc_server_started_total{grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1",
        "grpc_server_handled_total{grpc_code=\"Unauthenticated\",grpc_method=\"Range\",\
         grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1",
        "grpc_server_started_total{grpc_method=\"Lock\",grpc_service=\"v3lockpb.Lock\",grpc_type=\"unary\"} 1",
        "grpc_server_started_total{grpc_method=\"Watch\",grpc_service=\"etcdserverpb.Watch\",\
         grpc_type=\"bidi_stream\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn labels_and_infos() {
    let metrics = Metrics::new(false);
    metrics.server.set_member_id(0x8e9e_05c5_2164_694d);
    metrics.server.set_cluster_version(None, "3.6");
    metrics.server.set_cluster_version(Some("3.6"), "3.7");
    metrics.server.set_log_writer("blocking");
    metrics.server.count_client_request("unary", Some("3.5"));
    metrics.server.count_client_request("stream", Some("<script>"));
    metrics.server.count_client_request("stream", None);
    metrics.server.record_health_check("livez", "serializable_read", true);
    metrics.apply.applied(Op::Put, true, 0.001);
    metrics.apply.answered(Op::ReadonlyTxn, false, 0.001);
    let text = metrics.gather();
    for line in [
        "etcd_server_id{server_id=\"8e9e05c52164694d\"} 1",
        "etcd_cluster_version{cluster_version=\"3.6\"} 0",
        "etcd_cluster_version{cluster_version=\"3.7\"} 1",
        "etcd_server_version{server_version=\"3.7.1\"} 1",
        "holdfast_log_writer{writer=\"blocking\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"3.5\",type=\"unary\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"stream\"} 2",
        "etcd_server_healthcheck{name=\"serializable_read\",type=\"livez\"} 1",
        "etcd_server_apply_duration_seconds_count{op=\"Put\",success=\"true\",version=\"v3\"} 1",
        "etcd_server_request_duration_seconds_count{success=\"false\",type=\"ReadonlyTxn\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(!text.contains("op=\"Range\""), "series appear with their first observation");
}

#[test]
fn hooks_run_before_a_scrape() {
    let metrics = Arc::new(Metrics::new(false));
    metrics.before_scrape(|metrics| metrics.mvcc.keys.set(42));
    assert!(metrics.gather().contains("\netcd_debugging_mvcc_keys_total 42\n"));
    assert!(metrics.gather().contains("promhttp_metric_handler_requests_total{code=\"200\"} 1\n"));
}
