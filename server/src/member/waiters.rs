//! Who waits for which request.
//!
//! A proposer registers under the request's id before the request can reach the log; apply, which sees only entries,
//! wakes it by that id. The map is cut into shards, so that a thousand clients and apply do not share one lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use holdfast_core::apply::Outcome;
use holdfast_proto::error::EtcdError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Shards; a power of two.
const SHARDS: usize = 64;

/// Request ids are unique already: one multiplication spreads them over the table.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, id: u64) {
        // The table takes its control bits from the top of the hash.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type Shard = Mutex<HashMap<u64, oneshot::Sender<Outcome>, BuildHasherDefault<IdHasher>>>;

/// See the module's description.
pub(super) struct Waiters(Box<[Shard]>);

impl Default for Waiters {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl Waiters {
    fn shard(&self, id: u64) -> &Shard {
        &self.0[id as usize % SHARDS]
    }

    /// Waits for `id`. The registration ends when the returned guard is dropped.
    pub(super) fn register(&self, id: u64) -> Waiting<'_> {
        let (sender, receiver) = oneshot::channel();
        self.shard(id).lock().insert(id, sender);
        Waiting { waiters: self, id, receiver }
    }

    /// Whether somebody waits for `id`.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        self.shard(id).lock().contains_key(&id)
    }

    /// How many wait.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|shard| shard.lock().len() as u64).sum()
    }

    /// Wakes whoever waits for `id`.
    pub(super) fn complete(&self, id: u64, outcome: Outcome) {
        let waiter = self.shard(id).lock().remove(&id);
        if let Some(waiter) = waiter {
            // The client may have given up in this moment.
            let _ = waiter.send(outcome);
        }
    }
}

impl Waiters {
    /// Wakes everybody with an error: the member stops.
    pub(super) fn refuse_all(&self, error: EtcdError) {
        for shard in &self.0 {
            let waiting = std::mem::take(&mut *shard.lock());
            for waiter in waiting.into_values() {
                let _ = waiter.send(Err(error));
            }
        }
    }
}

/// A registration in [`Waiters`].
pub(super) struct Waiting<'w> {
    waiters: &'w Waiters,
    id: u64,
    receiver: oneshot::Receiver<Outcome>,
}

impl Waiting<'_> {
    /// The outcome; `None` when the member stops before there is one.
    pub(super) async fn outcome(&mut self) -> Option<Outcome> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.shard(self.id).lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use holdfast_core::apply::Reply;

    use super::*;

    #[tokio::test]
    async fn the_right_one_is_woken_and_a_dropped_one_is_forgotten() {
        let waiters = Waiters::default();
        let mut first = waiters.register(1);
        let second = waiters.register(1 + SHARDS as u64);
        waiters.complete(1, Ok(Reply::Done));
        assert_eq!(first.outcome().await, Some(Ok(Reply::Done)));
        assert!(waiters.is_waiting(1 + SHARDS as u64));
        drop(second);
        assert!(!waiters.is_waiting(1 + SHARDS as u64));
        waiters.complete(1 + SHARDS as u64, Ok(Reply::Done));
    }
}
