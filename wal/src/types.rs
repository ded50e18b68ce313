//! What the log stores: entries, the hard state, and the place at which the log starts.
//!
//! The log keeps these things and gives them back; it does not look into an entry's data and draws no conclusion from
//! a term or a vote. Indexes count from 1; index 0 stands for "before the first entry".

use bytes::Bytes;

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in the replicated log, counted from 1, without gaps.
    pub index: u64,
    /// Term in which a leader proposed it.
    pub term: u64,
    /// The caller's own mark of what the data is (for raft: normal or configuration change).
    pub kind: u8,
    /// Payload in bytes; may be empty.
    pub data: Bytes,
}

/// What raft must remember beside its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// Newest term this member has seen.
    pub term: u64,
    /// Member voted for in that term; 0 for none.
    pub vote: u64,
    /// Newest index known to be committed.
    pub commit: u64,
}

/// The entry just before the first one that the log holds: what it was released to, or reset to.
///
/// The default (0, 0) is the start of a log that has never let go of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStart {
    /// Index of the last entry that is no longer there.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
}

/// What is to become durable together. Written in the order of the fields: a hard state is never durable before the
/// entries that stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Forget every entry, before and after: the log then starts behind this place. For a member whose state was
    /// replaced by a snapshot.
    pub reset: Option<LogStart>,
    /// Entries with contiguous indexes. One whose index is already in the log replaces it and all after it.
    pub entries: Vec<Entry>,
    /// New hard state, if it has changed.
    pub hard_state: Option<HardState>,
}

impl Batch {
    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.reset.is_none() && self.entries.is_empty() && self.hard_state.is_none()
    }

    /// Bytes of entry data in it.
    pub fn data_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.data.len() as u64).sum()
    }
}
