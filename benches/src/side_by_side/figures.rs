//! What was measured, and the one figure for each thing that is told of it.

use std::collections::BTreeMap;

use crate::common::numbers::median;

use super::{generator::Run, rounds::Phase, server::Subject};

/// What a load of many keys left behind.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The puts.
    pub(crate) puts: Run,
    /// The wide ranges after them; its memory figures are those of a server that has answered them.
    pub(crate) wide: Run,
    /// Bytes of the directory on disk.
    pub(crate) disk_bytes: f64,
    /// From the start after SIGKILL to the first linearizable read, in seconds.
    pub(crate) restart_secs: f64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// One run for each round.
    pub(crate) runs: BTreeMap<(Phase, Subject), Vec<Run>>,
    /// One load for each server.
    pub(crate) loads: BTreeMap<Subject, Load>,
    /// Keys of the load.
    pub(crate) load_keys: u64,
}

impl Measured {
    /// The median over the rounds of one figure of a phase.
    pub(crate) fn median(&self, phase: Phase, subject: Subject, figure: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.get(&(phase, subject))?.iter().map(figure).collect())
    }

    /// The worst over the rounds of one figure of a phase.
    pub(crate) fn most(&self, phase: Phase, subject: Subject, figure: impl Fn(&Run) -> f64) -> Option<f64> {
        self.runs.get(&(phase, subject))?.iter().map(figure).max_by(f64::total_cmp)
    }

    /// One figure of the load.
    pub(crate) fn load(&self, subject: Subject, figure: impl Fn(&Load) -> f64) -> Option<f64> {
        self.loads.get(&subject).map(figure)
    }
}
