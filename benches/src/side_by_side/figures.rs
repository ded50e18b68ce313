//! What was measured, and the one figure for each thing that is told of it.

use std::collections::BTreeMap;

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

/// The middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }
}
