//! Rounds of linearizable reads.
//!
//! A linearizable read has to learn an index that was committed after it arrived, and wait until that index is applied.
//! All reads that wait when a round starts share it. A round's context is unique: an answer to an earlier attempt must
//! never release a later one, because between the two another leader may have committed writes (stale reads of that
//! kind were found in etcd).

use std::collections::BTreeMap;

/// Ticks after which an unanswered round is sent again: raft drops a read-index request without a word while there is
/// no leader, or while the leader has not committed in its term. Five ticks are half a second by default.
const RETRY_TICKS: u32 = 5;

/// A round that is out: the context it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRound {
    /// Unique for each attempt; travels as eight bytes, big-endian.
    pub context: u64,
}

/// The reads of one member, each known by a token of the caller's.
#[derive(Debug)]
pub struct ReadRounds<T> {
    arrived: Vec<T>,
    out: Option<(ReadRound, Vec<T>, u32)>,
    confirmed: BTreeMap<u64, Vec<T>>,
    applied: u64,
}

impl<T> ReadRounds<T> {
    /// No reads yet; everything up to `applied` counts as applied.
    pub fn new(applied: u64) -> Self {
        Self { arrived: Vec::new(), out: None, confirmed: BTreeMap::new(), applied }
    }

    /// Reads that have arrived; they wait for the next round.
    pub fn add(&mut self, tokens: impl IntoIterator<Item = T>) {
        self.arrived.extend(tokens);
    }

    /// Starts a round for all that wait, unless one is out. The caller sends its context to raft.
    pub fn start(&mut self, context: impl FnOnce() -> u64) -> Option<ReadRound> {
        if self.out.is_some() || self.arrived.is_empty() {
            return None;
        }
        let round = ReadRound { context: context() };
        self.out = Some((round, std::mem::take(&mut self.arrived), 0));
        Some(round)
    }

    /// A tick has passed. When the round that is out has waited too long, it gets a new context to be sent again.
    pub fn tick(&mut self, context: impl FnOnce() -> u64) -> Option<ReadRound> {
        let (_, _, age) = self.out.as_mut()?;
        *age += 1;
        if *age < RETRY_TICKS {
            return None;
        }
        self.resend(context)
    }

    /// Gives the round that is out a new context, for instance because the first entry of a new term has committed and
    /// the last attempt was dropped for want of it.
    pub fn resend(&mut self, context: impl FnOnce() -> u64) -> Option<ReadRound> {
        let (round, _, age) = self.out.as_mut()?;
        *round = ReadRound { context: context() };
        *age = 0;
        Some(*round)
    }

    /// Raft has answered `context` with `index`: returns the reads that may go at once; the others go when the index is
    /// applied. An answer to anything but the newest attempt is ignored.
    pub fn confirm(&mut self, context: u64, index: u64) -> Vec<T> {
        match &self.out {
            Some((round, _, _)) if round.context == context => {}
            _ => return Vec::new(),
        }
        let (_, tokens, _) = self.out.take().expect("matched just above");
        if index <= self.applied {
            return tokens;
        }
        self.confirmed.entry(index).or_default().extend(tokens);
        Vec::new()
    }

    /// Everything up to `index` is applied: returns the reads that waited for it.
    pub fn applied(&mut self, index: u64) -> Vec<T> {
        self.applied = self.applied.max(index);
        let mut released = Vec::new();
        while let Some(first) = self.confirmed.first_entry() {
            if *first.key() > self.applied {
                break;
            }
            released.extend(first.remove());
        }
        released
    }

    /// The leader has changed: the reads of the round that is out have to be refused, because it is not known whether
    /// the old leader's answer would still be current.
    pub fn leader_changed(&mut self) -> Vec<T> {
        self.out.take().map(|(_, tokens, _)| tokens).unwrap_or_default()
    }

    /// Drops the reads that nobody waits for any more, so that a long time without a leader costs no memory.
    pub fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        self.arrived.retain(&mut wanted);
        if let Some((_, tokens, _)) = &mut self.out {
            tokens.retain(&mut wanted);
        }
        for tokens in self.confirmed.values_mut() {
            tokens.retain(&mut wanted);
        }
    }

    /// Every read that is still waiting; the member stops.
    pub fn drain(&mut self) -> Vec<T> {
        let mut all = std::mem::take(&mut self.arrived);
        all.extend(self.leader_changed());
        all.extend(std::mem::take(&mut self.confirmed).into_values().flatten());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_share_a_round_and_wait_for_apply() {
        let mut rounds = ReadRounds::new(5);
        rounds.add(["a", "b"]);
        assert_eq!(rounds.start(|| 1), Some(ReadRound { context: 1 }));
        rounds.add(["late"]);
        assert_eq!(rounds.start(|| 2), None, "one round at a time");
        assert!(rounds.confirm(1, 7).is_empty(), "index 7 is not applied");
        assert!(rounds.applied(6).is_empty());
        assert_eq!(rounds.applied(7), ["a", "b"]);
        assert_eq!(rounds.start(|| 2), Some(ReadRound { context: 2 }));
        assert_eq!(rounds.confirm(2, 7), ["late"]);
    }

    #[test]
    fn an_answer_to_an_earlier_attempt_is_ignored() {
        let mut rounds = ReadRounds::new(0);
        rounds.add([1]);
        rounds.start(|| 10);
        for _ in 1..RETRY_TICKS {
            assert_eq!(rounds.tick(|| 11), None);
        }
        assert_eq!(rounds.tick(|| 11), Some(ReadRound { context: 11 }));
        assert!(rounds.confirm(10, 0).is_empty());
        assert_eq!(rounds.confirm(11, 0), [1]);
    }

    #[test]
    fn a_leader_change_refuses_what_is_out_and_keeps_what_is_confirmed() {
        let mut rounds = ReadRounds::new(0);
        rounds.add([1]);
        rounds.start(|| 1);
        rounds.confirm(1, 9);
        rounds.add([2]);
        rounds.start(|| 2);
        rounds.add([3]);
        assert_eq!(rounds.leader_changed(), [2]);
        assert_eq!(rounds.applied(9), [1]);
        rounds.retain(|token| *token != 3);
        assert!(rounds.drain().is_empty());
    }
}
