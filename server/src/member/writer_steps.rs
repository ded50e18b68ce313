//! How long the writer of the database was held, by each kind of step.
//!
//! One thing at a time has the writer's turn, and everything that is ordered behind it waits. So each step is bounded, and
//! what it took is told to whoever measures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_engine::tree::{TurnObserver, TurnUse};
use parking_lot::Mutex;

/// What holds the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterStep {
    /// A batch of entries is applied.
    Apply,
    /// A step of physical compaction.
    Compaction,
    /// A step that moves pages off the end of the database file.
    Relocation,
    /// The first part of a checkpoint.
    Checkpoint,
    /// The end of the file is given back.
    TailCut,
}

impl WriterStep {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Apply, Self::Compaction, Self::Relocation, Self::Checkpoint, Self::TailCut];

    /// Name for a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Compaction => "compaction",
            Self::Relocation => "relocation",
            Self::Checkpoint => "checkpoint",
            Self::TailCut => "tail_cut",
        }
    }
}

/// Told of each step and how long it held the writer.
pub type OnHeld = Arc<dyn Fn(WriterStep, Duration) + Send + Sync>;

/// Times what the engine does with the writer's turn by itself.
pub(super) struct TurnClock {
    on_held: OnHeld,
    /// One at a time has the turn.
    since: Mutex<Option<Instant>>,
}

impl TurnClock {
    pub(super) fn new(on_held: OnHeld) -> Self {
        Self { on_held, since: Mutex::new(None) }
    }
}

impl TurnObserver for TurnClock {
    fn taken(&self, _: TurnUse) {
        *self.since.lock() = Some(Instant::now());
    }

    fn given_back(&self, by: TurnUse) {
        let step = match by {
            TurnUse::CheckpointBegin => WriterStep::Checkpoint,
            TurnUse::TailCut => WriterStep::TailCut,
        };
        if let Some(since) = self.since.lock().take() {
            (self.on_held)(step, since.elapsed());
        }
    }
}
