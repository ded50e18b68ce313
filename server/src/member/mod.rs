//! One running member: the core with threads, a clock and disks around it.
//!
//! ```text
//! services ── propose/read ──► mailbox ─► raft thread ── groups ──► log thread (holdfast-wal)
//!    ▲                                        ▲   │  ◄── durable ──────┘
//!    │ replies                        applied │   ▼ committed
//!    └──────────────────────────────── apply thread ── publish ──► engine ◄── checkpoint thread
//!                                             │ changes
//!                                             ▼
//!                                        watch thread
//! ```
//!
//! Reads take no thread: they pin the published state. What must not be lost goes one way only, through the log.

mod apply_thread;
mod auto_compaction;
mod checkpoint;
mod clock;
mod compaction_hash;
pub mod holds;
mod housekeeping;
mod leases;
mod mailbox;
mod memory_fault;
mod quota;
mod raft_thread;
mod running;
mod scrub;
mod shared;
mod start;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod waiters;
mod writer_steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast_core::apply::Reply;
use holdfast_core::ids::RequestIds;
use holdfast_engine::mvcc::{MvccError, Store, View};
use holdfast_proto::error::EtcdError;
use holdfast_proto::{etcdserverpb as pb, limits};
use prost::Message as _;
use tokio::sync::oneshot;

use mailbox::{Mailbox, Proposal};
use quota::Quota;
use shared::Shared;
use waiters::Waiters;

pub use apply_thread::OnApplied;
pub use leases::LeaseHandle;
pub use running::Running;
pub use scrub::ScrubStats;
pub use start::{Observers, StartError, start};
pub use storage::{Storage, StorageError};
pub use writer_steps::{OnHeld, WriterStep};

/// The handle that services use; cheap to clone.
#[derive(Clone)]
pub struct Member(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    waiters: Arc<Waiters>,
    ids: Arc<RequestIds>,
    store: Store,
    leases: LeaseHandle,
    quota: Arc<Quota>,
    wal: Arc<holdfast_wal::Wal>,
    scrub: Arc<scrub::ScrubCounters>,
    counters: Counters,
    max_request_bytes: u64,
    request_timeout: Duration,
}

/// What happened since the start, for the metrics.
#[derive(Default)]
struct Counters {
    failed_proposals: AtomicU64,
    failed_reads: AtomicU64,
    expired_leases: AtomicU64,
    ranges: AtomicU64,
}

/// A member's numbers at one moment.
#[derive(Debug, Clone, Copy)]
pub struct MemberStatus {
    /// This member's id.
    pub member_id: u64,
    /// The cluster's id.
    pub cluster_id: u64,
    /// The leader's id; zero when none is known.
    pub leader: u64,
    /// The current term.
    pub term: u64,
    /// Newest index known to be committed.
    pub committed: u64,
    /// Newest applied index.
    pub applied: u64,
    /// How often this member has seen the leader change.
    pub leader_changes: u64,
    /// Whether this member is a learner.
    pub is_learner: bool,
    /// Proposals made here that are not applied yet.
    pub waiting: u64,
    /// Proposals made here that have failed.
    pub failed_proposals: u64,
    /// Linearizable reads that got no answer.
    pub failed_reads: u64,
    /// Leases that have ended since the start.
    pub expired_leases: u64,
    /// Ranges read since the start.
    pub ranges: u64,
}

impl Member {
    /// Puts a request through the log and waits until it is applied.
    ///
    /// The request must have been validated; its header is filled here.
    ///
    /// # Errors
    /// The error of the request itself, or: it is too large, too many wait, the member stops, or it was not applied in
    /// time (in which case it may still be applied later).
    pub async fn propose(&self, mut request: pb::InternalRaftRequest) -> Result<Reply, EtcdError> {
        let inner = &*self.0;
        if inner.shared.has_failed() {
            return Err(EtcdError::Stopped);
        }
        if inner.shared.committed().saturating_sub(inner.shared.applied()) > limits::MAX_APPLY_GAP {
            return Err(EtcdError::RequestTooManyRequests);
        }
        let id = inner.ids.next();
        request.header = Some(pb::RequestHeader { id, ..pb::RequestHeader::default() });
        let payload = request.encode_to_vec();
        drop(request);
        if payload.len() as u64 > inner.max_request_bytes {
            return Err(EtcdError::RequestTooLarge);
        }
        let mut waiting = inner.waiters.register(id);
        inner.mailbox.propose(Proposal { id, payload: payload.into() })?;
        let failure = match tokio::time::timeout(inner.request_timeout, waiting.outcome()).await {
            Ok(Some(outcome)) => return outcome,
            Ok(None) => EtcdError::Stopped,
            Err(_) if inner.shared.has_failed() => EtcdError::Stopped,
            Err(_) if inner.shared.leader() == 0 => EtcdError::ContextDeadlineExceeded,
            Err(_) => EtcdError::Timeout,
        };
        inner.counters.failed_proposals.fetch_add(1, Ordering::Relaxed);
        Err(failure)
    }

    /// Waits until this member's state contains every write that was acknowledged before the call.
    ///
    /// # Errors
    /// There is no leader, it changed, or it did not answer in time.
    pub async fn read_barrier(&self) -> Result<(), EtcdError> {
        let inner = &*self.0;
        if inner.shared.has_failed() {
            return Err(EtcdError::Stopped);
        }
        let (token, answer) = oneshot::channel();
        inner.mailbox.read(token)?;
        let failure = match tokio::time::timeout(inner.request_timeout, answer).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => EtcdError::Stopped,
            Err(_) => EtcdError::Timeout,
        };
        inner.counters.failed_reads.fetch_add(1, Ordering::Relaxed);
        Err(failure)
    }

    /// Refuses a request that needs space when the database is at its quota, and raises the alarm then.
    ///
    /// # Errors
    /// [`EtcdError::NoSpace`].
    pub async fn require_space(&self, request: &pb::InternalRaftRequest) -> Result<(), EtcdError> {
        if self.0.quota.has_room_for(quota::cost(request)) {
            return Ok(());
        }
        self.raise_no_space().await;
        Err(EtcdError::NoSpace)
    }

    async fn raise_no_space(&self) {
        if self.0.quota.has_alarm() {
            return;
        }
        tracing::warn!(
            "quota-backend-bytes" = self.0.quota.limit(),
            "database is at its quota; raising the NOSPACE alarm"
        );
        let alarm = pb::AlarmRequest {
            action: pb::alarm_request::AlarmAction::Activate as i32,
            member_id: self.0.shared.member_id,
            alarm: pb::AlarmType::Nospace as i32,
        };
        let request = pb::InternalRaftRequest { alarm: Some(alarm), ..pb::InternalRaftRequest::default() };
        if let Err(error) = self.propose(request).await {
            tracing::warn!(%error, "failed to raise the NOSPACE alarm");
        }
    }

    /// The published state.
    ///
    /// # Errors
    /// [`EtcdError::Corrupt`] when it cannot be read; the member stops then.
    pub fn view(&self) -> Result<View, EtcdError> {
        self.0.store.view().map_err(|error| {
            self.0.shared.fail(error.to_string());
            EtcdError::Corrupt
        })
    }

    /// A read of the store has failed: the member stops, since it can no longer vouch for what it holds. Returns what
    /// the client is told.
    pub fn store_failed(&self, error: MvccError) -> tonic::Status {
        self.0.shared.fail(error.to_string());
        tonic::Status::data_loss(format!("etcdserver: corrupt cluster ({error})"))
    }

    /// So many ranges were read, for the metrics.
    pub fn count_ranges(&self, ranges: usize) {
        self.0.counters.ranges.fetch_add(ranges as u64, Ordering::Relaxed);
    }

    /// Has the database file made small from now on, also if what is free was needed a moment ago. Returns at once: pages
    /// move in small steps while writes go on.
    pub fn defragment(&self) {
        self.0.store.db().hurry_relocation();
    }

    /// The store, for its statistics.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The header of a response, with the current revision.
    pub fn header(&self) -> Result<pb::ResponseHeader, EtcdError> {
        Ok(self.header_at(self.view()?.revision()))
    }

    /// The header of a response that speaks of `revision`.
    pub fn header_at(&self, revision: i64) -> pb::ResponseHeader {
        let shared = &self.0.shared;
        pb::ResponseHeader {
            cluster_id: shared.cluster_id,
            member_id: shared.member_id,
            revision,
            raft_term: shared.term(),
        }
    }

    /// Raft's numbers.
    pub fn status(&self) -> MemberStatus {
        let shared = &self.0.shared;
        MemberStatus {
            member_id: shared.member_id,
            cluster_id: shared.cluster_id,
            leader: shared.leader(),
            term: shared.term(),
            committed: shared.committed(),
            applied: shared.applied(),
            leader_changes: shared.leader_changes(),
            is_learner: shared.membership.load().member(shared.member_id).is_some_and(|m| m.is_learner),
            waiting: self.0.waiters.count(),
            failed_proposals: self.0.counters.failed_proposals.load(Ordering::Relaxed),
            failed_reads: self.0.counters.failed_reads.load(Ordering::Relaxed),
            expired_leases: self.0.counters.expired_leases.load(Ordering::Relaxed),
            ranges: self.0.counters.ranges.load(Ordering::Relaxed),
        }
    }

    /// The members by ascending id.
    pub fn members(&self) -> Vec<pb::Member> {
        self.0.shared.membership.load().members().map(holdfast_core::membership::Member::to_proto).collect()
    }

    /// The cluster version, such as `3.7.0`; `None` before it was agreed.
    pub fn cluster_version(&self) -> Option<String> {
        self.0.shared.membership.load().version().map(str::to_owned)
    }

    /// The alarms in force.
    pub fn alarms(&self) -> Vec<pb::AlarmMember> {
        self.0.shared.alarms.load().all()
    }

    /// Leases.
    pub fn leases(&self) -> &LeaseHandle {
        &self.0.leases
    }

    /// An id for a lease that the client leaves to the server.
    pub fn next_lease_id(&self) -> i64 {
        self.0.ids.next_lease()
    }

    /// The limit on the database's size in bytes; `None` when there is none.
    pub fn quota_bytes(&self) -> Option<u64> {
        self.0.quota.limit()
    }

    /// How long a request may take: five seconds and two election timeouts.
    pub fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    /// Numbers of the log.
    pub fn log_stats(&self) -> holdfast_wal::WalStats {
        self.0.wal.stats()
    }

    /// What the scrubber has done.
    pub fn scrub_stats(&self) -> ScrubStats {
        self.0.scrub.stats()
    }

    /// Waits until everything that was committed at the time of the call is applied, for a second at most: a lease that
    /// was just granted must be visible before "not found" may be said.
    ///
    /// # Errors
    /// [`EtcdError::TimeoutWaitAppliedIndex`].
    pub async fn wait_applied(&self) -> Result<(), EtcdError> {
        let target = self.0.shared.committed();
        let deadline = tokio::time::Instant::now() + limits::APPLIED_INDEX_WAIT;
        while self.0.shared.applied() < target {
            if tokio::time::Instant::now() >= deadline {
                return Err(EtcdError::TimeoutWaitAppliedIndex);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Waits until a compaction to `revision` has removed what it let go, physically, and until that is durable: from
    /// then on no restart has to do it again.
    ///
    /// # Errors
    /// [`EtcdError::Stopped`] when the member stops or fails before that.
    pub async fn wait_compacted(&self, revision: i64) -> Result<(), EtcdError> {
        let mut done = self.0.shared.compacted.subscribe();
        tokio::select! {
            finished = done.wait_for(|finished| *finished >= revision) => {
                finished.map(|_| ()).map_err(|_| EtcdError::Stopped)?;
            }
            _ = self.failed() => return Err(EtcdError::Stopped),
        }
        let member = self.clone();
        let durable = tokio::task::spawn_blocking(move || member.checkpoint()).await;
        durable.map_err(|_| EtcdError::Stopped)?
    }

    /// Makes the published state durable, beside the checkpoint thread: one of both finds nothing left to do.
    fn checkpoint(&self) -> Result<(), EtcdError> {
        let inner = &*self.0;
        let checkpoint = inner.store.db().checkpoint().map_err(|error| {
            inner.shared.fail(format!("a checkpoint has failed: {error}"));
            EtcdError::Stopped
        })?;
        // A log that takes no more has said why; the member is about to stop.
        inner.wal.release(checkpoint.mark).map_err(|_| EtcdError::Stopped)
    }

    /// Waits until this member can serve: there is a leader, and everything that was acknowledged before is applied.
    ///
    /// # Errors
    /// [`EtcdError::Stopped`] when the member stops before that.
    pub async fn wait_ready(&self) -> Result<(), EtcdError> {
        loop {
            match self.read_barrier().await {
                Ok(()) => return Ok(()),
                Err(EtcdError::Stopped) => return Err(EtcdError::Stopped),
                // No leader yet: asked again.
                Err(_) => {}
            }
        }
    }

    /// Waits until the member cannot go on by itself; returns why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.0.shared.fatal.subscribe();
        // The sender lives in this very handle, so that waiting cannot fail.
        let why = fatal.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_default()
    }

    /// Changes of term and leader as they are seen.
    pub fn leadership_changes(&self) -> tokio::sync::watch::Receiver<(u64, u64)> {
        self.0.shared.leadership_changes()
    }
}
