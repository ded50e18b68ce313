//! What can go wrong with the log: one sentence each, with the place and what to do about it.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::device::SegmentName;

/// A call to the device that failed.
#[derive(Debug, Clone, Error)]
#[error("{operation} {file}: {source}")]
pub struct DeviceError {
    /// What was tried, such as "write" or "rename".
    pub operation: &'static str,
    /// Name of the file or directory.
    pub file: String,
    /// The system's own error.
    #[source]
    pub source: Arc<io::Error>,
}

impl DeviceError {
    /// Wraps the system's error with what was tried on which file.
    pub fn new(operation: &'static str, file: impl Into<String>, source: io::Error) -> Self {
        DeviceError { operation, file: file.into(), source: Arc::new(source) }
    }
}

/// What to do when the log on disk cannot be trusted any more.
const RESTORE: &str = "this is not a torn tail, so starting without it could lose acknowledged writes: remove this \
                       member from the cluster, delete its data directory and add it again, or restore a snapshot";

/// An error of the log.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum WalError {
    /// The settings do not fit together.
    #[error("log configuration refused: {reason}")]
    InvalidConfig {
        /// Which setting, and why.
        reason: String,
    },
    /// There is no log to open.
    #[error("no log found in {place}: create one first")]
    NoLog {
        /// The directory.
        place: String,
    },
    /// There is a log already; it is not overwritten.
    #[error("a log exists already in {place}: open it, or move it away")]
    AlreadyExists {
        /// The directory.
        place: String,
    },
    /// Another process, or another handle of this one, uses the log.
    #[error("the log in {place} is in use by another process")]
    InUse {
        /// The directory.
        place: String,
    },
    /// The caller's metadata is longer than a segment header can hold.
    #[error("log metadata of {bytes} bytes is over the limit of {limit}")]
    MetadataTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The device failed.
    #[error("log device: {0}")]
    Device(#[from] DeviceError),
    /// The segment was written by a newer version of this program.
    #[error(
        "log segment {segment} has format version {found}, this program reads up to {supported}: upgrade it"
    )]
    NewerFormat {
        /// The file.
        segment: SegmentName,
        /// Version in the file.
        found: u32,
        /// Newest version known here.
        supported: u32,
    },
    /// The head of a segment does not make sense.
    #[error("log segment {segment} is damaged at its header (byte offset 0): {reason}; {RESTORE}")]
    DamagedHeader {
        /// The file.
        segment: SegmentName,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment between the first and the last is gone.
    #[error("log segment {missing} is missing although {after} follows it; {RESTORE}")]
    MissingSegment {
        /// The file that should be there.
        missing: SegmentName,
        /// The next one that is.
        after: SegmentName,
    },
    /// A group that was durable cannot be read, or does not make sense.
    #[error("log segment {segment} is damaged at byte offset {offset}, group {group}: {reason}; {RESTORE}")]
    Damaged {
        /// The file.
        segment: SegmentName,
        /// Where the group starts, in bytes.
        offset: u64,
        /// Number of the group.
        group: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry of the batch is too long.
    #[error("log entry {index} has {bytes} bytes of data, the limit is {limit}")]
    EntryTooLarge {
        /// Its index.
        index: u64,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// An entry of the batch does not follow what is there.
    #[error("log entry {index} cannot be appended: it must be in {lowest}..={highest}")]
    OutOfOrder {
        /// Its index.
        index: u64,
        /// Lowest index that could be taken.
        lowest: u64,
        /// Highest index that could be taken.
        highest: u64,
    },
    /// A ticket lower than one before: the highest durable ticket would say too much.
    #[error("log ticket {ticket} is lower than the one before, {last}: tickets must not go down")]
    TicketOrder {
        /// The ticket.
        ticket: u64,
        /// The one before.
        last: u64,
    },
    /// The log failed earlier and takes nothing more.
    #[error("the log has failed and accepts nothing until the member is restarted: {0}")]
    Poisoned(Arc<WalError>),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The entries asked for were released.
    #[error("log entry {index} was released: the log starts at {first}")]
    Released {
        /// First index asked for.
        index: u64,
        /// First index that is there.
        first: u64,
    },
    /// The entries asked for are not in the log, or not durable yet.
    #[error("log entry {index} is not in the log yet: its last durable entry is {last}")]
    NotYet {
        /// First index asked for.
        index: u64,
        /// Last index that is there.
        last: u64,
    },
    /// The log's thread ended without saying why.
    #[error("the log's thread could not be started or ended unexpectedly: {reason}")]
    Thread {
        /// What is known.
        reason: String,
    },
}

impl WalError {
    /// The error with which appends are refused after this one.
    pub(crate) fn latched(&self) -> WalError {
        match self {
            WalError::Poisoned(_) => self.clone(),
            other => WalError::Poisoned(Arc::new(other.clone())),
        }
    }
}
