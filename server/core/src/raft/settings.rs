//! The raft settings that all members of a cluster share.

/// How a [`super::Node`] is set up. The fixed values are etcd's and must be equal on every member of a mixed cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This member's id; never zero.
    pub member_id: u64,
    /// Ticks without a word from the leader after which a member campaigns: the election timeout over the heartbeat
    /// interval, 10 by default.
    pub election_ticks: usize,
    /// Whether a candidate asks first whether it could win, so that a member that comes back does not depose a leader.
    pub pre_vote: bool,
    /// Seed of the randomised election timeouts.
    pub seed: u64,
}

/// One heartbeat each tick: the tick *is* the heartbeat interval.
pub(super) const HEARTBEAT_TICKS: usize = 1;

/// Bytes of entries in one append message. Larger would let one follower's message hold up the heartbeats behind it.
const MAX_MESSAGE_BYTES: u64 = 1 << 20;

/// Append messages in flight to one follower.
const MAX_IN_FLIGHT: usize = 512;

/// Bytes of proposals that a leader accepts before they commit. Beyond it proposals are dropped, which clients see as
/// "too many requests": without a bound a leader that lost its quorum would keep every proposal in memory.
const MAX_UNCOMMITTED_BYTES: u64 = 256 << 20;

/// Bytes of committed entries handed to apply at once: bounds the size of one engine transaction.
const MAX_COMMITTED_BYTES: u64 = 8 << 20;

impl Settings {
    /// The settings as raft-rs wants them. Its own defaults differ from etcd's in nearly every field.
    pub(super) fn raft_config(&self, applied: u64) -> raft::Config {
        raft::Config {
            id: self.member_id,
            election_tick: self.election_ticks,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied,
            max_size_per_msg: MAX_MESSAGE_BYTES,
            max_inflight_msgs: MAX_IN_FLIGHT,
            check_quorum: true,
            pre_vote: self.pre_vote,
            read_only_option: raft::ReadOnlyOption::Safe,
            batch_append: false,
            max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
            max_committed_size_per_ready: MAX_COMMITTED_BYTES,
            ..raft::Config::default()
        }
    }
}
