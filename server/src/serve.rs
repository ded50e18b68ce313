//! A serving member: storage, member, services and listeners put together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use holdfast_core::apply::{Applied, LeaseEffect};
use holdfast_engine::mvcc::trees;
use holdfast_proto::etcdserverpb as pb;

use crate::config::Config;
use crate::grpc::Services;
use crate::http::{Access, ClientHttp, HealthSource, PeerSource, metrics_router, peer_router};
use crate::listen::{BindError, Front, HttpService, Listener, Server, Settings, bind};
use crate::member::{self, Member, Observers, Running, StartError, Storage, StorageError};
use crate::metrics::{Metrics, Op};
use crate::version;

/// How long open requests get to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Connections on all listeners together. Each costs a few file descriptors' worth of memory; the system's own limit on
/// descriptors is usually lower.
const MAX_CONNECTIONS: usize = 65_536;

/// Why the server does not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The member's files cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The member does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The member stopped before it could serve.
    #[error("the member stopped before it could serve: {0}")]
    Stopped(String),
}

/// A server that runs.
pub struct Serving {
    member: Member,
    running: Running,
    server: Server,
}

/// The sockets of a server, opened before anything else so that a second server on the same ports changes nothing.
pub struct Listeners {
    clients: Vec<Listener>,
    peers: Vec<Listener>,
    metrics: Vec<Listener>,
}

impl Listeners {
    /// Opens them all. Must be called within a tokio runtime.
    pub fn open(config: &Config) -> Result<Self, BindError> {
        let open = |urls: &[crate::config::Url]| -> Result<Vec<Listener>, BindError> {
            urls.iter().map(|url| bind(url, config.socket_reuse_port)).collect()
        };
        let peers = open(&config.listen_peer_urls)?;
        Ok(Self { peers, clients: open(&config.listen_client_urls)?, metrics: open(&config.listen_metrics_urls)? })
    }
}

impl Serving {
    /// Starts the member and serves when it is ready. Must be called within a tokio runtime.
    pub async fn start(config: &Config, listeners: Listeners) -> Result<Self, ServeError> {
        let storage = Storage::open(&config.member_dir(), &config.log_dir())?;
        Self::start_on(config, &storage, listeners).await
    }

    /// Like [`Self::start`], on a given storage.
    pub async fn start_on(config: &Config, storage: &Storage, listeners: Listeners) -> Result<Self, ServeError> {
        let metrics = Arc::new(Metrics::new(config.extensive_metrics));
        let (member, running) = member::start(config, storage, observers(&metrics, config.warning_apply_duration))?;
        announce(&member, &metrics);
        let health: Arc<dyn HealthSource> = Arc::new(member.clone());
        let mut server = Server::new(MAX_CONNECTIONS);
        for listener in listeners.peers {
            let routes = peer_router(Arc::clone(&health), Arc::new(member.clone()), Router::new());
            let front = Front::<tonic::service::Routes>::new(None, HttpService::Plain(routes), Arc::clone(&metrics));
            server.add(listener, front, Settings::plain());
        }
        if member.wait_ready().await.is_err() {
            let why = member.failed().await;
            server.stop(Duration::ZERO).await;
            return Err(ServeError::Stopped(why));
        }
        let services = Services::new(member.clone(), config.max_txn_ops as usize, config.max_receive_bytes());
        for listener in listeners.clients {
            let access = Access::new(&config.cors, &config.host_whitelist);
            let timeout = config.request_timeout();
            let http =
                ClientHttp::new(Arc::clone(&health), Arc::clone(&metrics), access, timeout, Router::new());
            let front = Front::new(Some(services.routes()), HttpService::Client(http), Arc::clone(&metrics));
            server.add(listener, front, Settings::new(config));
        }
        for listener in listeners.metrics {
            let routes = metrics_router(Arc::clone(&health), Arc::clone(&metrics), config.request_timeout());
            let front = Front::<tonic::service::Routes>::new(None, HttpService::Plain(routes), Arc::clone(&metrics));
            server.add(listener, front, Settings::plain());
        }
        Ok(Self { member, running, server })
    }

    /// The member that serves.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Stops accepting, lets open requests end, makes the state durable.
    pub async fn stop(self) {
        self.server.stop(STOP_PATIENCE).await;
        let running = self.running;
        // Threads are joined: not on a thread of the runtime.
        if tokio::task::spawn_blocking(move || running.stop()).await.is_err() {
            tracing::error!("stopping the member has panicked");
        }
    }
}

impl HealthSource for Member {
    fn read(&self, serializable: bool) -> BoxFuture<'_, Result<(), String>> {
        async move {
            if !serializable {
                self.read_barrier().await.map_err(|error| error.to_string())?;
            }
            let view = self.view().map_err(|error| error.to_string())?;
            view.get(b"health", 0).map(|_| ()).map_err(|error| self.store_failed(error).message().to_owned())
        }
        .boxed()
    }

    fn alarms(&self) -> Vec<pb::AlarmMember> {
        Self::alarms(self)
    }

    fn has_leader(&self) -> bool {
        self.status().leader != 0
    }

    fn is_learner(&self) -> bool {
        self.status().is_learner
    }

    fn cluster_version(&self) -> Option<String> {
        Self::cluster_version(self)
    }

    fn storage_version(&self) -> Option<String> {
        Self::cluster_version(self)
    }
}

impl PeerSource for Member {
    fn cluster_id(&self) -> u64 {
        self.status().cluster_id
    }

    fn members(&self) -> Vec<pb::Member> {
        Self::members(self)
    }
}

/// Counts what the member's threads report.
fn observers(metrics: &Arc<Metrics>, warning: Duration) -> Observers {
    let (applied, checkpoint, log_write) = (Arc::clone(metrics), Arc::clone(metrics), Arc::clone(metrics));
    Observers {
        applied: Box::new(move |batch, took| count_applied(&applied, batch, took, warning)),
        checkpoint: Box::new(move |took| checkpoint.disk.backend_commit.observe(took.as_secs_f64())),
        log_write: Arc::new(move |report| {
            let seconds = report.elapsed.as_secs_f64();
            log_write.disk.wal_fsync.observe(seconds);
            log_write.disk.wal_write.observe(seconds);
            log_write.disk.wal_write_bytes.add(report.bytes as i64);
        }),
        changes: Box::new(|_| {}),
    }
}

fn count_applied(metrics: &Metrics, batch: &Applied, took: Duration, warning: Duration) {
    let counts = batch.counts;
    metrics.mvcc.put.inc_by(counts.puts);
    metrics.mvcc.put_bytes.add(counts.put_bytes as i64);
    metrics.mvcc.delete.inc_by(counts.deletes);
    metrics.mvcc.range.inc_by(counts.ranges);
    metrics.mvcc.txn.inc_by(counts.txns);
    if took > warning {
        metrics.server.slow_apply.inc();
    }
    // Entries are applied together; each is counted with its share of the time.
    let share = took.as_secs_f64() / batch.replies.len().max(1) as f64;
    for (_, outcome) in &batch.replies {
        metrics.apply.applied(op_of(outcome), outcome.is_ok(), share);
    }
    for effect in &batch.leases {
        match effect {
            LeaseEffect::Granted { seconds, .. } => {
                metrics.lease.granted.inc();
                metrics.lease.ttl.observe(*seconds as f64);
            }
            LeaseEffect::Revoked { .. } => metrics.lease.revoked.inc(),
            LeaseEffect::Checkpointed { .. } => {}
        }
    }
}

fn op_of(outcome: &holdfast_core::apply::Outcome) -> Op {
    use holdfast_core::apply::Reply;
    match outcome {
        Ok(Reply::Put(_)) => Op::Put,
        Ok(Reply::DeleteRange(_)) => Op::DeleteRange,
        Ok(Reply::Txn(_)) => Op::Txn,
        Ok(Reply::Compaction(_)) => Op::Compaction,
        Ok(Reply::LeaseGrant(_)) => Op::LeaseGrant,
        Ok(Reply::LeaseRevoke(_)) => Op::LeaseRevoke,
        Ok(Reply::LeaseCheckpoint(_)) => Op::LeaseCheckpoint,
        Ok(Reply::Alarm(_)) => Op::Alarm,
        Ok(Reply::Members(_) | Reply::Done) | Err(_) => Op::Unknown,
    }
}

/// Tells who serves, and has the numbers that nobody counts read before each scrape.
fn announce(member: &Member, metrics: &Arc<Metrics>) {
    let status = member.status();
    metrics.server.set_member_id(status.member_id);
    let log = member.log_stats();
    metrics.server.set_log_writer(log.writer.name());
    tracing::info!(writer = log.writer.name(), reason = %log.writer_reason, "opened the log");
    tracing::info!(
        "local-member-id" = format!("{:x}", status.member_id),
        "local-server-version" = version::ETCD,
        "cluster-version" = member.cluster_version().unwrap_or_else(|| "to_be_decided".to_owned()),
        "starting etcd server"
    );
    let member = member.clone();
    metrics.before_scrape(move |metrics| scrape(&member, metrics));
}

fn scrape(member: &Member, metrics: &Metrics) {
    let status = member.status();
    let server = &metrics.server;
    server.has_leader.set(i64::from(status.leader != 0));
    server.is_leader.set(i64::from(status.leader == status.member_id));
    server.is_learner.set(i64::from(status.is_learner));
    server.leader_changes.inc_by(status.leader_changes.saturating_sub(server.leader_changes.get()));
    server.proposals_committed.set(status.committed as i64);
    server.proposals_applied.set(status.applied as i64);
    server.proposals_pending.set(status.waiting as i64);
    server.proposals_failed.inc_by(status.failed_proposals.saturating_sub(server.proposals_failed.get()));
    server.read_indexes_failed.inc_by(status.failed_reads.saturating_sub(server.read_indexes_failed.get()));
    server.quota_backend_bytes.set(member.quota_bytes().map_or(0, |bytes| bytes as i64));
    if let Some(version) = member.cluster_version() {
        server.set_cluster_version(None, &version);
    }
    metrics.lease.expired.inc_by(status.expired_leases.saturating_sub(metrics.lease.expired.get()));
    let stats = member.store().db().stats();
    let page = u64::from(stats.page_size);
    metrics.mvcc.db_total_bytes.set((stats.pages * page) as i64);
    metrics.mvcc.db_in_use_bytes.set((stats.pages_in_use * page) as i64);
    metrics.mvcc.open_read_transactions.set(stats.readers as i64);
    if let Ok(view) = member.view() {
        metrics.mvcc.current_revision.set(view.revision());
        metrics.mvcc.compact_revision.set(view.compact_revision());
        metrics.mvcc.keys.set(view.aux_len(trees::LIVE) as i64);
    }
}
