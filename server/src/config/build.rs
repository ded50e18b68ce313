//! From the values of the flags to the [`Config`] of a member: defaults of defaults, and units.

use std::time::Duration;

use holdfast_proto::limits;

use super::duration::GoDuration;
use super::host;
use super::notice::Notice;
use super::retention::AutoCompaction;
use super::url::Url;
use super::validate;
use super::values::Values;
use super::{ClusterState, Config, VerifyError};

/// Makes the configuration out of values that [`validate::check`] has let pass.
pub(super) fn config(values: &Values, notices: &mut Vec<Notice>) -> Result<Config, VerifyError> {
    let mut config = Config {
        name: values.text("name"),
        data_dir: values.text("data-dir").into(),
        wal_dir: Some(values.text("wal-dir")).filter(|dir| !dir.is_empty()).map(Into::into),
        listen_peer_urls: values.urls("listen-peer-urls").urls,
        listen_client_urls: values.urls("listen-client-urls").urls,
        listen_client_http_urls: values.urls("listen-client-http-urls").urls,
        listen_metrics_urls: values.urls("listen-metrics-urls").urls,
        advertise_peer_urls: values.urls("initial-advertise-peer-urls").urls,
        advertise_client_urls: advertised_client_urls(values),
        initial_cluster: values.text("initial-cluster"),
        initial_cluster_state: cluster_state(values),
        initial_cluster_token: values.text("initial-cluster-token"),
        strict_reconfig_check: values.flag("strict-reconfig-check"),
        pre_vote: values.flag("pre-vote"),
        max_learners: usize::try_from(values.int("max-learners")).unwrap_or(0),
        heartbeat_interval: Duration::from_millis(values.uint("heartbeat-interval")),
        election_timeout: Duration::from_millis(values.uint("election-timeout")),
        initial_election_tick_advance: values.flag("initial-election-tick-advance"),
        snapshot_count: values.uint("snapshot-count"),
        snapshot_catchup_entries: values.uint("snapshot-catchup-entries"),
        unsafe_no_fsync: values.flag("unsafe-no-fsync"),
        quota_backend_bytes: quota(values.int("quota-backend-bytes")),
        quota_is_default: values.int("quota-backend-bytes") == 0,
        max_request_bytes: values.uint("max-request-bytes"),
        max_txn_ops: values.uint("max-txn-ops"),
        max_concurrent_streams: u32::try_from(values.uint("max-concurrent-streams")).unwrap_or(u32::MAX),
        grpc_keepalive_min_time: values.duration("grpc-keepalive-min-time").to_std(),
        grpc_keepalive_interval: positive(values.duration("grpc-keepalive-interval")),
        grpc_keepalive_timeout: positive(values.duration("grpc-keepalive-timeout")),
        socket_reuse_port: values.flag("socket-reuse-port"),
        cors: values.urls("cors").texts,
        host_whitelist: values.words("host-whitelist").into_iter().filter(|host| !host.is_empty()).collect(),
        auto_compaction: AutoCompaction::Off, // read last, by `load`
        auto_compaction_mode: values.text("auto-compaction-mode"),
        compaction_batch_limit: match usize::try_from(values.int("compaction-batch-limit")) {
            Ok(0) | Err(_) => limits::COMPACTION_BATCH_REVISIONS,
            Ok(limit) => limit,
        },
        compaction_sleep_interval: positive(values.duration("compaction-sleep-interval"))
            .unwrap_or(Duration::from_millis(10)),
        enable_grpc_gateway: values.flag("enable-grpc-gateway"),
        extensive_metrics: values.text("metrics") == "extensive",
        warning_apply_duration: values.duration("warning-apply-duration").to_std(),
        warning_unary_request_duration: positive(values.duration("warning-unary-request-duration"))
            .unwrap_or(Duration::from_millis(300)),
        watch_progress_notify_interval: match positive(values.duration("watch-progress-notify-interval")) {
            Some(interval) => interval.max(limits::MIN_WATCH_PROGRESS_NOTIFY),
            None => limits::WATCH_PROGRESS_NOTIFY,
        },
        scrub_interval: positive(values.duration("scrub-interval")),
        log: validate::logging(values)?,
    };
    finish(&mut config, notices);
    Ok(config)
}

/// What depends on several flags: addresses taken from the machine, the cluster of one, the data directory.
fn finish(config: &mut Config, notices: &mut Vec<Notice>) {
    let mut used_host = None;
    for (listen, advertise, default) in [
        (&config.listen_peer_urls, &mut config.advertise_peer_urls, "http://localhost:2380"),
        (&config.listen_client_urls, &mut config.advertise_client_urls, "http://localhost:2379"),
    ] {
        if let Some(url) = host::better_advertised(listen, advertise, default) {
            used_host = Some(url.hostname().to_owned());
            *advertise = vec![url];
        }
    }
    if let Some(host) = used_host {
        notices.push(Notice::DefaultHost { host });
    }
    if config.name != "default" && config.initial_cluster == "default=http://localhost:2380" {
        let name = if config.name.is_empty() { "default" } else { &config.name };
        let pairs: Vec<_> = config.advertise_peer_urls.iter().map(|url| format!("{name}={url}")).collect();
        config.initial_cluster = pairs.join(",");
    }
    if config.data_dir.as_os_str().is_empty() {
        let path = format!("{}.etcd", config.name);
        notices.push(Notice::DataDirDefault { path: path.clone() });
        config.data_dir = path.into();
    }
}

/// Naming the client listeners makes the default advertised URL worthless, so that one has to be given as well.
fn advertised_client_urls(values: &Values) -> Vec<Url> {
    if values.is_set("listen-client-urls") && !values.is_set("advertise-client-urls") {
        return Vec::new();
    }
    values.urls("advertise-client-urls").urls
}

fn cluster_state(values: &Values) -> ClusterState {
    match values.text("initial-cluster-state").as_str() {
        "existing" => ClusterState::Existing,
        _ => ClusterState::New,
    }
}

/// None given is etcd's default; one below zero is none at all.
fn quota(bytes: i64) -> Option<u64> {
    u64::try_from(if bytes == 0 { limits::QUOTA_BACKEND_BYTES } else { bytes }).ok()
}

fn positive(duration: GoDuration) -> Option<Duration> {
    (duration.0 > 0).then(|| duration.to_std())
}
