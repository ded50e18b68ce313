//! Whole command lines: what they make of the configuration, and what they are refused with.

use std::time::Duration;

use super::*;
use crate::logging::{Format, Level, Output};

fn try_load(args: &[&str], env: &[(&str, &str)]) -> (Result<Loaded, LoadError>, Vec<Notice>) {
    let args: Vec<_> = args.iter().map(|s| (*s).to_owned()).collect();
    let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let (mut notices, mut log) = (Vec::new(), None);
    let loaded = load(&args, &env, &mut notices, &mut log);
    (loaded, notices)
}

fn config(args: &[&str]) -> Config {
    match try_load(args, &[]).0 {
        Ok(Loaded::Run(config)) => *config,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn refusal(args: &[&str]) -> String {
    try_load(args, &[]).0.unwrap_err().to_string()
}

#[test]
fn without_flags_it_is_etcds_default_member() {
    let (loaded, notices) = try_load(&[], &[]);
    let Ok(Loaded::Run(config)) = loaded else { panic!("{loaded:?}") };
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir, PathBuf::from("default.etcd"));
    assert_eq!(config.log_dir(), PathBuf::from("default.etcd/member/wal"));
    assert_eq!(url::texts(&config.listen_client_urls), ["http://localhost:2379"]);
    assert_eq!(url::texts(&config.advertise_client_urls), ["http://localhost:2379"]);
    assert_eq!(url::texts(&config.listen_peer_urls), ["http://localhost:2380"]);
    assert!(config.listen_metrics_urls.is_empty());
    assert_eq!(config.initial_cluster, "default=http://localhost:2380");
    assert_eq!(config.initial_cluster_state, ClusterState::New);
    assert_eq!(config.heartbeat_interval, Duration::from_millis(100));
    assert_eq!((config.election_ticks(), config.request_timeout()), (10, Duration::from_secs(7)));
    assert_eq!((config.snapshot_count, config.snapshot_catchup_entries), (10_000, 5_000));
    assert_eq!((config.quota_backend_bytes, config.quota_is_default), (Some(2 << 30), true));
    assert_eq!((config.max_request_bytes, config.max_receive_bytes()), (1_572_864, 2_097_152));
    assert_eq!((config.max_txn_ops, config.max_concurrent_streams, config.max_learners), (128, u32::MAX, 1));
    assert_eq!(config.grpc_keepalive_interval, Some(Duration::from_secs(7200)));
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
    assert_eq!(config.compaction_batch_limit, 1000);
    assert_eq!(config.compaction_sleep_interval, Duration::from_millis(10));
    assert_eq!(config.watch_progress_notify_interval, Duration::from_secs(600));
    assert_eq!(config.warning_unary_request_duration, Duration::from_millis(300));
    assert_eq!(config.scrub_interval, Some(Duration::from_secs(86_400)));
    assert!(config.pre_vote && config.strict_reconfig_check && config.initial_election_tick_advance);
    assert!(!config.unsafe_no_fsync && !config.extensive_metrics);
    assert_eq!(
        config.log,
        LogConfig { outputs: vec![Output::Stderr], format: Format::Json, level: Level::Info }
    );
    assert_eq!(
        notices,
        [Notice::SinglePort, Notice::DefaultName, Notice::DataDirDefault { path: "default.etcd".into() }]
    );
}

#[test]
fn a_name_alone_founds_a_cluster_of_its_own() {
    let config =
        config(&["--name", "m1", "--initial-advertise-peer-urls", "http://10.0.0.1:1,http://10.0.0.2:1"]);
    assert_eq!(config.initial_cluster, "m1=http://10.0.0.1:1,m1=http://10.0.0.2:1");
    assert_eq!(config.data_dir, PathBuf::from("m1.etcd"));
    let config = self::config(&["--name", "m1", "--initial-cluster", "m1=http://a:1"]);
    assert_eq!(config.initial_cluster, "m1=http://a:1");
}

#[test]
fn values_with_meanings_of_their_own() {
    assert_eq!(config(&["--quota-backend-bytes=-1"]).quota_backend_bytes, None);
    assert_eq!(config(&["--quota-backend-bytes=0x1000"]).quota_backend_bytes, Some(4096));
    let c = config(&["--auto-compaction-retention=2"]);
    assert_eq!(c.auto_compaction, AutoCompaction::Periodic(Duration::from_secs(7200)));
    let c = config(&["--auto-compaction-mode=revision", "--auto-compaction-retention=500"]);
    assert_eq!(c.auto_compaction, AutoCompaction::Revisions(500));
    let c = config(&["--watch-progress-notify-interval=5ms"]);
    assert_eq!(c.watch_progress_notify_interval, Duration::from_millis(100));
    assert_eq!(config(&["--grpc-keepalive-interval=0s"]).grpc_keepalive_interval, None);
    assert_eq!(config(&["--scrub-interval=0s"]).scrub_interval, None);
    let c = config(&["--listen-client-urls=", "--advertise-client-urls=http://h:1"]);
    assert_eq!(
        url::texts(&c.listen_client_urls),
        ["http://localhost:2379"],
        "the empty word keeps the default"
    );
    let c = config(&["--host-whitelist=b,a,b", "--cors=http://a.b:80"]);
    assert_eq!(c.host_whitelist, ["a".to_owned(), "b".to_owned()].into());
    assert_eq!(c.cors, ["http://a.b:80".to_owned()].into());
    assert!(config(&["--metrics=extensive"]).extensive_metrics);
    let c = config(&["--log-outputs=stdout,/dev/null", "--log-format=console", "--log-level=DEBUG"]);
    assert_eq!(c.log.outputs, [Output::File("/dev/null".into()), Output::Stdout]);
    assert_eq!((c.log.format, c.log.level), (Format::Console, Level::Debug));
}

#[test]
fn version_comes_before_the_checks() {
    assert!(matches!(try_load(&["--version", "--logger=x"], &[]).0, Ok(Loaded::Version)));
    assert!(matches!(try_load(&["--version"], &[("ETCD_ELECTION_TIMEOUT", "x")]).0, Ok(Loaded::Version)));
}

#[test]
fn refusals_have_etcds_texts() {
    for (args, text) in [
        (vec!["--logger=bogus"], "unknown logger option \"bogus\""),
        (vec!["--logger=capnslog"], "--logger=capnslog is removed in v3.5"),
        (vec!["--log-outputs=default,stdout"], "multi logoutput for \"default\" is not supported yet"),
        (vec!["--log-format=x"], "unknown log format: x, supported values json, console"),
        (vec!["--log-level=bogus"], "unrecognized level: \"bogus\""),
        (
            vec!["--listen-peer-urls=http://example.com:1"],
            "expected IP in URL for binding (http://example.com:1)",
        ),
        (vec!["--listen-metrics-urls=http://:1"], "expected IP in URL for binding (http://:1)"),
        (
            vec!["--initial-advertise-peer-urls=http://:2380"],
            "--initial-advertise-peer-urls \"http://:2380\" must be \"host:port\" (unexpected empty host (http://:2380))",
        ),
        (
            vec!["--advertise-client-urls=http://:2380"],
            "--advertise-client-urls \"http://:2380\" must be in the format \"host:port\", \"unix:/path/to/socket\" or \
             \"unixs:/path/to/socket\" (unexpected empty host (http://:2380))",
        ),
        (
            vec!["--listen-client-urls=http://127.0.0.1:1"],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (vec!["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (vec!["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"),
        (
            vec!["--heartbeat-interval=500"],
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[500ms]",
        ),
        (
            vec!["--election-timeout=50001"],
            "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
        ),
        (vec!["--auto-compaction-mode=bogus"], "unknown auto-compaction-mode \"bogus\""),
        (vec!["--auto-compaction-mode="], "undefined auto-compaction-mode"),
        (
            vec!["--auto-compaction-retention=abc"],
            "error parsing CompactionRetention: time: invalid duration \"abc\"",
        ),
    ] {
        assert_eq!(refusal(&args), text, "{args:?}");
    }
}

#[test]
fn what_is_not_there_is_refused_by_name_and_only_when_asked_for() {
    assert_eq!(refusal(&["--cert-file=x"]), "--cert-file is not supported by this version of holdfast");
    assert_eq!(refusal(&["--config-file=x"]), "--config-file is not supported by this version of holdfast");
    let (loaded, _) = try_load(&[], &[("ETCD_FORCE_NEW_CLUSTER", "true")]);
    assert_eq!(
        loaded.unwrap_err().to_string(),
        "--force-new-cluster is not supported by this version of holdfast"
    );
    assert!(
        refusal(&["--listen-peer-urls=https://127.0.0.1:1"]).contains("TLS (--listen-peer-urls=https://")
    );
    config(&["--cert-file=", "--auth-token=simple", "--tls-min-version=TLS1.2", "--discovery-fallback=exit"]);
}

#[test]
fn flags_without_effect_are_warned_of() {
    let (loaded, notices) = try_load(&["--max-wals=3", "--max-snapshots=5"], &[]);
    loaded.unwrap();
    let flags: Vec<_> = notices
        .iter()
        .filter_map(|notice| if let Notice::NoEffect { flag, .. } = notice { Some(*flag) } else { None })
        .collect();
    assert_eq!(flags, ["max-wals"], "the one at its default is not worth a line");
}
