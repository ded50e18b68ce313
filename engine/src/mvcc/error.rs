//! What can go wrong in the MVCC layer.

use crate::error::EngineError;

/// Why an operation of the MVCC layer did not succeed. After [`MvccError::Engine`] or [`MvccError::Corrupt`] inside a
/// write, drop the transaction and stop the member: a half-applied batch must never be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MvccError {
    /// The revision asked for lies below the last compaction; `compact_revision` is the oldest that can still be read.
    #[error("revision {revision} has been compacted; the oldest readable one is {compact_revision}")]
    Compacted {
        /// What was asked for.
        revision: i64,
        /// The last compaction.
        compact_revision: i64,
    },
    /// The revision asked for does not exist yet.
    #[error("revision {revision} is in the future; the current one is {current}")]
    FutureRevision {
        /// What was asked for.
        revision: i64,
        /// The newest one.
        current: i64,
    },
    /// A read in chunks has lived for longer than its limit, and compaction was let go on: it can no longer be told
    /// what stood at its revision.
    #[error(
        "the read at revision {revision} has taken longer than its limit and was ended, so that compaction can go on; \
         begin anew"
    )]
    Outlived {
        /// The revision that was read.
        revision: i64,
    },
    /// The tree below failed; its message says where.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row is unreadable or contradicts another one. The file must not be served any longer: restore the member
    /// from a peer or a snapshot.
    #[error("corrupt row in tree {tree}, key {key}: {what}; restore this member from a peer or a snapshot")]
    Corrupt {
        /// Name of the tree.
        tree: &'static str,
        /// The key, printable.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The trees were written by a newer release in a form that this one does not know.
    #[error("the store has MVCC format {found}, this release reads up to {supported}; start a newer release")]
    Format {
        /// Format of the file.
        found: u64,
        /// Newest format known here.
        supported: u64,
    },
    /// A record given for loading does not continue the history loaded so far.
    #[error("cannot load record {key}: {what}")]
    Load {
        /// The record's key, printable.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// `bytes` for a message: printable ASCII as it is, the rest as `\xNN`, long ones cut.
pub(crate) fn printable(bytes: &[u8]) -> String {
    const LONGEST: usize = 128;
    let cut = &bytes[..bytes.len().min(LONGEST)];
    let text = cut.escape_ascii();
    if cut.len() < bytes.len() { format!("{text}… ({} bytes)", bytes.len()) } else { text.to_string() }
}
