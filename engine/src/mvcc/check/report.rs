//! What a check of the trees tells.

use super::super::revision::Revision;
use super::super::trees::{HISTORY, LIVE, RECORDS};
use crate::tree::TreeId;
use std::fmt;

/// Most faults that a report lists.
const MAX_FAULTS: usize = 1000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MvccReport {
    /// The first faults, in the order in which they were met.
    pub faults: Vec<MvccFault>,
    /// How many there are.
    pub fault_count: u64,
    /// Records looked at.
    pub records: u64,
    /// Rows of LIVE looked at.
    pub live: u64,
    /// Rows of HISTORY looked at.
    pub history: u64,
    /// Rows of `LEASE_KEYS` looked at.
    pub lease_keys: u64,
}

impl MvccReport {
    /// Whether everything fits.
    pub fn is_clean(&self) -> bool {
        self.fault_count == 0
    }

    /// The count of rows looked at in a tree that is checked.
    pub(super) fn rows_of(&mut self, tree: TreeId) -> &mut u64 {
        match tree {
            LIVE => &mut self.live,
            HISTORY => &mut self.history,
            RECORDS => &mut self.records,
            _ => &mut self.lease_keys,
        }
    }

    pub(super) fn add(&mut self, fault: MvccFault) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// Something that does not fit. Keys are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MvccFault {
    /// An entry that cannot be read.
    Unreadable {
        /// Name of the tree.
        tree: &'static str,
        /// Key of the entry.
        key: String,
    },
    /// A row without its record.
    RecordMissing {
        /// Name of the row's tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Where the record should be.
        revision: Revision,
    },
    /// A row that says something else than its record.
    RecordDiffers {
        /// Name of the row's tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Where the record is.
        revision: Revision,
    },
    /// A superseded version without the record that superseded it, or with one that does not continue it.
    SupersederDiffers {
        /// The user's key.
        key: String,
        /// The superseded version.
        revision: Revision,
        /// What should have superseded it.
        by: Revision,
    },
    /// Two versions of a key that were readable at the same time.
    Overlap {
        /// The user's key.
        key: String,
        /// The later version.
        revision: Revision,
    },
    /// A record that no row knows.
    RowMissing {
        /// The user's key.
        key: String,
        /// Where the record is.
        revision: Revision,
    },
    /// Something that compaction should have removed.
    NotCompacted {
        /// Name of the tree.
        tree: &'static str,
        /// The user's key.
        key: String,
        /// Its revision.
        revision: Revision,
    },
    /// Revisions are missing before this one.
    Gap {
        /// The first one behind the gap.
        revision: Revision,
    },
    /// A record newer than the current revision.
    BeyondCurrent {
        /// Its revision.
        revision: Revision,
    },
    /// A living key names a lease that does not know it.
    LeaseKeyMissing {
        /// The user's key.
        key: String,
        /// The lease.
        lease: i64,
    },
    /// A lease names a key that is not attached to it.
    LeaseKeyStray {
        /// The user's key.
        key: String,
        /// The lease.
        lease: i64,
    },
}

impl fmt::Display for MvccFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { tree, key } => write!(f, "tree {tree}: the entry of {key} cannot be read"),
            Self::RecordMissing { tree, key, revision } => {
                write!(f, "tree {tree}: key {key} has no record at {revision}")
            }
            Self::RecordDiffers { tree, key, revision } => {
                write!(f, "tree {tree}: the row of key {key} differs from its record at {revision}")
            }
            Self::SupersederDiffers { key, revision, by } => {
                write!(f, "key {key}: version {revision} is not continued by the record at {by}")
            }
            Self::Overlap { key, revision } => {
                write!(f, "key {key}: version {revision} overlaps the one before it")
            }
            Self::RowMissing { key, revision } => {
                write!(f, "key {key}: no row knows the record at {revision}")
            }
            Self::NotCompacted { tree, key, revision } => {
                write!(f, "tree {tree}: key {key} at {revision} should have been compacted")
            }
            Self::Gap { revision } => write!(f, "revisions are missing before {revision}"),
            Self::BeyondCurrent { revision } => {
                write!(f, "the record at {revision} is newer than the current revision")
            }
            Self::LeaseKeyMissing { key, lease } => {
                write!(f, "key {key} is attached to lease {lease}, which does not know it")
            }
            Self::LeaseKeyStray { key, lease } => {
                write!(f, "lease {lease} names key {key}, which is not attached to it")
            }
        }
    }
}
