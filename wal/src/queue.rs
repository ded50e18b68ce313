//! What was handed to the log and not yet taken by its thread; and how that thread sleeps and is woken.
//!
//! Callers append under one short lock. The log's thread takes all that waits with a swap. It sleeps in one of two
//! ways, and says which under the same lock, so that a caller never misses a sleeper:
//!
//! 1. *Parked*: nothing waits and nothing is in flight. It waits on the condition variable.
//! 2. *Ringing*: a write is in flight and another could be begun. It waits inside the ring's runtime for either; a
//!    caller calls the ring's waker.
//!
//! Otherwise it is awake, or waits for a write alone, and a caller wakes nobody: one lock is all that an append costs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::core::assemble::{Item, PendingBatch};
use crate::error::WalError;
use crate::types::Batch;

/// Wakes the ring's runtime.
pub(crate) type RingWaker = Box<dyn Fn() + Send + Sync>;

/// How the log's thread sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleeper {
    Awake,
    Parked,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Ringing,
}

struct State {
    items: VecDeque<Item>,
    sleeper: Sleeper,
    closed: bool,
    failure: Option<WalError>,
    /// Index of the last entry once all that was appended is written.
    last: u64,
    /// Released once all that waits is done.
    released: u64,
    ticket: u64,
    waker: Option<RingWaker>,
}

/// The queue between the callers and the log's thread.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    max_entry_bytes: u32,
    /// Data bytes accepted and not yet durable.
    pending_bytes: AtomicU64,
}

impl Queue {
    /// The queue of a log whose last entry is `last` and which was released up to `released`.
    pub(crate) fn new(last: u64, released: u64, max_entry_bytes: u32) -> Queue {
        Queue {
            state: Mutex::new(State {
                items: VecDeque::new(),
                sleeper: Sleeper::Awake,
                closed: false,
                failure: None,
                last,
                released,
                ticket: 0,
                waker: None,
            }),
            arrived: Condvar::new(),
            max_entry_bytes,
            pending_bytes: AtomicU64::new(0),
        }
    }

    /// Takes a batch, or refuses it and changes nothing.
    pub(crate) fn append(&self, batch: Batch, ticket: u64) -> Result<(), WalError> {
        let bytes = batch.data_bytes();
        let mut state = self.state.lock();
        state.check_open()?;
        if ticket < state.ticket {
            return Err(WalError::TicketOrder { ticket, last: state.ticket });
        }
        let (last, released) = state.check(&batch, self.max_entry_bytes)?;
        state.last = last;
        state.released = released;
        state.ticket = ticket;
        state.items.push_back(Item::Batch(PendingBatch::new(batch, ticket)));
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wake(&mut state);
        Ok(())
    }

    /// Entries up to `index`, at most to the last one appended, are needed no more.
    pub(crate) fn release(&self, index: u64) -> Result<(), WalError> {
        let mut state = self.state.lock();
        state.check_open()?;
        let index = index.min(state.last);
        if index > state.released {
            state.released = index;
            if let Some(Item::Release(waiting)) = state.items.back_mut() {
                *waiting = index;
            } else {
                state.items.push_back(Item::Release(index));
            }
            self.wake(&mut state);
        }
        Ok(())
    }

    /// No more is taken; the thread ends when it has written what waits.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.wake(&mut state);
    }

    /// The log has failed: what waits is dropped, appends are refused. False if it had failed before.
    pub(crate) fn poison(&self, error: &WalError) -> bool {
        let mut state = self.state.lock();
        state.items.clear();
        if state.failure.is_some() {
            return false;
        }
        state.failure = Some(error.latched());
        true
    }

    /// The error that the log has failed with.
    pub(crate) fn failure(&self) -> Option<WalError> {
        self.state.lock().failure.clone()
    }

    /// Moves all that waits to the end of `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>) {
        let mut state = self.state.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut state.items);
        } else {
            into.append(&mut state.items);
        }
    }

    /// Sleeps until something waits; false when the queue is closed and nothing will come any more.
    pub(crate) fn park(&self) -> bool {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return false;
            }
            state.sleeper = Sleeper::Parked;
            self.arrived.wait(&mut state);
            state.sleeper = Sleeper::Awake;
        }
        true
    }

    /// Says that the thread is about to sleep in the ring. False if something waits already.
    #[cfg(target_os = "linux")]
    pub(crate) fn begin_ringing(&self) -> bool {
        let mut state = self.state.lock();
        if !state.items.is_empty() {
            return false;
        }
        state.sleeper = Sleeper::Ringing;
        true
    }

    /// The thread is awake again.
    #[cfg(target_os = "linux")]
    pub(crate) fn end_ringing(&self) {
        self.state.lock().sleeper = Sleeper::Awake;
    }

    /// How to wake the ring.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_waker(&self, waker: RingWaker) {
        self.state.lock().waker = Some(waker);
    }

    /// Data bytes became durable.
    pub(crate) fn drained(&self, bytes: u64) {
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Data bytes accepted and not yet durable.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Batches that the thread has not taken yet, and the last index once they are written.
    pub(crate) fn waiting(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.items.len(), state.last)
    }

    fn wake(&self, state: &mut State) {
        match std::mem::replace(&mut state.sleeper, Sleeper::Awake) {
            Sleeper::Awake => {}
            Sleeper::Parked => {
                self.arrived.notify_one();
            }
            Sleeper::Ringing => {
                if let Some(waker) = &state.waker {
                    waker();
                }
            }
        }
    }
}

impl State {
    fn check_open(&self) -> Result<(), WalError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.closed => Err(WalError::Closed),
            None => Ok(()),
        }
    }

    /// Checks that the batch follows what is there. Gives the last index and the release after it.
    fn check(&self, batch: &Batch, max_entry_bytes: u32) -> Result<(u64, u64), WalError> {
        let (mut last, mut released) = (self.last, self.released);
        if let Some(start) = batch.reset {
            if start.index < released {
                return Err(WalError::OutOfOrder { index: start.index, lowest: released, highest: u64::MAX });
            }
            (last, released) = (start.index, start.index);
        }
        for (at, entry) in batch.entries.iter().enumerate() {
            // Only the first one may go back.
            let lowest = if at == 0 { released + 1 } else { last + 1 };
            if entry.index < lowest || entry.index > last + 1 {
                return Err(WalError::OutOfOrder { index: entry.index, lowest, highest: last + 1 });
            }
            if entry.data.len() > max_entry_bytes as usize {
                return Err(WalError::EntryTooLarge {
                    index: entry.index,
                    bytes: entry.data.len(),
                    limit: max_entry_bytes,
                });
            }
            last = entry.index;
        }
        Ok((last, released))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::types::{Entry, LogStart};
    use bytes::Bytes;

    fn batch(indexes: &[u64]) -> Batch {
        let entry = |&index| Entry { index, term: 1, kind: 0, data: Bytes::from_static(b"four") };
        Batch { entries: indexes.iter().map(entry).collect(), ..Batch::default() }
    }

    fn refused(result: Result<(), WalError>) -> bool {
        matches!(result, Err(WalError::OutOfOrder { .. }))
    }

    #[test]
    fn only_what_follows_is_taken() {
        let queue = Queue::new(10, 5, 4);
        assert!(refused(queue.append(batch(&[12]), 1)), "a gap");
        assert!(refused(queue.append(batch(&[5]), 1)), "released");
        assert!(refused(queue.append(batch(&[11, 13]), 1)), "a gap inside");
        assert!(refused(queue.append(batch(&[11, 11]), 1)), "twice");
        queue.append(batch(&[11, 12]), 1).unwrap();
        queue.append(batch(&[6]), 1).unwrap();
        assert!(refused(queue.append(batch(&[8]), 2)));
        let reset = |index| Batch { reset: Some(LogStart { index, term: 1 }), ..batch(&[index + 1]) };
        assert!(refused(queue.append(reset(4), 2)));
        queue.append(reset(100), 2).unwrap();
        assert!(refused(queue.append(batch(&[7]), 2)));
        queue.release(1000).unwrap();
        assert!(refused(queue.append(batch(&[101]), 2)), "released up to the last");
        assert!(matches!(queue.append(batch(&[102]), 1), Err(WalError::TicketOrder { ticket: 1, last: 2 })));
        assert_eq!(queue.pending_bytes(), 16);
        let long = Entry { index: 102, term: 1, kind: 0, data: Bytes::from_static(b"fives") };
        let long = Batch { entries: vec![long], ..Batch::default() };
        assert!(matches!(queue.append(long, 2), Err(WalError::EntryTooLarge { bytes: 5, limit: 4, .. })));
    }

    #[test]
    fn after_a_failure_or_a_close_nothing_is_taken() {
        let queue = Queue::new(0, 0, 4);
        queue.close();
        assert!(matches!(queue.append(batch(&[1]), 1), Err(WalError::Closed)));
        assert!(queue.poison(&WalError::Closed));
        assert!(!queue.poison(&WalError::Closed), "only the first failure counts");
        assert!(matches!(queue.append(batch(&[1]), 1), Err(WalError::Poisoned(_))));
        assert!(!queue.park());
    }
}
