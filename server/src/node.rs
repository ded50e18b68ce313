//! A whole member for the shell: storage, raft, services and metrics put together behind [`start::Node`].
//!
//! [`start::Node`]: crate::start::node::Node

use std::error::Error;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use holdfast_core::apply::{Applied, LeaseEffect};
use holdfast_engine::mvcc::trees;
use holdfast_proto::etcdserverpb as pb;
use parking_lot::Mutex;
use tokio::sync;
use tonic::service::Routes;

use crate::grpc::Services;
use crate::http::{HealthSource, PeerSource};
use crate::member::holds::TICK;
use crate::member::{self, Member, Observers, Running, StartError, Storage, WriterStep};
use crate::metrics::{Metrics, Op};
use crate::start::datadir::DataDir;
use crate::start::node::{Context, End, Node};
use crate::version;
use crate::watch::{self, Feed, WatchHandle, WatchService};

/// The member that the `holdfast` binary runs.
pub struct FullNode {
    member: Member,
    services: Services,
    running: Mutex<Option<(Running, JoinHandle<()>)>>,
    watches: WatchHandle,
    stopping: sync::watch::Sender<bool>,
    /// Its lock keeps other processes away from the files as long as this lives.
    _data_dir: Arc<DataDir>,
}

impl FullNode {
    /// Starts a member on `storage`. Must be called within a tokio runtime.
    pub fn start_on(context: &Context, storage: &Storage) -> Result<Self, StartError> {
        let Context { config, metrics, data_dir, .. } = context;
        let feed = Feed::new();
        let observers = observers(metrics, config.warning_apply_duration, feed.clone());
        let (member, running) = member::start(config, storage, observers)?;
        let settings = watch::Settings {
            progress_interval: config.watch_progress_notify_interval,
            fragment_bytes: config.max_receive_bytes(),
        };
        let (watches, watch_thread) = watch::start(&feed, Arc::new(member.clone()), settings)?;
        announce(&member, &watches, metrics);
        let stopping = sync::watch::Sender::new(false);
        let watch_service = WatchService::new(
            watches.clone(),
            Arc::new(member.clone()),
            config.max_receive_bytes(),
            config.election_timeout,
        );
        let services = Services::new(
            member.clone(),
            watch_service,
            config.max_txn_ops as usize,
            config.max_receive_bytes(),
            stopping.subscribe(),
            config.member_dir(),
        );
        let running = Mutex::new(Some((running, watch_thread)));
        Ok(Self { member, services, running, watches, stopping, _data_dir: Arc::clone(data_dir) })
    }
}

impl Node for FullNode {
    type Grpc = Routes;

    fn start(context: Context) -> BoxFuture<'static, Result<Self, Box<dyn Error + Send + Sync>>> {
        async move {
            let storage = Storage::open(&context.config.member_dir(), &context.config.log_dir())?;
            Ok(Self::start_on(&context, &storage)?)
        }
        .boxed()
    }

    fn member_id(&self) -> u64 {
        self.member.status().member_id
    }

    fn grpc(self: &Arc<Self>) -> Routes {
        self.services.routes()
    }

    fn ready(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        let member = self.member.clone();
        async move {
            if member.wait_ready().await.is_err() {
                // It has ended; whoever waits for that is told why.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn ended(self: &Arc<Self>) -> BoxFuture<'static, End> {
        let member = self.member.clone();
        async move { End::Failed(member.failed().await) }.boxed()
    }

    fn stopping(self: &Arc<Self>) {
        self.stopping.send_replace(true);
        self.watches.stop();
    }

    fn stop(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        let running = self.running.lock().take();
        let watches = self.watches.clone();
        async move {
            let Some((running, watch_thread)) = running else { return };
            watches.stop();
            // Threads are joined: not on a thread of the runtime.
            let joined = tokio::task::spawn_blocking(move || {
                // A thread that is parked on a page which cannot be read is not waited for: it may be this one.
                if running.stop() { watch_thread.join() } else { Ok(()) }
            });
            if !matches!(joined.await, Ok(Ok(()))) {
                tracing::error!("stopping the member has panicked");
            }
        }
        .boxed()
    }
}

impl HealthSource for FullNode {
    fn read(&self, serializable: bool) -> BoxFuture<'_, Result<(), String>> {
        let member = &self.member;
        async move {
            if !serializable {
                member.read_barrier().await.map_err(|error| error.to_string())?;
            }
            let view = member.view().map_err(|error| error.to_string())?;
            view.get(b"health", 0)
                .map(|_| ())
                .map_err(|error| member.store_failed(error).message().to_owned())
        }
        .boxed()
    }

    fn alarms(&self) -> Vec<pb::AlarmMember> {
        self.member.alarms()
    }

    fn has_leader(&self) -> bool {
        self.member.status().leader != 0
    }

    fn is_learner(&self) -> bool {
        self.member.status().is_learner
    }

    fn cluster_version(&self) -> Option<String> {
        self.member.cluster_version()
    }

    fn storage_version(&self) -> Option<String> {
        self.member.cluster_version()
    }
}

impl PeerSource for FullNode {
    fn cluster_id(&self) -> u64 {
        self.member.status().cluster_id
    }

    fn members(&self) -> Vec<pb::Member> {
        self.member.members()
    }
}

/// Counts what the member's threads report.
fn observers(metrics: &Arc<Metrics>, warning: Duration, feed: Feed) -> Observers {
    let (applied, checkpoint, log_write) = (Arc::clone(metrics), Arc::clone(metrics), Arc::clone(metrics));
    let held = WriterStep::ALL.map(|step| metrics.engine.writer_held.with_label_values(&[step.name()]));
    Observers {
        applied: Box::new(move |batch, took| count_applied(&applied, batch, took, warning)),
        writer_held: Arc::new(move |step, took| held[step as usize].observe(took.as_secs_f64())),
        checkpoint: Box::new(move |took| checkpoint.disk.backend_commit.observe(took.as_secs_f64())),
        log_write: Arc::new(move |report| {
            let seconds = report.elapsed.as_secs_f64();
            log_write.disk.wal_fsync.observe(seconds);
            log_write.disk.wal_write.observe(seconds);
            log_write.disk.wal_write_bytes.add(report.bytes as i64);
        }),
        changes: Box::new(move |changes| feed.push(changes)),
    }
}

fn count_applied(metrics: &Metrics, batch: &Applied, took: Duration, warning: Duration) {
    let counts = batch.counts;
    metrics.mvcc.put.inc_by(counts.puts);
    metrics.mvcc.put_bytes.add(counts.put_bytes as i64);
    metrics.mvcc.delete.inc_by(counts.deletes);
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
fn announce(member: &Member, watches: &WatchHandle, metrics: &Arc<Metrics>) {
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
    let (member, watches) = (member.clone(), watches.clone());
    metrics.before_scrape(move |metrics| scrape(&member, &watches, metrics));
}

fn scrape(member: &Member, watches: &WatchHandle, metrics: &Metrics) {
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
    metrics.mvcc.range.inc_by(status.ranges.saturating_sub(metrics.mvcc.range.get()));
    server.quota_backend_bytes.set(member.quota_bytes().map_or(0, |bytes| bytes as i64));
    if let Some(version) = member.cluster_version() {
        server.set_cluster_version(None, &version);
    }
    metrics.lease.expired.inc_by(status.expired_leases.saturating_sub(metrics.lease.expired.get()));
    let scrub = member.scrub_stats();
    metrics.engine.scrubbed_pages.inc_by(scrub.pages.saturating_sub(metrics.engine.scrubbed_pages.get()));
    metrics.engine.scrub_faults.inc_by(scrub.faults.saturating_sub(metrics.engine.scrub_faults.get()));
    metrics.engine.scrub_rounds.inc_by(scrub.rounds.saturating_sub(metrics.engine.scrub_rounds.get()));
    metrics.engine.scrub_last_round.set(scrub.last_round as i64);
    let holds = member.store().hold_stats();
    metrics.engine.long_reads.set(holds.holds as i64);
    metrics.engine.oldest_long_read.set((holds.oldest_ticks * TICK.as_secs()) as i64);
    metrics
        .engine
        .long_reads_ended
        .inc_by(holds.broken.saturating_sub(metrics.engine.long_reads_ended.get()));
    let hub = watches.stats();
    metrics.watch.streams.set(hub.streams as i64);
    metrics.watch.watchers.set(hub.watchers as i64);
    metrics.watch.slow_watchers.set(hub.watchers.saturating_sub(hub.synced) as i64);
    metrics.watch.events.inc_by(hub.events.saturating_sub(metrics.watch.events.get()));
    let stats = member.store().db().stats();
    let page = u64::from(stats.page_size);
    metrics.mvcc.db_total_bytes.set((stats.pages * page) as i64);
    metrics.mvcc.db_in_use_bytes.set((stats.pages_in_use * page) as i64);
    metrics.mvcc.open_read_transactions.set(stats.readers as i64);
    let oldest_reader = stats.oldest_reader_ticks.unwrap_or(0) * TICK.as_secs();
    metrics.engine.oldest_reader.set(oldest_reader as i64);
    metrics.engine.file_bytes.set(stats.file_bytes as i64);
    metrics.engine.held_by_durable_bytes.set((stats.pages_held_by_durable * page) as i64);
    metrics.engine.held_by_readers_bytes.set((stats.pages_held_by_readers * page) as i64);
    if let Ok(view) = member.view() {
        metrics.mvcc.current_revision.set(view.revision());
        metrics.mvcc.compact_revision.set(view.compact_revision());
        metrics.mvcc.keys.set(view.aux_len(trees::LIVE) as i64);
    }
}
