//! The apply thread: committed entries become state, watchers hear of it, proposers get their replies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use holdfast_core::apply::{Applied, Applier, LeaseEffect};
use holdfast_core::raft::{Committed, CommittedKind};
use holdfast_engine::mvcc::{CompactProgress, RevisionChanges};
use holdfast_engine::tree::{Db, Relocation};
use holdfast_proto::etcdserverpb::AlarmType;

use super::checkpoint::Checkpointer;
use super::compaction_hash::CompactionHasher;
use super::housekeeping::{Housekeeping, RELOCATION_PAGES};
use super::leases::LeaseHandle;
use super::mailbox::{AppliedNote, Mailbox};
use super::quota::Quota;
use super::shared::Shared;
use super::waiters::Waiters;
use super::writer_steps::{OnHeld, WriterStep};

/// Entries applied in one transaction at the most: bounds how long the replies of the first wait for the last.
const MAX_BATCH_ENTRIES: usize = 4096;
/// Bytes of entries applied in one transaction at the most.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How physical compaction is paced.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompactionPace {
    /// Rows removed in one step.
    pub(super) rows: usize,
    /// Pause between steps.
    pub(super) pause: Duration,
}

/// Rows of one step at the most: a step holds up the writes behind it. Where the rows are scattered and cost pages of
/// their own, the step ends earlier by itself.
const MAX_STEP_ROWS: usize = 1000;

/// Pause before a step that found its rows held by a long read is tried again.
const HELD_PAUSE: Duration = Duration::from_millis(20);

impl CompactionPace {
    /// `limit` rows between pauses of `pause`, in steps that are short enough for the writes between them.
    pub(super) fn new(limit: usize, pause: Duration) -> Self {
        let rows = limit.clamp(1, MAX_STEP_ROWS);
        let steps = limit.max(1).div_ceil(rows);
        Self { rows, pause: pause / u32::try_from(steps).unwrap_or(u32::MAX) }
    }
}

/// Told of each batch and how long it took.
pub type OnApplied = Box<dyn Fn(&Applied, Duration) + Send>;

/// The apply thread's state; see the module's description.
pub(super) struct ApplyThread {
    pub(super) applier: Applier,
    pub(super) committed: Receiver<Vec<Committed>>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) shared: Arc<Shared>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) leases: LeaseHandle,
    pub(super) checkpointer: Checkpointer,
    pub(super) hasher: CompactionHasher,
    pub(super) quota: Arc<Quota>,
    pub(super) db: Db,
    pub(super) on_changes: Box<dyn Fn(Vec<RevisionChanges>) + Send>,
    pub(super) pace: CompactionPace,
    pub(super) warning: Duration,
    pub(super) on_applied: OnApplied,
    pub(super) on_held: OnHeld,
}

impl ApplyThread {
    /// Runs until the raft thread is gone or the store fails.
    pub(super) fn run(mut self) {
        let mut housekeeping = Housekeeping::new(Instant::now());
        let mut held_back: Option<Vec<Committed>> = None;
        loop {
            let entries = match held_back.take() {
                Some(entries) => entries,
                None => match self.committed.recv_deadline(housekeeping.next()) {
                    Ok(entries) => entries,
                    Err(RecvTimeoutError::Timeout) => {
                        if self.keep_house(&mut housekeeping).is_err() {
                            return;
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            let (batch, rest) = self.gather(entries);
            held_back = rest;
            match self.apply(batch) {
                Ok(compacted) => {
                    if compacted {
                        housekeeping.compaction = Some(Instant::now());
                    }
                }
                Err(()) => return,
            }
            // Steps go on under load too, or a busy member would never reclaim anything.
            if self.keep_house(&mut housekeeping).is_err() {
                return;
            }
        }
    }

    /// Takes the steps that are due, one of each kind.
    fn keep_house(&mut self, housekeeping: &mut Housekeeping) -> Result<(), ()> {
        if housekeeping.compaction_is_due(Instant::now()) {
            housekeeping.compaction = self.compact_step()?;
        }
        if housekeeping.relocation_is_due(Instant::now()) {
            let progress = self.relocate_step()?;
            housekeeping.relocated(progress, Instant::now());
        }
        Ok(())
    }

    /// Takes what else is committed already, up to the bounds of one batch. Returns what did not fit.
    fn gather(&self, mut batch: Vec<Committed>) -> (Vec<Committed>, Option<Vec<Committed>>) {
        let mut bytes: usize = batch.iter().map(payload_bytes).sum();
        while batch.len() < MAX_BATCH_ENTRIES && bytes < MAX_BATCH_BYTES {
            match self.committed.try_recv() {
                Ok(more) => {
                    bytes += more.iter().map(payload_bytes).sum::<usize>();
                    batch.extend(more);
                }
                Err(_) => break,
            }
        }
        let rest = (batch.len() > MAX_BATCH_ENTRIES).then(|| batch.split_off(MAX_BATCH_ENTRIES));
        (batch, rest)
    }

    fn apply(&mut self, batch: Vec<Committed>) -> Result<bool, ()> {
        let bytes: usize = batch.iter().map(payload_bytes).sum();
        let count = batch.len();
        let started = Instant::now();
        let over_quota = self.quota.is_exceeded();
        let applied = match self.applier.apply(batch, over_quota) {
            Ok(applied) => applied,
            Err(error) => {
                self.shared.fail(error.to_string());
                return Err(());
            }
        };
        let took = started.elapsed();
        self.quota.published(&self.db);
        if applied.told_no_space && !self.quota.has_alarm() {
            self.shared.no_space.notify_one();
        }
        (self.on_applied)(&applied, took);
        (self.on_held)(WriterStep::Apply, took);
        if took > self.warning {
            tracing::warn!(took = ?took, "expected-duration" = ?self.warning, entries = count, bytes, "apply request took too long");
        }
        self.checkpointer.published(bytes as u64);
        if let Some(span) = applied.compaction_to_hash
            && let Err(error) = self.hasher.compaction(span)
        {
            self.shared.fail(error.to_string());
            return Err(());
        }
        Ok(self.spread(applied))
    }

    /// Tells everybody. Returns whether a compaction was accepted.
    fn spread(&mut self, applied: Applied) -> bool {
        let now = super::clock::boot_time();
        for effect in &applied.leases {
            self.leases.with(|lessor| match *effect {
                LeaseEffect::Granted { id, seconds } => lessor.granted(id, seconds, now),
                LeaseEffect::Revoked { id } => lessor.revoked(id),
                LeaseEffect::Checkpointed { id, remaining_seconds } => {
                    lessor.checkpointed(id, remaining_seconds, now);
                }
            });
        }
        if applied.membership_changed {
            self.shared.membership.store(Arc::new(self.applier.membership().clone()));
        }
        if applied.alarms_changed {
            self.shared.alarms.store(Arc::new(self.applier.alarms().clone()));
            self.quota.alarm_is(self.applier.alarms().raised_by(self.shared.member_id, AlarmType::Nospace));
        }
        self.shared.set_applied(applied.index);
        self.mailbox.applied(AppliedNote {
            index: applied.index,
            conf_changes: applied.conf_changes,
            term_started: applied.term_started.is_some(),
        });
        if let Some(term) = applied.term_started {
            // Asked under the lessor's lock: leadership that is lost meanwhile is told first and demotes after.
            self.leases.promote_if(now, || self.shared.is_leader() && self.shared.term() == term);
        }
        if !applied.revisions.is_empty() {
            (self.on_changes)(applied.revisions);
        }
        for (id, outcome) in applied.replies {
            self.waiters.complete(id, outcome);
        }
        applied.compacted.is_some()
    }

    /// One bounded step of physical compaction. Returns when the next one is due.
    fn compact_step(&mut self) -> Result<Option<Instant>, ()> {
        let started = Instant::now();
        let progress = self.applier.compact_step(self.pace.rows);
        (self.on_held)(WriterStep::Compaction, started.elapsed());
        self.checkpointer.published(0);
        self.quota.published(&self.db);
        match progress {
            Ok(CompactProgress::Idle) => {
                // Nothing is left of the last compaction, if there ever was one.
                self.report_compacted()?;
                Ok(None)
            }
            Ok(CompactProgress::More) => Ok(Some(Instant::now() + self.pace.pause)),
            Ok(CompactProgress::Held { by }) => {
                tracing::debug!(revision = by, "compaction waits for a long read");
                Ok(Some(Instant::now() + HELD_PAUSE))
            }
            Ok(CompactProgress::Done { revision }) => {
                tracing::info!("compact-revision" = revision, "finished scheduled compaction");
                self.report_compacted()?;
                Ok(None)
            }
            Err(error) => {
                self.shared.fail(error.to_string());
                Err(())
            }
        }
    }

    /// One bounded step of moving pages off the end of the file.
    fn relocate_step(&mut self) -> Result<Relocation, ()> {
        let started = Instant::now();
        let progress = self.db.relocate_step(RELOCATION_PAGES);
        (self.on_held)(WriterStep::Relocation, started.elapsed());
        match progress {
            Ok(progress) => {
                if progress == Relocation::Waiting {
                    self.checkpointer.hurry();
                }
                Ok(progress)
            }
            Err(error) => {
                self.shared.fail(error.to_string());
                Err(())
            }
        }
    }

    fn report_compacted(&self) -> Result<(), ()> {
        match self.applier.compact_revision() {
            Ok(revision) => {
                self.shared.compacted.send_replace(revision);
                Ok(())
            }
            Err(error) => {
                self.shared.fail(error.to_string());
                Err(())
            }
        }
    }
}

fn payload_bytes(entry: &Committed) -> usize {
    match &entry.kind {
        CommittedKind::Empty => 0,
        CommittedKind::Request(payload) | CommittedKind::ConfChange(payload) => payload.len(),
    }
}
