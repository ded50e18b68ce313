//! What all threads of a member share: numbers that services read without asking a thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use holdfast_core::apply::Alarms;
use holdfast_core::membership::Membership;
use holdfast_core::raft::{Leadership, Role};
use tokio::sync::{Notify, watch};

/// The newest numbers of raft and apply.
pub(super) struct Shared {
    pub(super) member_id: u64,
    pub(super) cluster_id: u64,
    term: AtomicU64,
    leader: AtomicU64,
    committed: AtomicU64,
    applied: AtomicU64,
    leader_changes: AtomicU64,
    /// Set for good when the member can no longer serve.
    failed: AtomicBool,
    leadership: watch::Sender<(u64, u64)>,
    pub(super) membership: ArcSwap<Membership>,
    pub(super) alarms: ArcSwap<Alarms>,
    /// Why the member stopped by itself.
    pub(super) fatal: watch::Sender<Option<String>>,
    /// Somebody was told that there is no space, and the alarm for it is not raised yet.
    pub(super) no_space: Notify,
    /// The revision up to which compaction is physically done.
    pub(super) compacted: watch::Sender<i64>,
}

impl Shared {
    pub(super) fn new(
        member_id: u64,
        cluster_id: u64,
        membership: Membership,
        alarms: Alarms,
        applied: u64,
    ) -> Self {
        Self {
            member_id,
            cluster_id,
            term: AtomicU64::new(0),
            leader: AtomicU64::new(0),
            committed: AtomicU64::new(applied),
            applied: AtomicU64::new(applied),
            leader_changes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            leadership: watch::Sender::new((0, 0)),
            membership: ArcSwap::from_pointee(membership),
            alarms: ArcSwap::from_pointee(alarms),
            fatal: watch::Sender::new(None),
            no_space: Notify::new(),
            compacted: watch::Sender::new(-1),
        }
    }

    pub(super) fn set_leadership(&self, leadership: Leadership) {
        self.term.store(leadership.term, Ordering::Release);
        let before = self.leader.swap(leadership.leader, Ordering::AcqRel);
        if leadership.leader != 0 && before != leadership.leader {
            self.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        let is_leader = leadership.role == Role::Leader;
        tracing::debug!(term = leadership.term, leader = leadership.leader, is_leader, "leadership changed");
        self.leadership.send_replace((leadership.term, leadership.leader));
    }

    pub(super) fn set_committed(&self, index: u64) {
        self.committed.store(index, Ordering::Release);
    }

    pub(super) fn set_applied(&self, index: u64) {
        self.applied.store(index, Ordering::Release);
    }

    pub(super) fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }

    pub(super) fn leader(&self) -> u64 {
        self.leader.load(Ordering::Acquire)
    }

    pub(super) fn is_leader(&self) -> bool {
        self.leader() == self.member_id
    }

    pub(super) fn leader_changes(&self) -> u64 {
        self.leader_changes.load(Ordering::Relaxed)
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(super) fn leadership_changes(&self) -> watch::Receiver<(u64, u64)> {
        self.leadership.subscribe()
    }

    /// The member cannot go on: says so once, for the process to end.
    pub(super) fn fail(&self, why: String) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(error = %why, "this member has stopped serving: it cannot go on without risking data");
            self.fatal.send_replace(Some(why));
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}
