//! What is measured.

use clap::ValueEnum;

/// One step of a round. They are run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Phase {
    /// Load of a database of its own, key by key in ascending order, in one transaction.
    LoadAscending,
    /// The same by the engine's way for keys that come in order.
    LoadAppend,
    /// Load in random order, in one transaction. What follows works on this.
    LoadRandom,
    /// Random reads in one transaction.
    Gets,
    /// Random reads of two threads, each in one transaction.
    GetsTwoThreads,
    /// Random reads in a transaction each.
    GetsTxn,
    /// Scans of ten entries from random keys on, in one transaction.
    ShortScans,
    /// One scan over everything.
    FullScan,
    /// Durable commits of one new random key.
    Commits,
    /// Durable commits of a thousand new random keys.
    Batches,
    /// Opening, and one read, after `kill -9` in the middle of commits.
    Reopen,
    /// Durable removals of a thousand random keys.
    DeleteBatches,
    /// Removal of half of the keys in one transaction.
    Deletes,
}

impl Phase {
    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::LoadAscending => "bulk load, ascending",
            Self::LoadAppend => "bulk load, ascending, by appending",
            Self::LoadRandom => "bulk load, random order",
            Self::Gets => "random reads",
            Self::GetsTwoThreads => "random reads, two threads",
            Self::GetsTxn => "random reads, a transaction each",
            Self::ShortScans => "scans of 10 entries",
            Self::FullScan => "scan of everything, each entry",
            Self::Commits => "durable commits of one put",
            Self::Batches => "durable commits of 1,000 puts, each put",
            Self::Reopen => "open and first read after kill -9",
            Self::DeleteBatches => "durable removals of 1,000 keys, each key",
            Self::Deletes => "removal of half the keys in one commit",
        }
    }

    /// Whether it leaves the database as it was.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Gets | Self::GetsTwoThreads | Self::GetsTxn | Self::ShortScans | Self::FullScan)
    }

    /// Whether the size of the file is told after it.
    pub(crate) fn changes_size(self) -> bool {
        matches!(
            self,
            Self::LoadAscending | Self::LoadAppend | Self::LoadRandom | Self::Batches | Self::Deletes
        )
    }

    /// Whether it works on what [`Phase::LoadRandom`] has loaded.
    pub(crate) fn needs_load(self) -> bool {
        self > Self::LoadRandom
    }
}
