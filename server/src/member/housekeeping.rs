//! Work of the apply thread that nobody waits for: when the next step of it is due.
//!
//! Compaction and the moving of pages run in bounded steps, between batches and also when nothing comes. Each step says
//! when the next one should be.

use std::time::{Duration, Instant};

use holdfast_engine::tree::Relocation;

/// Pages written by one step of moving, about: far less than 10 ms, also when some of them must be read from the disk.
pub(super) const RELOCATION_PAGES: u64 = 64;
/// Pause between two such steps.
const RELOCATION_PAUSE: Duration = Duration::from_millis(2);
/// Pause when there is nothing to move, or a checkpoint must come first.
const RELOCATION_REST: Duration = Duration::from_secs(1);

/// Which step is due when.
#[derive(Debug)]
pub(super) struct Housekeeping {
    /// The next step of compaction; `None` when none is under way.
    pub(super) compaction: Option<Instant>,
    /// The next step of moving pages.
    relocation: Instant,
}

impl Housekeeping {
    /// At the start a compaction may be under way: the last stop may have cut it off.
    pub(super) fn new(now: Instant) -> Self {
        Self { compaction: Some(now), relocation: now }
    }

    /// When the next step is due.
    pub(super) fn next(&self) -> Instant {
        self.compaction.map_or(self.relocation, |compaction| compaction.min(self.relocation))
    }

    /// Whether a step of compaction is due.
    pub(super) fn compaction_is_due(&self, now: Instant) -> bool {
        self.compaction.is_some_and(|due| due <= now)
    }

    /// Whether a step of moving pages is due.
    pub(super) fn relocation_is_due(&self, now: Instant) -> bool {
        self.relocation <= now
    }

    /// A step of moving pages has been made.
    pub(super) fn relocated(&mut self, progress: Relocation, now: Instant) {
        self.relocation = now
            + match progress {
                Relocation::More => RELOCATION_PAUSE,
                Relocation::Idle | Relocation::Waiting => RELOCATION_REST,
            };
    }
}
