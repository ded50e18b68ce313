//! Automatic compaction: which revision may go, by age or by count.
//!
//! The decision is a small state machine over the revisions seen at regular looks; the task around it has the clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::AutoCompaction;

/// Looks in one retention period; the error of the age is one tenth of it.
const LOOKS_PER_PERIOD: u32 = 10;
/// A period longer than this is looked at as if it were this long.
const LONGEST_LOOKED_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How often the revision mode looks.
const REVISION_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// What is to be compacted, and when to look.
#[derive(Debug)]
pub(super) enum AutoCompactor {
    /// Keeps what is younger than `period`.
    Periodic {
        interval: Duration,
        /// Looks that make up the period.
        looks: usize,
        /// Revisions at the last looks, oldest first.
        seen: VecDeque<i64>,
        last: i64,
    },
    /// Keeps the newest `retention` revisions.
    Revision { retention: i64, last: i64 },
}

impl AutoCompactor {
    /// `None` when automatic compaction is off.
    pub(super) fn new(setting: AutoCompaction) -> Option<Self> {
        match setting {
            AutoCompaction::Off => None,
            AutoCompaction::Periodic(period) => {
                let interval = period.min(LONGEST_LOOKED_PERIOD) / LOOKS_PER_PERIOD;
                let looks = period.as_nanos().div_ceil(interval.as_nanos().max(1)) as usize;
                Some(Self::Periodic { interval, looks, seen: VecDeque::new(), last: 0 })
            }
            AutoCompaction::Revisions(retention) => {
                Some(Self::Revision { retention: i64::try_from(retention).unwrap_or(i64::MAX), last: 0 })
            }
        }
    }

    /// The time between two looks.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::Periodic { interval, .. } => *interval,
            Self::Revision { .. } => REVISION_INTERVAL,
        }
    }

    /// A look at the current revision. Returns the revision to compact, when there is something new to let go.
    pub(super) fn look(&mut self, current: i64) -> Option<i64> {
        match self {
            Self::Periodic { looks, seen, last, .. } => {
                seen.push_back(current);
                if seen.len() <= *looks {
                    return None;
                }
                let target = seen.pop_front()?;
                due(*last, target)
            }
            Self::Revision { retention, last } => due(*last, current.saturating_sub(*retention)),
        }
    }

    /// A compaction to `revision` was accepted.
    pub(super) fn done(&mut self, revision: i64) {
        match self {
            Self::Periodic { last, .. } | Self::Revision { last, .. } => *last = revision.max(*last),
        }
    }
}

fn due(last: i64, target: i64) -> Option<i64> {
    (target > last && target > 1).then_some(target)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn by_age_the_revision_of_one_period_ago_goes() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Periodic(Duration::from_secs(600))).unwrap();
        assert_eq!(compactor.interval(), Duration::from_secs(60));
        for look in 0..10 {
            assert_eq!(compactor.look(100 + look), None, "nothing is a period old yet");
        }
        assert_eq!(compactor.look(200), Some(100));
        assert_eq!(compactor.look(200), Some(101), "the last was not confirmed: it may have failed");
        compactor.done(101);
        for _ in 0..8 {
            compactor.look(200);
        }
        assert_eq!(compactor.look(200), Some(200));
        compactor.done(200);
        assert_eq!(compactor.look(200), None, "nothing was written since");
    }

    #[test]
    fn a_long_period_is_looked_at_every_six_minutes() {
        let compactor = AutoCompactor::new(AutoCompaction::Periodic(Duration::from_secs(10 * 3600))).unwrap();
        assert_eq!(compactor.interval(), Duration::from_secs(360));
        assert!(matches!(compactor, AutoCompactor::Periodic { looks: 100, .. }));
    }

    #[test]
    fn by_count_the_newest_revisions_stay() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Revisions(1000)).unwrap();
        assert_eq!(compactor.look(900), None);
        assert_eq!(compactor.look(1500), Some(500));
        compactor.done(500);
        assert_eq!(compactor.look(1500), None);
        assert!(AutoCompactor::new(AutoCompaction::Off).is_none());
    }
}
