//! Apply: committed entries become state.
//!
//! A batch of entries is applied in one engine transaction and published at once. What an entry does follows from the
//! entry and the state before it alone, so that all members have the same state after the same index; nothing here asks
//! a clock or the member it runs on. A request that fails (an unknown lease, a compacted revision) changes nothing and
//! still counts as applied.
//!
//! | file | what |
//! | --- | --- |
//! | `applier.rs` | the batch: one transaction, its replies and its effects |
//! | `request.rs` | which request an entry carries, and the alarms that stand in its way |
//! | `kv.rs`, `txn.rs` | put, delete, range, compaction; transactions |
//! | `lease.rs`, `alarm.rs`, `cluster.rs` | leases, alarms, membership and version |

mod alarm;
mod applier;
mod cluster;
mod kv;
mod lease;
mod request;
mod txn;

#[cfg(test)]
mod tests;

use holdfast_engine::mvcc::{CompactionSpan, KeyValue, MvccError, RevisionChanges, trees};
use holdfast_engine::tree::TreeId;
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request as Op;
use pb::response_op::Response as Done;

use crate::membership::MembershipError;
use crate::raft::{ConfChange, ConfChangeError};

pub use alarm::Alarms;
pub use applier::{Applier, TERM_KEY};
pub use kv::{range_query, range_response};
pub use txn::{is_read_only, is_serializable, read_only_txn};

/// What the proposer of an applied request gets. Response headers hold the revision only; the member that answers adds
/// who it is.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Reply {
    Put(pb::PutResponse),
    DeleteRange(pb::DeleteRangeResponse),
    Txn(pb::TxnResponse),
    Compaction(pb::CompactionResponse),
    LeaseGrant(pb::LeaseGrantResponse),
    LeaseRevoke(pb::LeaseRevokeResponse),
    LeaseCheckpoint(pb::LeaseCheckpointResponse),
    Alarm(pb::AlarmResponse),
    /// The members after a configuration change.
    Members(Vec<pb::Member>),
    /// Applied, with nothing to say.
    Done,
}

/// What became of a request: a reply, or the error that its proposer gets.
pub type Outcome = Result<Reply, EtcdError>;

/// Something that happened to a lease, for the member's [`crate::lease::Lessor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEffect {
    /// Granted for so many seconds.
    Granted {
        /// The lease.
        id: i64,
        /// Its time to live in seconds.
        seconds: i64,
    },
    /// Gone, with its keys.
    Revoked {
        /// The lease.
        id: i64,
    },
    /// So many seconds were left when the leader recorded it.
    Checkpointed {
        /// The lease.
        id: i64,
        /// Seconds left.
        remaining_seconds: i64,
    },
}

/// Everything that a batch of entries has brought about.
#[derive(Debug, Default)]
pub struct Applied {
    /// Index of the last entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Replies by request id, in the order of the entries.
    pub replies: Vec<(u64, Outcome)>,
    /// What changed in the key space, by ascending revision: for watchers.
    pub revisions: Vec<RevisionChanges>,
    /// What happened to leases.
    pub leases: Vec<LeaseEffect>,
    /// Configuration changes in order, `None` where one was refused: for raft, which counts them as pending until told.
    pub conf_changes: Vec<Option<ConfChange>>,
    /// Whether members or the cluster version changed.
    pub membership_changed: bool,
    /// Whether alarms changed.
    pub alarms_changed: bool,
    /// Whether the first entry of a leader's term was among the entries; the term.
    pub term_started: Option<u64>,
    /// A compaction to this revision was accepted: its physical part can begin.
    pub compacted: Option<i64>,
    /// The compaction whose records are to be hashed before its physical part begins.
    pub compaction_to_hash: Option<CompactionSpan>,
    /// Whether a request was applied whose proposer was told that there is no space: an alarm is due.
    pub told_no_space: bool,
    /// Bytes and counts for the metrics.
    pub counts: Counts,
}

/// What was applied, operations inside transactions included.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs)]
pub struct Counts {
    pub puts: u64,
    pub put_bytes: u64,
    pub deletes: u64,
    pub txns: u64,
}

impl Counts {
    /// Counts what a transaction has done, with what is nested in it.
    fn add_txn(&mut self, request: &pb::TxnRequest, response: &pb::TxnResponse) {
        self.txns += 1;
        let branch = if response.succeeded { &request.success } else { &request.failure };
        for (op, done) in branch.iter().zip(&response.responses) {
            match (&op.request, &done.response) {
                (Some(Op::RequestPut(put)), _) => {
                    self.puts += 1;
                    self.put_bytes += (put.key.len() + put.value.len()) as u64;
                }
                (Some(Op::RequestDeleteRange(_)), Some(Done::ResponseDeleteRange(done))) => {
                    self.deletes += done.deleted.unsigned_abs();
                }
                (Some(Op::RequestTxn(request)), Some(Done::ResponseTxn(response))) => {
                    self.add_txn(request, response);
                }
                _ => {}
            }
        }
    }
}

/// Why a member cannot go on applying. It has to stop: skipping an entry would make its state differ from the others'.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The engine failed.
    #[error("applying entry {index} failed in the store: {source}")]
    Store {
        /// The entry.
        index: u64,
        /// What the store says.
        source: MvccError,
    },
    /// The stored membership is damaged.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A committed entry is not an `InternalRaftRequest`.
    #[error(
        "entry {index} does not decode as a request: {source}; this member is too old for the log, or the log is damaged"
    )]
    Decode {
        /// The entry.
        index: u64,
        /// What the decoder says.
        source: prost::DecodeError,
    },
    /// A committed entry carries a request that this version does not know how to apply.
    #[error(
        "entry {index} carries a request that this version cannot apply ({what}); run a version that can"
    )]
    UnknownRequest {
        /// The entry.
        index: u64,
        /// What is known of it.
        what: &'static str,
    },
    /// A committed configuration change is not usable.
    #[error("entry {index}: {source}")]
    ConfChange {
        /// The entry.
        index: u64,
        /// What is wrong with it.
        source: ConfChangeError,
    },
}

/// A failure inside one request: an error for its proposer, or the end of this member.
#[derive(Debug)]
enum Failure {
    Client(EtcdError),
    Fatal(MvccError),
}

impl From<EtcdError> for Failure {
    fn from(error: EtcdError) -> Self {
        Self::Client(error)
    }
}

impl From<MvccError> for Failure {
    fn from(error: MvccError) -> Self {
        match error {
            // A read in chunks is none of apply's; its revision is lost to compaction all the same.
            MvccError::Compacted { .. } | MvccError::Outlived { .. } => Self::Client(EtcdError::Compacted),
            MvccError::FutureRevision { .. } => Self::Client(EtcdError::FutureRev),
            other => Self::Fatal(other),
        }
    }
}

/// The error for a stored record that is not in the form in which it was written.
fn unreadable(tree: TreeId, key: &[u8], what: &'static str) -> MvccError {
    MvccError::Corrupt { tree: trees::name(tree), key: key.escape_ascii().to_string(), what }
}

/// Reads a `KeyValue` that the store has handed out.
fn key_value(wire: &[u8]) -> Result<KeyValue<'_>, MvccError> {
    KeyValue::decode(wire).ok_or_else(|| unreadable(trees::RECORDS, wire, "not a KeyValue"))
}

/// A response header that knows only the revision.
#[allow(clippy::unnecessary_wraps)] // the type of every response's field
fn header(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { revision, ..pb::ResponseHeader::default() })
}
