//! What is measured of the multi-version store.

use clap::ValueEnum;

/// One step. They are run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum MvccPhase {
    /// Puts of all keys, in the order of the load.
    Load,
    /// Reads of the newest revision of random keys, in a view each.
    Gets,
    /// Ranges of ten thousand keys from random keys on, to wire form.
    Ranges,
    /// The number of all keys.
    Count,
    /// Puts of new keys behind all others.
    Appends,
    /// Puts of random keys that are there.
    Overwrites,
    /// The ranges again, at the revision before the overwrites.
    PastRanges,
    /// Ranges at that revision that begin with a key that has been put a hundred thousand times since.
    HotRanges,
    /// The hash over the whole history.
    Hash,
    /// Opening, and one read, after `kill -9` in the middle of puts.
    Reopen,
    /// Compaction of what the overwrites superseded.
    Compact,
    /// Removal of about a tenth of the keys in one revision.
    DeleteRange,
    /// Compaction of that.
    CompactDeleted,
}

impl MvccPhase {
    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Load => "load: put of a new key",
            Self::Gets => "get of the newest revision",
            Self::Ranges => "range of 10,000 keys, each key",
            Self::Count => "count of all keys",
            Self::Appends => "put of a new key behind all others",
            Self::Overwrites => "put of a random key that is there",
            Self::PastRanges => "range of 10,000 keys before these puts, each key",
            Self::HotRanges => "the same across a key with 100,000 newer revisions, each key",
            Self::Hash => "HashKV, each record",
            Self::Reopen => "open and first read after kill -9",
            Self::Compact => "compaction, each superseded revision",
            Self::DeleteRange => "DeleteRange of a tenth of the keys, each key",
            Self::CompactDeleted => "compaction after it, each removed revision",
        }
    }

    /// Whether it leaves the store as it was.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Gets | Self::Ranges | Self::Count | Self::PastRanges | Self::Hash)
    }

    /// What its longest step is called in the table, when it has steps that others wait for.
    pub(crate) fn step(self) -> Option<&'static str> {
        match self {
            Self::Load | Self::Appends | Self::Overwrites => Some("longest batch of 500"),
            Self::Compact | Self::CompactDeleted => Some("longest step"),
            _ => None,
        }
    }
}
