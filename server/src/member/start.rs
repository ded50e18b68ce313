//! Start: open what is there, or found a cluster, and set the threads going.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::unbounded;
use holdfast_core::apply::{Applier, ApplyError, TERM_KEY};
use holdfast_core::ids::{self, RequestIds};
use holdfast_core::raft::{
    ConfChange, ConfChangeContext, ConfChangeKind, LogView, Node, NodeError, Settings,
};
use holdfast_engine::mvcc::{RevisionChanges, View, trees};
use holdfast_proto::limits;
use holdfast_wal::{Batch, Config as LogConfig, Entry, HardState, LogStart, WalError};
use parking_lot::Mutex;

use super::apply_thread::{ApplyThread, CompactionPace, OnApplied};
use super::checkpoint::Checkpointer;
use super::compaction_hash::CompactionHasher;
use super::leases::LeaseHandle;
use super::mailbox::Mailbox;
use super::memory_fault::FaultStop;
use super::quota::Quota;
use super::raft_thread::RaftThread;
use super::scrub::{self, ScrubCounters};
use super::shared::Shared;
use super::storage::{Opened, Storage, StorageError};
use super::waiters::Waiters;
use super::writer_steps::{OnHeld, TurnClock};
use super::{Inner, Member, Running};
use crate::config::{ClusterError, Config};

/// Bytes by which a log entry may be larger than the request in it.
const ENTRY_SLACK_BYTES: u64 = 64 << 10;

/// Kind of a log entry that carries a configuration change; zero is a request.
const KIND_CONF_CHANGE: u8 = 1;

/// Why a member does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its files cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Its log cannot be written.
    #[error(transparent)]
    Log(#[from] WalError),
    /// Its stored state cannot be applied to.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Raft does not accept its stored state.
    #[error(transparent)]
    Raft(#[from] NodeError),
    /// The flags that describe the first cluster do not fit together.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// More than one member.
    #[error(
        "--initial-cluster names {members} members: this version of holdfast runs clusters of one member; name only \
         this member"
    )]
    ManyMembers {
        /// How many.
        members: usize,
    },
    /// The flags say something else than when the member was begun.
    #[error(
        "the data directory was begun for member {begun:x}, which never came up; the flags (name, peer URLs, cluster \
         token) describe member {asked:x}: delete the data directory, or use the flags that it was begun with"
    )]
    FlagsChanged {
        /// The member that the log names.
        begun: u64,
        /// The member that the flags describe.
        asked: u64,
    },
    /// A member that wants to join.
    #[error("--initial-cluster-state=existing: this version of holdfast cannot join a running cluster")]
    Join,
    /// The system does not give a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the member tells those who measure it. All are called on the member's own threads and must not block.
pub struct Observers {
    /// A batch was applied, and how long it took.
    pub applied: OnApplied,
    /// A step has held the writer of the database for so long.
    pub writer_held: OnHeld,
    /// A checkpoint took so long.
    pub checkpoint: Box<dyn Fn(Duration) + Send>,
    /// A group was written to the log.
    pub log_write: Arc<dyn Fn(holdfast_wal::WriteReport) + Send + Sync>,
    /// Changes of the key space, for watchers; by ascending revision.
    pub changes: Box<dyn Fn(Vec<RevisionChanges>) + Send>,
}

/// Starts a member on `storage`. Must be called within a tokio runtime, on which its periodic tasks run.
pub fn start(
    config: &Config,
    storage: &Storage,
    observers: Observers,
) -> Result<(Member, Running), StartError> {
    let mailbox = Arc::new(Mailbox::default());
    let log_config = log_config(config, &mailbox, Arc::clone(&observers.log_write));
    let mut opened = if let Some(opened) = storage.reopen(log_config.clone())? {
        opened
    } else {
        let (member_id, cluster_id) = first_ids(config)?;
        storage.create(log_config, member_id, cluster_id)?
    };
    found_if_empty(config, &mut opened)?;
    reset_if_behind(&opened)?;
    run(config, opened, mailbox, observers)
}

fn log_config(
    config: &Config,
    mailbox: &Arc<Mailbox>,
    on_write: Arc<dyn Fn(holdfast_wal::WriteReport) + Send + Sync>,
) -> LogConfig {
    let mailbox = Arc::clone(mailbox);
    let entry_bytes = config.max_request_bytes + ENTRY_SLACK_BYTES;
    let defaults = LogConfig::default();
    LogConfig {
        // A log whose entries were allowed to be larger before must stay readable.
        max_entry_bytes: u32::try_from(entry_bytes).unwrap_or(u32::MAX).max(defaults.max_entry_bytes),
        no_sync: config.unsafe_no_fsync,
        on_durable: Arc::new(move |progress| mailbox.log_progress(progress)),
        on_write: Some(on_write),
        ..defaults
    }
}

/// Ids of this member and of the cluster that the flags describe.
fn first_ids(config: &Config) -> Result<(u64, u64), StartError> {
    let members = first_members(config)?;
    let cluster_id = ids::cluster_id(&members.keys().copied().collect::<Vec<_>>());
    let own = members.iter().find(|(_, member)| member.name == config.name);
    let member_id = *own.expect("the cluster was verified to name this member").0;
    Ok((member_id, cluster_id))
}

/// The members that the flags name, by id.
fn first_members(config: &Config) -> Result<BTreeMap<u64, ConfChangeContext>, StartError> {
    let cluster = config.initial_cluster()?;
    if config.initial_cluster_state == crate::config::ClusterState::Existing {
        return Err(StartError::Join);
    }
    cluster.verify_bootstrap(&config.name, &config.advertise_peer_urls)?;
    if cluster.0.len() > 1 {
        return Err(StartError::ManyMembers { members: cluster.0.len() });
    }
    let members = cluster.0.into_iter().map(|(name, urls)| {
        let mut urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
        urls.sort_unstable();
        let id = ids::bootstrap_member_id(&urls, &config.initial_cluster_token);
        (id, ConfChangeContext { id, peer_urls: Some(urls), name, ..ConfChangeContext::default() })
    });
    Ok(members.collect())
}

/// Gives a log that holds nothing yet the cluster's first configuration: one entry for each member, by ascending id, in
/// term 1 and committed from the start. A crash between the creation of the log and this leads here again.
fn found_if_empty(config: &Config, opened: &mut Opened) -> Result<(), StartError> {
    if opened.hard_state.is_some()
        || !opened.entries.is_empty()
        || opened.store.view().map_err(StorageError::from)?.mark() > 0
    {
        return Ok(());
    }
    let (member_id, cluster_id) = first_ids(config)?;
    if (member_id, cluster_id) != (opened.member_id, opened.cluster_id) {
        return Err(StartError::FlagsChanged { begun: opened.member_id, asked: member_id });
    }
    let entries: Vec<Entry> = first_members(config)?
        .into_iter()
        .zip(1..)
        .map(|((id, context), index)| {
            let change = ConfChange {
                request_id: 0,
                kind: ConfChangeKind::AddNode,
                node_id: id,
                context: Some(context),
            };
            Entry { index, term: 1, kind: KIND_CONF_CHANGE, data: change.encode() }
        })
        .collect();
    let hard_state = HardState { term: 1, vote: 0, commit: entries.len() as u64 };
    // Tickets of raft's own batches begin at one. Durability is not waited for: nothing is acknowledged before raft's
    // first batch, which the log makes durable after this one.
    opened
        .wal
        .append(Batch { entries: entries.clone(), hard_state: Some(hard_state), ..Batch::default() }, 0)?;
    opened.entries = entries;
    opened.hard_state = Some(hard_state);
    Ok(())
}

/// A log that ends before the database does has lost what was written without a sync (`--unsafe-no-fsync`), or its last
/// group to damage. The database holds the effect of those entries, so nothing that it says is lost: the log goes on
/// behind it.
fn reset_if_behind(opened: &Opened) -> Result<(), StartError> {
    let view = opened.store.view().map_err(StorageError::from)?;
    let applied = view.mark();
    let last = opened.entries.last().map_or(opened.log_start, |entry| entry.index);
    if last >= applied {
        return Ok(());
    }
    tracing::warn!(
        "last-log-index" = last,
        "applied-index" = applied,
        "the log ends before the database does: it was written without syncs, or its end was damaged; going on from the \
         database"
    );
    let term = applied_term(&view)?;
    let reset = Some(LogStart { index: applied, term });
    let hard_state = opened.hard_state.map(|state| HardState { commit: state.commit.max(applied), ..state });
    opened.wal.append(Batch { reset, hard_state, ..Batch::default() }, 0)?;
    Ok(())
}

/// The term of the last applied entry.
fn applied_term(view: &View) -> Result<u64, StartError> {
    let stored = view.aux(trees::META, TERM_KEY).map_err(StorageError::from)?;
    let bytes = stored.and_then(|stored| <[u8; 8]>::try_from(stored).ok());
    Ok(bytes.map_or(0, u64::from_be_bytes))
}

fn run(
    config: &Config,
    opened: Opened,
    mailbox: Arc<Mailbox>,
    observers: Observers,
) -> Result<(Member, Running), StartError> {
    let Opened { wal, store, member_id, cluster_id, hard_state, entries, .. } = opened;
    let wal = Arc::new(wal);
    let min_ttl = limits::min_lease_ttl_seconds(config.election_timeout, config.heartbeat_interval);
    let applier = Applier::open(store.clone(), min_ttl, config.max_learners)?;
    let applied = applier.applied();
    let log = log_view(&applier, hard_state, &entries, applier.applied_term()?);
    drop(entries);

    let unix_millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let ids = Arc::new(RequestIds::new(member_id, unix_millis));
    let settings = Settings {
        member_id,
        election_ticks: config.election_ticks(),
        pre_vote: config.pre_vote,
        seed: member_id ^ unix_millis,
    };
    let node = Node::new(&settings, log, applied, &crate::logging::raft::logger())?;

    let shared = Arc::new(Shared::new(
        member_id,
        cluster_id,
        applier.membership().clone(),
        applier.alarms().clone(),
        applied,
    ));
    let faults = FaultStop::start(&shared, store.db().stats().page_size)?;
    let leases = LeaseHandle::new(applier.lessor()?, config.election_timeout);
    let quota = Arc::new(Quota::new(store.db(), config.quota_backend_bytes));
    quota.alarm_is(applier.alarms().raised_by(member_id, holdfast_proto::etcdserverpb::AlarmType::Nospace));
    let waiters = Arc::new(Waiters::default());
    store.db().observe_turns(Arc::new(TurnClock::new(Arc::clone(&observers.writer_held))));
    let (checkpointer, checkpoint_thread) =
        Checkpointer::start(store.db().clone(), Arc::clone(&wal), Arc::clone(&shared), observers.checkpoint)?;
    let (hasher, hash_thread) = CompactionHasher::start(store.clone(), &shared)?;

    let (apply, committed) = unbounded();
    let apply_thread = ApplyThread {
        applier,
        committed,
        mailbox: Arc::clone(&mailbox),
        shared: Arc::clone(&shared),
        waiters: Arc::clone(&waiters),
        leases: leases.clone(),
        checkpointer,
        hasher,
        quota: Arc::clone(&quota),
        db: store.db().clone(),
        pace: CompactionPace::new(config.compaction_batch_limit, config.compaction_sleep_interval),
        warning: config.warning_apply_duration,
        on_applied: observers.applied,
        on_held: observers.writer_held,
        on_changes: observers.changes,
    };
    let raft_thread = RaftThread {
        node,
        wal: Arc::clone(&wal),
        mailbox: Arc::clone(&mailbox),
        shared: Arc::clone(&shared),
        waiters: Arc::clone(&waiters),
        ids: Arc::clone(&ids),
        apply,
        tick: config.heartbeat_interval,
        catch_up_entries: config.snapshot_catchup_entries,
        on_leadership_lost: {
            let leases = leases.clone();
            Box::new(move || leases.demote())
        },
    };
    let scrub_counters = Arc::new(ScrubCounters::default());
    let mut threads = vec![
        spawn("raft", &shared, move || raft_thread.run())?,
        spawn("apply", &shared, move || apply_thread.run())?,
        checkpoint_thread,
        hash_thread,
    ];
    let mut scrubber = None;
    if let Some(interval) = config.scrub_interval {
        let counters = Arc::clone(&scrub_counters);
        let (stop, thread) = scrub::start(store.db().clone(), Arc::clone(&shared), interval, counters)?;
        scrubber = Some(stop);
        threads.push(thread);
    }
    let member = Member(Arc::new(Inner {
        shared,
        mailbox,
        waiters,
        ids,
        store,
        leases,
        quota,
        wal: Arc::clone(&wal),
        scrub: scrub_counters,
        counters: super::Counters::default(),
        max_request_bytes: config.max_request_bytes,
        request_timeout: config.request_timeout(),
    }));
    let tasks = super::tasks::start(&member, config);
    let (threads, tasks) = (Mutex::new(threads), Mutex::new(tasks));
    Ok((member.clone(), Running { member, wal, threads, tasks, scrubber, faults }))
}

/// Starts a thread without which the member cannot go on: should it panic (where panics do not end the process), the
/// member says so and stops, instead of leaving its clients to their time-outs.
pub(super) fn spawn(
    name: &'static str,
    shared: &Arc<Shared>,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name(name.into()).spawn(move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
            shared.fail(format!("the {name} thread has panicked"));
        }
    })
}

/// The part of the log that raft needs: what the store does not hold yet.
fn log_view(
    applier: &Applier,
    hard_state: Option<HardState>,
    entries: &[Entry],
    applied_term: u64,
) -> LogView {
    let state = hard_state.unwrap_or_default();
    let applied = applier.applied();
    // The commit index is written with the batch after the one it speaks of; what is applied was committed.
    let commit = state.commit.max(applied);
    let raft_state =
        raft::eraftpb::HardState { term: state.term, vote: state.vote, commit, ..Default::default() };
    let (voters, learners) = applier.membership().voters_and_learners();
    let conf_state = raft::eraftpb::ConfState { voters, learners, ..Default::default() };
    let mut view = LogView::new(raft_state, conf_state, applied, applied_term);
    let tail: Vec<raft::eraftpb::Entry> =
        entries.iter().filter(|entry| entry.index > applied).map(raft_entry).collect();
    view.append(&tail);
    view
}

fn raft_entry(entry: &Entry) -> raft::eraftpb::Entry {
    let mut raft_entry = raft::eraftpb::Entry {
        term: entry.term,
        index: entry.index,
        data: entry.data.clone(),
        ..Default::default()
    };
    raft_entry.set_entry_type(match entry.kind {
        KIND_CONF_CHANGE => raft::eraftpb::EntryType::EntryConfChange,
        _ => raft::eraftpb::EntryType::EntryNormal,
    });
    raft_entry
}
