//! The settings of a log, and the check that they fit together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::WalError;
use crate::format::{self, group, record, segment};

/// Called on the log's thread with the highest ticket that is durable together with all before it, in ascending
/// order; and once with the error when the log fails. It must not block and must not call [`crate::Wal::close`].
pub type OnDurable = Arc<dyn Fn(Result<u64, WalError>) + Send + Sync>;

/// Called on the log's thread after each durable write.
pub type OnWrite = Arc<dyn Fn(WriteReport) + Send + Sync>;

/// One durable write of a group, as the log's thread saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteReport {
    /// Bytes written, padding included.
    pub bytes: u64,
    /// Time from handing the write to the system to its completion.
    pub elapsed: Duration,
}

/// Which writer to use on files. Other devices are always written by plain calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriterChoice {
    /// The one that measured faster, which is the ring where the system takes it.
    #[default]
    Auto,
    /// io_uring; the blocking writer where the system refuses it.
    Ring,
    /// One blocking call for each group.
    Blocking,
}

/// Settings of a log.
#[derive(Clone)]
pub struct Config {
    /// Size of a segment file in bytes; a multiple of the block. Default 64 MiB.
    pub segment_bytes: u64,
    /// Greatest length of one entry's data in bytes. Default 2 MiB. A segment must have room for it.
    pub max_entry_bytes: u32,
    /// A group is closed at this many bytes, unless a single entry is longer. Default 4 MiB: large, because a group
    /// that closes early caps the throughput of the disk; bounded, because the whole group is held in memory.
    pub max_group_bytes: u32,
    /// Groups that may be under way to the disk at once, 1 or 2. The blocking writer always has one.
    pub groups_in_flight: usize,
    /// Unused segments kept for re-use; more are deleted. Default 2.
    pub spare_segments: usize,
    /// Writes are not made durable: a crash of the machine loses what was acknowledged.
    pub no_sync: bool,
    /// Which writer to use.
    pub writer: WriterChoice,
    /// Receives the durable tickets.
    pub on_durable: OnDurable,
    /// Receives a report of each write, for metrics.
    pub on_write: Option<OnWrite>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            segment_bytes: 64 << 20,
            max_entry_bytes: 2 << 20,
            max_group_bytes: 4 << 20,
            groups_in_flight: 2,
            spare_segments: 2,
            no_sync: false,
            writer: WriterChoice::Auto,
            on_durable: Arc::new(|_| {}),
            on_write: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("segment_bytes", &self.segment_bytes)
            .field("max_entry_bytes", &self.max_entry_bytes)
            .field("max_group_bytes", &self.max_group_bytes)
            .field("groups_in_flight", &self.groups_in_flight)
            .field("spare_segments", &self.spare_segments)
            .field("no_sync", &self.no_sync)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// Segments may not be larger than this: offsets of groups then fit the index, and a bad configuration cannot ask
/// for a file that no recovery could scan in reasonable time.
pub const MAX_SEGMENT_BYTES: u64 = 4 << 30;

/// No entry may be longer than this, whatever the configuration says.
pub const MAX_ENTRY_BYTES: u32 = 64 << 20;

impl Config {
    /// Checks that the settings fit each other and the device's block.
    pub(crate) fn validate(&self, block: u32) -> Result<(), WalError> {
        let fail = |reason: String| Err(WalError::InvalidConfig { reason });
        if !block.is_power_of_two() || !(512..=format::MAX_BLOCK_BYTES).contains(&block) {
            return fail(format!(
                "the device's block of {block} bytes is not a power of two from 512 to 65536"
            ));
        }
        let block = format::effective_block(block);
        if !self.segment_bytes.is_multiple_of(u64::from(block)) || self.segment_bytes > MAX_SEGMENT_BYTES {
            return fail(format!(
                "segment_bytes {} must be a multiple of {block} and at most {MAX_SEGMENT_BYTES}",
                self.segment_bytes
            ));
        }
        if self.max_entry_bytes > MAX_ENTRY_BYTES {
            return fail(format!("max_entry_bytes {} is over {MAX_ENTRY_BYTES}", self.max_entry_bytes));
        }
        if self.max_group_bytes > MAX_ENTRY_BYTES {
            return fail(format!("max_group_bytes {} is over {MAX_ENTRY_BYTES}", self.max_group_bytes));
        }
        if !(1..=2).contains(&self.groups_in_flight) {
            return fail(format!("groups_in_flight {} must be 1 or 2", self.groups_in_flight));
        }
        let needed = segment::area_bytes(block)
            + format::round_up(
                group::HEADER_BYTES as u64
                    + record::HARD_STATE_BYTES as u64
                    + record::entry_bytes(self.max_entry_bytes as usize) as u64,
                block,
            );
        if self.segment_bytes < needed {
            return fail(format!(
                "segment_bytes {} has no room for an entry of max_entry_bytes {}: at least {needed} are needed",
                self.segment_bytes, self.max_entry_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_on_every_block_size() {
        for shift in 9..=16 {
            assert!(Config::default().validate(1 << shift).is_ok());
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        let base = Config::default;
        let bad = [
            Config { segment_bytes: 1 << 20, ..base() },
            Config { segment_bytes: (64 << 20) + 1, ..base() },
            Config { segment_bytes: 8 << 30, ..base() },
            Config { max_entry_bytes: 65 << 20, ..base() },
            Config { max_entry_bytes: 64 << 20, ..base() },
            Config { groups_in_flight: 0, ..base() },
            Config { groups_in_flight: 3, ..base() },
            Config { max_group_bytes: u32::MAX, ..base() },
        ];
        for config in bad {
            assert!(matches!(config.validate(4096), Err(WalError::InvalidConfig { .. })), "{config:?}");
        }
        for block in [0, 100, 256, 5000, 1 << 17] {
            assert!(base().validate(block).is_err());
        }
    }
}
