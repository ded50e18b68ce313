//! One member's raft, as a state machine.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, HardState, Message, MessageType};
use raft::{RawNode, StateRole};

use super::confchange::{self, ConfChange};
use super::{LogView, Settings};

/// What a member is in the current term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Decides the order of entries.
    Leader,
}

/// Who leads, as this member knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// The leader's id; zero when none is known.
    pub leader: u64,
    /// This member's own role.
    pub role: Role,
    /// The term in which this holds.
    pub term: u64,
}

/// What has to become durable next, in this order and under this ticket.
#[derive(Debug)]
pub struct LogBatch {
    /// Reported back through [`Node::durable`]; grows with every batch.
    pub ticket: u64,
    /// Entries at the end of the log, replacing what stands from the first one's index on.
    pub entries: Vec<Entry>,
    /// The hard state as of this batch.
    pub hard_state: HardState,
}

/// A committed entry in the order of application.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its index.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// What it carries.
    pub kind: CommittedKind,
}

/// The payload of a committed entry.
#[derive(Debug, Clone)]
pub enum CommittedKind {
    /// The first entry of a leader's term.
    Empty,
    /// An `InternalRaftRequest`.
    Request(Bytes),
    /// A configuration change in Go's encoding.
    ConfChange(Bytes),
}

/// Everything that a [`Node`] wants done since the last time it was asked.
#[derive(Debug, Default)]
pub struct Collected {
    /// For the log.
    pub batch: Option<LogBatch>,
    /// For the network, now.
    pub messages: Vec<Message>,
    /// For apply, in order. They are durable on this member.
    pub committed: Vec<Committed>,
    /// Finished read-index rounds: context and index.
    pub reads: Vec<(u64, u64)>,
    /// Set when leader, role or term changed.
    pub leadership: Option<Leadership>,
}

/// Why the node refused an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is no leader, a transfer is under way, or too much is uncommitted: the proposal was dropped.
    #[error("the proposal was dropped: no leader, a leader transfer, or too many uncommitted proposals")]
    Dropped,
    /// The stored state cannot be used.
    #[error("raft refuses the stored state: {0}")]
    Start(raft::Error),
}

/// raft-rs with asynchronous readies, messages held until their batch is durable, configuration changes in Go's
/// encoding, and election time-outs from a seed.
pub struct Node {
    raw: RawNode<LogView>,
    jitter: Jitter,
    /// Messages that may leave only when the batch with this ticket is durable.
    held: VecDeque<(u64, Vec<Message>)>,
    /// The newest batch handed out, and the newest one reported durable.
    handed_out: u64,
    durable: u64,
    /// The newest hard state seen, written with the next batch even when only the commit index moved.
    hard_state: HardState,
    /// The term that is known to be on disk.
    durable_term: u64,
    /// The terms of batches that are not durable yet.
    pending_terms: VecDeque<(u64, u64)>,
}

impl Node {
    /// A node over a log that has been recovered, with everything up to `applied` applied.
    ///
    /// # Errors
    /// [`NodeError::Start`] when log, hard state and configuration do not fit together.
    pub fn new(
        settings: &Settings,
        log: LogView,
        applied: u64,
        logger: &slog::Logger,
    ) -> Result<Self, NodeError> {
        let raw = RawNode::new(&settings.raft_config(applied), log, logger).map_err(NodeError::Start)?;
        let hard_state = raw.raft.hard_state();
        let durable_term = hard_state.term;
        let mut node = Self {
            raw,
            jitter: Jitter { seed: settings.seed, draws: 0, elapsed: 0, ticks: settings.election_ticks },
            held: VecDeque::new(),
            handed_out: 0,
            durable: 0,
            hard_state,
            durable_term,
            pending_terms: VecDeque::new(),
        };
        node.jitter.apply(&mut node.raw, true);
        Ok(node)
    }

    /// One heartbeat interval has passed.
    pub fn tick(&mut self) {
        self.raw.tick();
        self.jitter.apply(&mut self.raw, false);
    }

    /// Stands for election at once when this member is the only voter: nobody else could be the leader, so there is
    /// nothing to wait for.
    pub fn campaign_if_alone(&mut self) {
        let alone = {
            let voters = self.raw.raft.prs().conf().voters().ids();
            voters.len() == 1 && voters.contains(self.raw.raft.id)
        };
        if alone && self.raw.raft.state != StateRole::Leader {
            // An error means that the node may not campaign now; its own time-out will come.
            let _ = self.raw.campaign();
            self.jitter.apply(&mut self.raw, false);
        }
    }

    /// Proposes requests in this order, all in one message.
    ///
    /// # Errors
    /// [`NodeError::Dropped`]: none of them was taken.
    pub fn propose(&mut self, payloads: impl IntoIterator<Item = Bytes>) -> Result<(), NodeError> {
        let entries: Vec<Entry> =
            payloads.into_iter().map(|data| Entry { data, ..Entry::default() }).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let mut message = Message { from: self.raw.raft.id, ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        message.set_entries(entries.into());
        self.raw.raft.step(message).map_err(|_| NodeError::Dropped)
    }

    /// Proposes a configuration change.
    ///
    /// A raft-rs leader would parse the change with its own numbering of kinds and drop what it does not know, so on the
    /// leader its checks are done here: nothing during a transfer, one change at a time (another becomes an empty
    /// entry, and its proposer times out).
    ///
    /// # Errors
    /// [`NodeError::Dropped`] as for [`Self::propose`].
    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), NodeError> {
        let mut entry = Entry { data: change.encode(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryConfChange);
        let raft = &mut self.raw.raft;
        if raft.state != StateRole::Leader {
            let mut message = Message { from: raft.id, ..Message::default() };
            message.set_msg_type(MessageType::MsgPropose);
            message.set_entries(vec![entry].into());
            return raft.step(message).map_err(|_| NodeError::Dropped);
        }
        if raft.lead_transferee.is_some() || raft.prs().get(raft.id).is_none() {
            return Err(NodeError::Dropped);
        }
        if raft.has_pending_conf() {
            entry = Entry::default();
        } else {
            raft.pending_conf_index = raft.raft_log.last_index() + 1;
        }
        if !raft.append_entry(&mut [entry]) {
            return Err(NodeError::Dropped);
        }
        raft.bcast_append();
        Ok(())
    }

    /// A message from another member. What raft cannot use is ignored, as every member may send again.
    pub fn step(&mut self, message: Message) {
        if self.is_stale_rejection(&message) {
            return;
        }
        let _ = self.raw.step(message);
        self.jitter.apply(&mut self.raw, false);
    }

    /// A message to `id` could not be sent: what it has received is found out anew.
    pub fn unreachable(&mut self, id: u64) {
        self.raw.report_unreachable(id);
    }

    /// Whether a rejected append response speaks of an index that its sender has since matched. raft-rs 0.7 would move
    /// the follower's next index to or below the matched one for it.
    fn is_stale_rejection(&self, message: &Message) -> bool {
        message.get_msg_type() == MessageType::MsgAppendResponse
            && message.reject
            && self.raw.raft.prs().get(message.from).is_some_and(|progress| message.index <= progress.matched)
    }

    /// Asks for an index that is committed now; the answer comes with `context` through [`Collected::reads`], or not at
    /// all (no leader, or nothing committed in the leader's term yet).
    pub fn read_index(&mut self, context: u64) {
        self.raw.read_index(context.to_be_bytes().to_vec());
    }

    /// Batches up to `ticket` are on disk.
    pub fn durable(&mut self, ticket: u64) {
        assert!(ticket <= self.handed_out, "batch {ticket} was never handed out");
        if ticket <= self.durable {
            return;
        }
        self.durable = ticket;
        while let Some(&(batch, term)) = self.pending_terms.front() {
            if batch > ticket {
                break;
            }
            self.durable_term = term;
            self.pending_terms.pop_front();
        }
        self.raw.on_persist_ready(ticket);
        self.jitter.apply(&mut self.raw, false);
    }

    /// Tells raft the outcome of a committed configuration change: `None` when it was refused.
    pub fn apply_conf_change(&mut self, change: Option<&ConfChange>) {
        let change = match change {
            Some(change) => match change.for_raft() {
                Some(change) => change,
                None => return,
            },
            None => confchange::refused(),
        };
        // The only error left after apply's own validation would be a joint configuration, which is never entered.
        if let Ok(state) = self.raw.apply_conf_change(&change) {
            self.raw.mut_store().set_conf_state(state);
        }
    }

    /// Everything up to `index` is applied. `keep_entries` and `keep_bytes` bound the tail that stays in memory for
    /// followers which lag.
    pub fn applied(&mut self, index: u64, keep_entries: u64, keep_bytes: usize) {
        self.raw.advance_apply_to(index);
        self.raw.mut_store().compact(index, keep_entries, keep_bytes);
    }

    /// What has to be done now; `None` when there is nothing. To be asked again until then, after every input.
    pub fn collect(&mut self) -> Option<Collected> {
        let mut out = Collected { messages: self.release(), ..Collected::default() };
        if !self.raw.has_ready() {
            return if out.messages.is_empty() { None } else { Some(out) };
        }
        let mut ready = self.raw.ready();
        let number = ready.number();
        if ready.ss().is_some() || ready.hs().is_some_and(|state| state.term != self.hard_state.term) {
            out.leadership = Some(self.leadership());
        }
        if let Some(state) = ready.hs() {
            self.hard_state = state.clone();
            self.raw.mut_store().set_hard_state(state.clone());
        }
        out.reads = ready.take_read_states().into_iter().filter_map(|state| read_state(&state)).collect();
        out.messages.extend(ready.take_messages());
        out.committed = ready.take_committed_entries().into_iter().map(committed).collect();

        let entries = ready.take_entries();
        if ready.must_sync() {
            self.raw.mut_store().append(&entries);
            self.handed_out = number;
            self.pending_terms.push_back((number, self.hard_state.term));
            out.batch = Some(LogBatch { ticket: number, entries, hard_state: self.hard_state.clone() });
        }
        let persisted = ready.take_persisted_messages();
        self.raw.advance_append_async(ready);
        self.hold(persisted, &mut out.messages);
        Some(out)
    }

    /// Who leads.
    pub fn leadership(&self) -> Leadership {
        let raft = &self.raw.raft;
        let role = match raft.state {
            StateRole::Follower => Role::Follower,
            StateRole::PreCandidate => Role::PreCandidate,
            StateRole::Candidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        };
        Leadership { leader: raft.leader_id, role, term: raft.term }
    }

    /// The newest index known to be committed.
    pub fn committed_index(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    /// Whether the leader of this term has committed an entry of it, so that it may answer reads.
    pub fn committed_in_term(&self) -> bool {
        self.raw.raft.commit_to_current_term()
    }

    /// Puts messages that need everything handed out so far on disk behind the newest batch, except those that do not.
    fn hold(&mut self, messages: Vec<Message>, now: &mut Vec<Message>) {
        if self.durable == self.handed_out {
            now.extend(messages);
            return;
        }
        // A heartbeat's answer promises nothing but its term: a slow disk must not cost a leader its followers.
        let (now_too, later): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| {
            message.get_msg_type() == MessageType::MsgHeartbeatResponse && message.term <= self.durable_term
        });
        now.extend(now_too);
        if !later.is_empty() {
            self.held.push_back((self.handed_out, later));
        }
    }

    /// The held messages whose batches are durable.
    fn release(&mut self) -> Vec<Message> {
        let mut released = Vec::new();
        while self.held.front().is_some_and(|(ticket, _)| *ticket <= self.durable) {
            released.extend(self.held.pop_front().expect("looked at just now").1);
        }
        released
    }
}

fn read_state(state: &raft::ReadState) -> Option<(u64, u64)> {
    // A context of another length is not one of ours.
    let context = <[u8; 8]>::try_from(state.request_ctx.as_slice()).ok()?;
    Some((u64::from_be_bytes(context), state.index))
}

fn committed(entry: Entry) -> Committed {
    let kind = match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => CommittedKind::Empty,
        EntryType::EntryNormal => CommittedKind::Request(entry.data),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => CommittedKind::ConfChange(entry.data),
    };
    Committed { index: entry.index, term: entry.term, kind }
}

/// Election time-outs from a seed.
///
/// raft-rs draws them from the thread's random numbers. Whenever it may have drawn one it is overwritten here: after a
/// call in which the election clock went back, or the first time. The clock itself is deterministic, so a run is.
struct Jitter {
    seed: u64,
    draws: u64,
    elapsed: usize,
    ticks: usize,
}

impl Jitter {
    fn apply(&mut self, raw: &mut RawNode<LogView>, first: bool) {
        let elapsed = raw.raft.election_elapsed;
        if first || elapsed <= self.elapsed {
            self.draws += 1;
        }
        self.elapsed = elapsed;
        let spread = split_mix(self.seed ^ self.draws) % self.ticks as u64;
        raw.raft.set_randomized_election_timeout(self.ticks + spread as usize);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one step from a counter to a well-mixed number.
fn split_mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
