//! The long lines of the start and of the end, with etcd's fields in etcd's order.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::config::duration::GoDuration;
use crate::config::url::texts;
use crate::config::{Config, InitialCluster};
use crate::logging::json;
use crate::version;

/// Fields in the order given. (`tracing` takes 32 of them at most, and a map would sort them.)
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// `starting an etcd server`: every setting that matters.
pub(super) fn starting(config: &Config, initialized: bool, bootstrap: Option<&InitialCluster>) {
    let fields = urls(flags(platform(initialized), config), config)
        .with("local-address", "")
        .with("cors", config.cors.iter().cloned().collect::<Vec<_>>())
        .with("host-whitelist", config.host_whitelist.iter().cloned().collect::<Vec<_>>())
        .with("initial-cluster", bootstrap.map(ToString::to_string).unwrap_or_default())
        .with("initial-cluster-state", config.initial_cluster_state.as_str())
        .with("initial-cluster-token", config.initial_cluster_token.as_str())
        .with("quota-backend-bytes", config.quota_backend_bytes.map_or(-1, |bytes| bytes as i64))
        .with("max-request-bytes", config.max_request_bytes)
        .with("max-concurrent-streams", config.max_concurrent_streams)
        .with("pre-vote", config.pre_vote)
        .with("initial-corrupt-check", false)
        .with("corrupt-check-time-interval", "0s")
        .with("auto-compaction-mode", config.auto_compaction_mode.as_str())
        .with("auto-compaction-retention", config.auto_compaction.as_go().to_string())
        .with("auto-compaction-interval", config.auto_compaction.as_go().to_string())
        .with("max-learners", config.max_learners)
        .with("unsafe-no-fsync", config.unsafe_no_fsync);
    tracing::info!(kv = ?json(&fields), "starting an etcd server");
}

fn platform(initialized: bool) -> Fields {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Fields::default()
        .with("etcd-version", version::ETCD)
        .with("git-sha", version::git_sha())
        .with("go-version", version::go())
        .with("go-os", version::os())
        .with("go-arch", version::arch())
        .with("max-cpu-set", cpus)
        .with("max-cpu-available", cpus)
        .with("member-initialized", initialized)
}

fn flags(fields: Fields, config: &Config) -> Fields {
    let wal_dir = config.wal_dir.as_deref().map(|dir| dir.display().to_string()).unwrap_or_default();
    let election = config.heartbeat_interval * config.election_ticks() as u32;
    fields
        .with("name", config.name.as_str())
        .with("data-dir", config.data_dir.display().to_string())
        .with("wal-dir", wal_dir.as_str())
        .with("wal-dir-dedicated", wal_dir)
        .with("member-dir", config.member_dir().display().to_string())
        .with("force-new-cluster", false)
        .with("heartbeat-interval", GoDuration::from_std(config.heartbeat_interval).to_string())
        .with("election-timeout", GoDuration::from_std(election).to_string())
        .with("initial-election-tick-advance", config.initial_election_tick_advance)
        .with("snapshot-count", config.snapshot_count)
        .with("snapshot-catchup-entries", config.snapshot_catchup_entries)
}

fn urls(fields: Fields, config: &Config) -> Fields {
    fields
        .with("initial-advertise-peer-urls", texts(&config.advertise_peer_urls))
        .with("listen-peer-urls", texts(&config.listen_peer_urls))
        .with("advertise-client-urls", texts(&config.advertise_client_urls))
        .with("listen-client-urls", texts(&config.listen_client_urls))
        .with("listen-metrics-urls", texts(&config.listen_metrics_urls))
}

/// `now serving peer/client/metrics`.
pub(super) fn serving(config: &Config, member_id: u64) {
    let fields = urls(Fields::default().with("local-member-id", format!("{member_id:x}")), config);
    tracing::info!(kv = ?json(&fields), "now serving peer/client/metrics");
}

/// `closing etcd server` and `closed etcd server`.
pub(super) fn closing(config: &Config, message: &str) {
    let fields = Fields::default()
        .with("name", config.name.as_str())
        .with("data-dir", config.data_dir.display().to_string())
        .with("advertise-peer-urls", texts(&config.advertise_peer_urls))
        .with("advertise-client-urls", texts(&config.advertise_client_urls));
    tracing::info!(kv = ?json(&fields), "{message}");
}
