//! The raft thread: proposals in, groups for the log and committed entries out.
//!
//! It never touches the database's mapping nor waits for a disk: a page fault or a slow sync must not delay a
//! heartbeat.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::Sender;
use holdfast_core::ids::RequestIds;
use holdfast_core::raft::{Collected, Committed, LogBatch, Node, ReadRound, ReadRounds};
use holdfast_proto::error::EtcdError;
use holdfast_wal::{Batch, Entry, HardState, Wal};

use super::mailbox::{AppliedNote, Mailbox, Proposal, ReadToken};
use super::shared::Shared;
use super::waiters::Waiters;

/// Ticks between looks for reads and proposals that nobody waits for any more.
const SWEEP_TICKS: u32 = 10;

/// Proposals that may wait for a leader.
const MAX_PARKED: usize = 65_536;

/// Bytes of applied entries that stay in memory for followers which lag.
const TAIL_BYTES: usize = 16 << 20;

/// The raft thread's state; see the module's description.
pub(super) struct RaftThread {
    pub(super) node: Node,
    pub(super) wal: Arc<Wal>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) shared: Arc<Shared>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) ids: Arc<RequestIds>,
    pub(super) apply: Sender<Vec<Committed>>,
    pub(super) tick: Duration,
    /// Entries behind the applied index that stay in memory.
    pub(super) catch_up_entries: u64,
    pub(super) on_leadership_lost: Box<dyn Fn() + Send>,
}

impl RaftThread {
    /// Runs until the member stops or cannot go on.
    pub(super) fn run(mut self) {
        let mut work = Work {
            reads: ReadRounds::new(self.shared.applied()),
            parked: VecDeque::new(),
            next_tick: Instant::now() + self.tick,
            ticks: 0,
        };
        self.node.campaign_if_alone();
        self.settle(&mut work);
        loop {
            let inbox = self.mailbox.take(work.next_tick);
            if let Some(error) = inbox.failed {
                self.shared.fail(format!("the log has failed: {error}"));
            }
            if inbox.stop || self.shared.has_failed() {
                self.refuse_all(work, inbox.reads);
                return;
            }
            if let Some(ticket) = inbox.durable {
                self.node.durable(ticket);
            }
            for note in inbox.applied {
                self.on_applied(&mut work, note);
            }
            self.park(&mut work, inbox.proposals);
            work.reads.add(inbox.reads);
            self.tick_if_due(&mut work);
            self.propose(&mut work);
            if self.shared.leader() != 0
                && let Some(round) = work.reads.start(|| self.ids.next())
            {
                self.send_round(round);
            }
            self.settle(&mut work);
        }
    }

    /// Does what the node wants done, until it wants nothing more.
    fn settle(&mut self, work: &mut Work) {
        while let Some(out) = self.node.collect() {
            let Collected { batch, messages, committed, reads, leadership } = out;
            // A lone member has nobody to send to.
            drop(messages);
            if let Some(batch) = batch {
                self.append(batch);
            }
            if let Some(leadership) = leadership {
                let was_leader = self.shared.is_leader();
                self.shared.set_leadership(leadership);
                if was_leader && !self.shared.is_leader() {
                    (self.on_leadership_lost)();
                }
                for token in work.reads.leader_changed() {
                    let _ = token.send(Err(EtcdError::LeaderChanged));
                }
            }
            self.shared.set_committed(self.node.committed_index());
            if !committed.is_empty() && self.apply.send(committed).is_err() {
                self.shared.fail("the apply thread is gone".into());
            }
            for (context, index) in reads {
                release(work.reads.confirm(context, index));
            }
        }
    }

    fn append(&self, batch: LogBatch) {
        let entries = batch
            .entries
            .into_iter()
            .map(|entry| Entry {
                index: entry.index,
                term: entry.term,
                kind: entry.entry_type as u8,
                data: entry.data,
            })
            .collect();
        let state = batch.hard_state;
        let hard_state = Some(HardState { term: state.term, vote: state.vote, commit: state.commit });
        if let Err(error) = self.wal.append(Batch { entries, hard_state, ..Batch::default() }, batch.ticket) {
            self.shared.fail(format!("the log does not take a batch: {error}"));
        }
    }

    fn on_applied(&mut self, work: &mut Work, note: AppliedNote) {
        for change in &note.conf_changes {
            self.node.apply_conf_change(change.as_ref());
        }
        self.node.applied(note.index, self.catch_up_entries, TAIL_BYTES);
        release(work.reads.applied(note.index));
        if !note.conf_changes.is_empty() {
            self.node.campaign_if_alone();
        }
        if note.term_started {
            // A round that was sent before the leader could answer was dropped without a word.
            if let Some(round) = work.reads.resend(|| self.ids.next()) {
                self.send_round(round);
            }
        }
    }

    fn tick_if_due(&mut self, work: &mut Work) {
        let now = Instant::now();
        if now < work.next_tick {
            return;
        }
        // After a long pause the missed ticks are not caught up with: it would look like an election timeout.
        work.next_tick = (work.next_tick + self.tick).max(now);
        self.node.tick();
        if let Some(round) = work.reads.tick(|| self.ids.next()) {
            self.send_round(round);
        }
        work.ticks += 1;
        if work.ticks.is_multiple_of(SWEEP_TICKS) {
            work.reads.retain(|token| !token.is_closed());
            work.parked.retain(|proposal| self.waiters.is_waiting(proposal.id));
        }
    }

    /// Takes proposals in, as long as not too many wait for a leader.
    fn park(&self, work: &mut Work, proposals: Vec<Proposal>) {
        for proposal in proposals {
            if work.parked.len() < MAX_PARKED {
                work.parked.push_back(proposal);
            } else {
                self.waiters.complete(proposal.id, Err(EtcdError::RequestTooManyRequests));
            }
        }
    }

    /// Proposes all that waits, if there is a leader to propose to; without one it goes on waiting, until its client
    /// gives up.
    fn propose(&mut self, work: &mut Work) {
        if work.parked.is_empty() || self.shared.leader() == 0 {
            return;
        }
        let payloads: Vec<Bytes> = work.parked.iter().map(|proposal| proposal.payload.clone()).collect();
        let refused = self.node.propose(payloads).is_err();
        for proposal in work.parked.drain(..) {
            if refused {
                self.waiters.complete(proposal.id, Err(EtcdError::RequestTooManyRequests));
            }
        }
    }

    fn send_round(&mut self, round: ReadRound) {
        self.node.read_index(round.context);
    }

    /// Nobody is to wait for a member that has stopped. What is in the log already may still come true on the next
    /// start, as after any stop: "stopped" does not say that it was not done.
    fn refuse_all(&self, mut work: Work, reads: Vec<ReadToken>) {
        // No proposal can arrive any more: the mailbox is told first, and registrations precede proposals.
        self.mailbox.stop();
        self.waiters.refuse_all(EtcdError::Stopped);
        let late = self.mailbox.take(Instant::now()).reads;
        for token in work.reads.drain().into_iter().chain(reads).chain(late) {
            let _ = token.send(Err(EtcdError::Stopped));
        }
    }
}

/// What the loop carries from round to round.
struct Work {
    reads: ReadRounds<ReadToken>,
    /// Proposals that wait for a leader.
    parked: VecDeque<Proposal>,
    next_tick: Instant,
    ticks: u32,
}

fn release(tokens: Vec<ReadToken>) {
    for token in tokens {
        let _ = token.send(Ok(()));
    }
}
