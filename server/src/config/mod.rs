//! Configuration: etcd's flags and variables, read with etcd's rules, as one typed [`Config`].
//!
//! One table ([`table`]) says which flags there are. The command line ([`parse`]) and the environment ([`env`]) fill the
//! values, [`build`] makes the configuration out of them, [`validate`] checks what depends on more than one flag. Whatever is
//! worth a line in the log on the way is kept as a [`Notice`], because the log is only known afterwards.

mod build;
pub mod cluster;
pub mod duration;
pub mod env;
pub mod flag;
pub mod help;
mod host;
mod notice;
pub mod number;
pub mod parse;
pub mod quote;
pub mod retention;
pub mod table;
#[cfg(test)]
mod tests;
pub mod url;
mod validate;
pub mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_proto::limits;

pub use self::cluster::{ClusterError, InitialCluster};
pub use self::notice::Notice;
pub use self::retention::{AutoCompaction, RetentionError};
pub use self::url::{Scheme, Url};
pub use self::validate::VerifyError;
use self::values::Values;
use crate::logging::LogConfig;

/// Everything that a member is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// `--name`: unique in the cluster.
    pub name: String,
    /// `--data-dir`, never empty.
    pub data_dir: PathBuf,
    /// `--wal-dir`, when the log lies apart.
    pub wal_dir: Option<PathBuf>,
    /// `--listen-peer-urls`.
    pub listen_peer_urls: Vec<Url>,
    /// `--listen-client-urls`.
    pub listen_client_urls: Vec<Url>,
    /// `--listen-client-http-urls`: HTTP alone; the client URLs then serve gRPC alone.
    pub listen_client_http_urls: Vec<Url>,
    /// `--listen-metrics-urls`.
    pub listen_metrics_urls: Vec<Url>,
    /// `--initial-advertise-peer-urls`.
    pub advertise_peer_urls: Vec<Url>,
    /// `--advertise-client-urls`.
    pub advertise_client_urls: Vec<Url>,
    /// `--initial-cluster`, unread: see [`Config::initial_cluster`].
    pub initial_cluster: String,
    /// `--initial-cluster-state`.
    pub initial_cluster_state: ClusterState,
    /// `--initial-cluster-token`.
    pub initial_cluster_token: String,
    /// `--strict-reconfig-check`.
    pub strict_reconfig_check: bool,
    /// `--pre-vote`.
    pub pre_vote: bool,
    /// `--max-learners`.
    pub max_learners: usize,
    /// `--heartbeat-interval`: one tick of raft.
    pub heartbeat_interval: Duration,
    /// `--election-timeout`; at least five heartbeats.
    pub election_timeout: Duration,
    /// `--initial-election-tick-advance`.
    pub initial_election_tick_advance: bool,
    /// `--snapshot-count`, applied entries.
    pub snapshot_count: u64,
    /// `--snapshot-catchup-entries`.
    pub snapshot_catchup_entries: u64,
    /// `--unsafe-no-fsync`.
    pub unsafe_no_fsync: bool,
    /// `--quota-backend-bytes`; `None` is no limit.
    pub quota_backend_bytes: Option<u64>,
    /// Whether the quota is the default one, which the log tells.
    pub quota_is_default: bool,
    /// `--max-request-bytes`: the most bytes of one proposal.
    pub max_request_bytes: u64,
    /// `--max-txn-ops`.
    pub max_txn_ops: u64,
    /// `--max-concurrent-streams` of one client connection.
    pub max_concurrent_streams: u32,
    /// `--grpc-keepalive-min-time` between the pings of a client.
    pub grpc_keepalive_min_time: Duration,
    /// `--grpc-keepalive-interval`; `None` is never.
    pub grpc_keepalive_interval: Option<Duration>,
    /// `--grpc-keepalive-timeout`; `None` switches the server's pings off as well.
    pub grpc_keepalive_timeout: Option<Duration>,
    /// `--socket-reuse-port`.
    pub socket_reuse_port: bool,
    /// `--cors`: origins, or `*`.
    pub cors: BTreeSet<String>,
    /// `--host-whitelist`: hosts, or `*`; empty allows all.
    pub host_whitelist: BTreeSet<String>,
    /// `--auto-compaction-retention`, read by `--auto-compaction-mode`.
    pub auto_compaction: AutoCompaction,
    /// `--auto-compaction-mode`: `periodic` or `revision`.
    pub auto_compaction_mode: String,
    /// `--compaction-batch-limit`, revisions.
    pub compaction_batch_limit: usize,
    /// `--compaction-sleep-interval` between two batches.
    pub compaction_sleep_interval: Duration,
    /// `--enable-grpc-gateway`.
    pub enable_grpc_gateway: bool,
    /// `--metrics=extensive`.
    pub extensive_metrics: bool,
    /// `--warning-apply-duration`.
    pub warning_apply_duration: Duration,
    /// `--warning-unary-request-duration`.
    pub warning_unary_request_duration: Duration,
    /// `--watch-progress-notify-interval`; at least 100 ms.
    pub watch_progress_notify_interval: Duration,
    /// `--scrub-interval`; `None` switches the scrubber off.
    pub scrub_interval: Option<Duration>,
    /// `--log-outputs`, `--log-format`, `--log-level`.
    pub log: LogConfig,
}

/// Whether a first start founds a cluster or joins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// Founds it.
    New,
    /// Joins it.
    Existing,
}

impl ClusterState {
    /// The flag's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }
}

impl Config {
    /// `--initial-cluster`, read. Asked for on a first start only, so that a member that has a log is not stopped by it.
    pub fn initial_cluster(&self) -> Result<InitialCluster, ClusterError> {
        Ok(InitialCluster::parse(&self.initial_cluster)?)
    }

    /// Ticks of raft in an election time-out.
    pub fn election_ticks(&self) -> usize {
        (self.election_timeout.as_millis() / self.heartbeat_interval.as_millis().max(1)) as usize
    }

    /// How long a request may take before it is answered with a time-out: 5 s and two elections.
    pub fn request_timeout(&self) -> Duration {
        limits::request_timeout(self.election_timeout)
    }

    /// The most bytes of one gRPC message.
    pub fn max_receive_bytes(&self) -> usize {
        usize::try_from(self.max_request_bytes)
            .unwrap_or(usize::MAX)
            .saturating_add(limits::GRPC_OVERHEAD_BYTES)
    }

    /// `<data-dir>/member`.
    pub fn member_dir(&self) -> PathBuf {
        self.data_dir.join("member")
    }

    /// The directory of the log.
    pub fn log_dir(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.member_dir().join("wal"))
    }
}

/// What reading the command line comes to.
#[derive(Debug)]
pub enum Loaded {
    /// `--version`: print [`help::version`].
    Version,
    /// A member is to run.
    Run(Box<Config>),
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The command line is no command line of etcd's.
    #[error(transparent)]
    Args(#[from] parse::ArgsError),
    /// The environment.
    #[error(transparent)]
    Env(#[from] env::EnvError),
    /// Flags that do not go together.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The retention of auto compaction; etcd tells it as a failed start.
    #[error(transparent)]
    Retention(#[from] RetentionError),
}

/// Reads arguments (without the program's name) and environment.
///
/// Notices are collected in `notices`, and the wish for the log in `log`, even when an error ends the reading: the error is
/// to be said with them.
pub fn load(
    args: &[String],
    env: &[(String, String)],
    notices: &mut Vec<Notice>,
    log: &mut Option<LogConfig>,
) -> Result<Loaded, LoadError> {
    let mut values: Values = parse::arguments(args)?;
    if values.flag("version") {
        return Ok(Loaded::Version);
    }
    env::apply(&mut values, env, notices)?;
    *log = Some(validate::logging(&values)?);
    validate::values(&values, notices)?;
    let mut later = Vec::new();
    let mut config = build::config(&values, &mut later)?;
    validate::config(&config, notices)?;
    notices.append(&mut later);
    config.auto_compaction =
        retention::read(&config.auto_compaction_mode, &values.text("auto-compaction-retention"))?;
    Ok(Loaded::Run(Box::new(config)))
}
