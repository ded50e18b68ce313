//! Leases: who holds one, and when it ends.
//!
//! Which leases exist, with which time to live, stands in the log and in the engine. *When* one ends is the leader's
//! business alone: it keeps the deadlines, renews them without the log, and proposes the revocation of what is due.
//! Followers keep the leases without deadlines. All times are durations since some fixed moment, given by the caller
//! from a clock that counts suspension.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A revocation that has not come through the log after this time is proposed again.
const REVOKE_RETRY: Duration = Duration::from_secs(7);

/// A new leader lets at most this many leases end in one second, when it has many: all of them were given their full
/// time again at the same moment.
const SPREAD_PER_SECOND: usize = 750;

/// From this number of leases on a new leader spreads their ends.
const SPREAD_FROM: usize = 1000;

/// Why a lease was not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewRefusal {
    /// There is no such lease.
    NotFound,
    /// It is due: its deletion is on its way, and must come before it may be said that the lease is gone.
    Due,
    /// This member is not the leader.
    NotPrimary,
}

/// What is known of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Whole seconds left, rounded down; zero while it is due but still there.
    pub remaining_seconds: i64,
    /// Seconds granted.
    pub granted_seconds: i64,
}

#[derive(Debug)]
struct Lease {
    granted_seconds: i64,
    /// Seconds left at the last checkpoint through the log; zero when there was none.
    checkpointed_seconds: i64,
    deadline: Option<Duration>,
    due: bool,
}

/// All leases, with their deadlines on the leader.
#[derive(Debug, Default)]
pub struct Lessor {
    leases: BTreeMap<i64, Lease>,
    deadlines: BTreeSet<(Duration, i64)>,
    primary: bool,
}

impl Lessor {
    /// No leases; not the leader.
    pub fn new() -> Self {
        Self::default()
    }

    /// A lease that the engine holds; used at start, before this member can lead.
    pub fn load(&mut self, id: i64, granted_seconds: i64, checkpointed_seconds: i64) {
        self.leases.insert(id, Lease { granted_seconds, checkpointed_seconds, deadline: None, due: false });
    }

    /// The log has granted a lease.
    pub fn granted(&mut self, id: i64, seconds: i64, now: Duration) {
        self.revoked(id);
        self.load(id, seconds, 0);
        if self.primary {
            self.set_deadline(id, now + seconds_long(seconds));
        }
    }

    /// The log has revoked a lease.
    pub fn revoked(&mut self, id: i64) {
        if let Some(deadline) = self.leases.remove(&id).and_then(|lease| lease.deadline) {
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// The log has recorded how many seconds a lease has left.
    pub fn checkpointed(&mut self, id: i64, remaining_seconds: i64, now: Duration) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        lease.checkpointed_seconds = remaining_seconds;
        if self.primary && !lease.due {
            let left = if remaining_seconds > 0 { remaining_seconds } else { lease.granted_seconds };
            self.set_deadline(id, now + seconds_long(left));
        }
    }

    /// This member has become the leader: every lease gets its full time again (or what its checkpoint left), and
    /// `extend` on top, for the time in which nobody could renew it.
    pub fn promote(&mut self, now: Duration, extend: Duration) {
        self.demote();
        self.primary = true;
        let mut ends: Vec<(Duration, i64)> = self
            .leases
            .iter()
            .map(|(id, lease)| {
                let seconds = if lease.checkpointed_seconds > 0 {
                    lease.checkpointed_seconds
                } else {
                    lease.granted_seconds
                };
                (now + seconds_long(seconds) + extend, *id)
            })
            .collect();
        if ends.len() >= SPREAD_FROM {
            spread(&mut ends);
        }
        for (deadline, id) in ends {
            self.set_deadline(id, deadline);
        }
    }

    /// This member no longer leads: deadlines are somebody else's business.
    pub fn demote(&mut self) {
        self.primary = false;
        self.deadlines.clear();
        for lease in self.leases.values_mut() {
            lease.deadline = None;
            lease.due = false;
        }
    }

    /// Gives a lease its full time again. Returns the seconds granted.
    ///
    /// # Errors
    /// [`RenewRefusal`]; a lease that is due is never renewed, because its revocation may already be in the log.
    pub fn renew(&mut self, id: i64, now: Duration) -> Result<i64, RenewRefusal> {
        if !self.primary {
            return Err(RenewRefusal::NotPrimary);
        }
        let lease = self.leases.get_mut(&id).ok_or(RenewRefusal::NotFound)?;
        if lease.due || lease.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(RenewRefusal::Due);
        }
        lease.checkpointed_seconds = 0;
        let seconds = lease.granted_seconds;
        self.set_deadline(id, now + seconds_long(seconds));
        Ok(seconds)
    }

    /// How long a lease still lives; `None` when it does not exist. On a member that does not lead it is the full time.
    pub fn times(&self, id: i64, now: Duration) -> Option<LeaseTimes> {
        let lease = self.leases.get(&id)?;
        let remaining_seconds = match lease.deadline {
            _ if lease.due => 0,
            Some(deadline) => deadline.saturating_sub(now).as_secs() as i64,
            None => lease.granted_seconds,
        };
        Some(LeaseTimes { remaining_seconds, granted_seconds: lease.granted_seconds })
    }

    /// The leases that are due: at most `limit`, earliest first. Each is handed out once, and again when its revocation
    /// has not come through the log for seven seconds.
    pub fn take_due(&mut self, now: Duration, limit: usize) -> Vec<i64> {
        let due: Vec<i64> = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .take(limit)
            .map(|(_, id)| *id)
            .collect();
        for id in &due {
            if let Some(lease) = self.leases.get_mut(id) {
                lease.due = true;
            }
            self.set_deadline(*id, now + REVOKE_RETRY);
        }
        due
    }

    /// Whether the lease exists.
    pub fn contains(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// All leases: those that end first come first on the leader, by id elsewhere.
    pub fn list(&self) -> Vec<i64> {
        if self.primary {
            return self.deadlines.iter().map(|(_, id)| *id).collect();
        }
        self.leases.keys().copied().collect()
    }

    /// How many leases there are.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    fn set_deadline(&mut self, id: i64, deadline: Duration) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if let Some(old) = lease.deadline.replace(deadline) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.insert((deadline, id));
    }
}

fn seconds_long(seconds: i64) -> Duration {
    Duration::from_secs(seconds.max(0).unsigned_abs())
}

/// Moves ends backwards in time so that no second has more than [`SPREAD_PER_SECOND`] of them.
fn spread(ends: &mut [(Duration, i64)]) {
    ends.sort_unstable();
    let Some(&(first, _)) = ends.first() else { return };
    let mut window = first;
    let mut in_window = 0;
    for (deadline, _) in ends.iter_mut() {
        if *deadline >= window + Duration::from_secs(1) {
            window = *deadline;
            in_window = 0;
        } else if in_window == SPREAD_PER_SECOND {
            window += Duration::from_secs(1);
            in_window = 0;
        }
        *deadline = (*deadline).max(window);
        in_window += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn leader(leases: &[(i64, i64)]) -> Lessor {
        let mut lessor = Lessor::new();
        lessor.promote(at(0), Duration::ZERO);
        for (id, seconds) in leases {
            lessor.granted(*id, *seconds, at(0));
        }
        lessor
    }

    #[test]
    fn a_lease_ends_once_and_not_early() {
        let mut lessor = leader(&[(1, 10), (2, 20)]);
        assert!(lessor.take_due(at(9), 10).is_empty());
        assert_eq!(lessor.take_due(at(10), 10), [1]);
        assert!(lessor.take_due(at(11), 10).is_empty(), "handed out once");
        assert_eq!(lessor.times(1, at(11)).map(|t| t.remaining_seconds), Some(0));
        assert_eq!(lessor.renew(1, at(11)), Err(RenewRefusal::Due), "a due lease is never renewed");
        assert_eq!(lessor.take_due(at(17), 10), [1], "its revocation was lost");
        lessor.revoked(1);
        assert_eq!(lessor.take_due(at(100), 10), [2]);
    }

    #[test]
    fn a_renewal_needs_no_log_and_moves_the_end() {
        let mut lessor = leader(&[(1, 10)]);
        assert_eq!(lessor.renew(1, at(9)), Ok(10));
        assert!(lessor.take_due(at(18), 10).is_empty());
        assert_eq!(lessor.renew(1, at(19)), Err(RenewRefusal::Due), "past its end, though not yet taken");
        assert_eq!(lessor.renew(7, at(1)), Err(RenewRefusal::NotFound));
        lessor.demote();
        assert_eq!(lessor.renew(1, at(1)), Err(RenewRefusal::NotPrimary));
        assert!(lessor.take_due(at(1000), 10).is_empty(), "only the leader lets leases end");
    }

    #[test]
    fn a_new_leader_gives_the_full_time_and_the_election_on_top() {
        let mut lessor = Lessor::new();
        lessor.load(1, 10, 0);
        lessor.load(2, 100, 5);
        lessor.promote(at(1000), at(1));
        assert_eq!(lessor.list(), [2, 1], "the checkpoint of lease 2 left it five seconds");
        assert!(lessor.take_due(at(1005), 10).is_empty());
        assert_eq!(lessor.take_due(at(1006), 10), [2]);
        assert_eq!(lessor.take_due(at(1011), 10), [1]);
    }

    #[test]
    fn a_new_leader_with_many_leases_spreads_their_ends() {
        let mut lessor = Lessor::new();
        for id in 1..=3000 {
            lessor.load(id, 10, 0);
        }
        lessor.promote(at(0), Duration::ZERO);
        let mut total = 0;
        for second in 10..14 {
            let due = lessor.take_due(at(second), usize::MAX).len();
            assert!(due <= SPREAD_PER_SECOND, "{due} leases end in second {second}");
            total += due;
        }
        assert_eq!(total, 3000);
    }

    #[test]
    fn remaining_time_is_rounded_down() {
        let lessor = leader(&[(1, 100)]);
        let times = lessor.times(1, Duration::from_millis(1));
        assert_eq!(times, Some(LeaseTimes { remaining_seconds: 99, granted_seconds: 100 }));
        assert_eq!(lessor.times(2, at(0)), None);
    }
}
