//! The raft thread's inbox.
//!
//! Everything that concerns raft arrives here and is taken in one go, so that whatever has gathered while the last
//! round ran becomes one batch: one proposal message, one group in the log, one read-index round. How it works:
//!
//! 1. A sender puts its item in under the lock and looks whether the raft thread sleeps.
//! 2. Only then does it notify: while the thread is busy, sending costs no system call.
//! 3. The raft thread, with the lock held, takes everything there is. If there is nothing it says that it sleeps, and
//!    waits until it is notified or until its next tick.
//!
//! A wake-up cannot be lost: "is there anything" and "I sleep" happen under the same lock as a sender's "here it is".

use std::time::Instant;

use bytes::Bytes;
use holdfast_core::raft::ConfChange;
use holdfast_proto::error::EtcdError;
use holdfast_wal::WalError;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// A linearizable read that waits for its round.
pub(super) type ReadToken = oneshot::Sender<Result<(), EtcdError>>;

/// A request on its way into the log.
pub(super) struct Proposal {
    /// Its id, under which somebody waits.
    pub(super) id: u64,
    /// The encoded `InternalRaftRequest`.
    pub(super) payload: Bytes,
}

/// What apply tells raft.
pub(super) struct AppliedNote {
    pub(super) index: u64,
    pub(super) conf_changes: Vec<Option<ConfChange>>,
    /// The first entry of a term was applied.
    pub(super) term_started: bool,
}

/// Everything that has arrived since the last time.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) proposals: Vec<Proposal>,
    pub(super) reads: Vec<ReadToken>,
    /// The newest durable ticket.
    pub(super) durable: Option<u64>,
    /// The log has failed.
    pub(super) failed: Option<WalError>,
    pub(super) applied: Vec<AppliedNote>,
    pub(super) stop: bool,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.proposals.is_empty()
            && self.reads.is_empty()
            && self.durable.is_none()
            && self.failed.is_none()
            && self.applied.is_empty()
            && !self.stop
    }
}

/// Proposals that may wait at once. More would only wait longer than their clients do.
const MAX_PROPOSALS: usize = 65_536;
/// Bytes of proposals that may wait at once.
const MAX_PROPOSAL_BYTES: usize = 256 << 20;
/// Reads that may wait at once.
const MAX_READS: usize = 1 << 20;

#[derive(Default)]
struct State {
    inbox: Inbox,
    proposal_bytes: usize,
    sleeping: bool,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    wake: Condvar,
}

impl Mailbox {
    /// Hands in a proposal; refused when too many wait.
    pub(super) fn propose(&self, proposal: Proposal) -> Result<(), EtcdError> {
        let mut state = self.state.lock();
        if state.inbox.stop {
            return Err(EtcdError::Stopped);
        }
        let bytes = state.proposal_bytes + proposal.payload.len();
        if state.inbox.proposals.len() >= MAX_PROPOSALS || bytes > MAX_PROPOSAL_BYTES {
            return Err(EtcdError::RequestTooManyRequests);
        }
        state.proposal_bytes = bytes;
        state.inbox.proposals.push(proposal);
        self.notify(state);
        Ok(())
    }

    /// Hands in a read; refused when too many wait.
    pub(super) fn read(&self, token: ReadToken) -> Result<(), EtcdError> {
        let mut state = self.state.lock();
        if state.inbox.stop {
            return Err(EtcdError::Stopped);
        }
        if state.inbox.reads.len() >= MAX_READS {
            return Err(EtcdError::RequestTooManyRequests);
        }
        state.inbox.reads.push(token);
        self.notify(state);
        Ok(())
    }

    /// The log has reached a ticket, or failed.
    pub(super) fn log_progress(&self, progress: Result<u64, WalError>) {
        let mut state = self.state.lock();
        match progress {
            Ok(ticket) => state.inbox.durable = state.inbox.durable.max(Some(ticket)),
            Err(error) => state.inbox.failed = Some(error),
        }
        self.notify(state);
    }

    /// Apply has got further.
    pub(super) fn applied(&self, note: AppliedNote) {
        let mut state = self.state.lock();
        state.inbox.applied.push(note);
        self.notify(state);
    }

    /// The member stops; nothing more is accepted.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.inbox.stop = true;
        self.notify(state);
    }

    /// Takes everything; waits for something to arrive, but not past `deadline`.
    pub(super) fn take(&self, deadline: Instant) -> Inbox {
        let mut state = self.state.lock();
        while state.inbox.is_empty() {
            state.sleeping = true;
            let timed_out = self.wake.wait_until(&mut state, deadline).timed_out();
            state.sleeping = false;
            if timed_out {
                break;
            }
        }
        state.proposal_bytes = 0;
        let stop = state.inbox.stop;
        let taken = std::mem::take(&mut state.inbox);
        state.inbox.stop = stop;
        taken
    }

    fn notify(&self, state: parking_lot::MutexGuard<'_, State>) {
        let sleeping = state.sleeping;
        drop(state);
        if sleeping {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn what_gathers_is_taken_at_once_and_in_order() {
        let mailbox = Mailbox::default();
        for id in 0..3 {
            mailbox.propose(Proposal { id, payload: Bytes::new() }).unwrap();
        }
        mailbox.log_progress(Ok(4));
        mailbox.log_progress(Ok(3));
        let inbox = mailbox.take(soon());
        assert_eq!(inbox.proposals.iter().map(|p| p.id).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(inbox.durable, Some(4), "progress never goes back");
        assert!(mailbox.take(Instant::now()).is_empty());
    }

    #[test]
    fn no_wake_up_is_lost() {
        let mailbox = Arc::new(Mailbox::default());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            std::thread::spawn(move || {
                for id in 0..20_000 {
                    while mailbox.propose(Proposal { id, payload: Bytes::new() }).is_err() {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let mut next = 0;
        while next < 20_000 {
            for proposal in mailbox.take(soon()).proposals {
                assert_eq!(proposal.id, next);
                next += 1;
            }
        }
        sender.join().unwrap();
    }

    #[test]
    fn a_full_queue_refuses_and_a_stopped_one_says_so() {
        let mailbox = Mailbox::default();
        let large = Bytes::from(vec![0; MAX_PROPOSAL_BYTES / 2 + 1]);
        mailbox.propose(Proposal { id: 1, payload: large.clone() }).unwrap();
        let full = mailbox.propose(Proposal { id: 2, payload: large });
        assert_eq!(full, Err(EtcdError::RequestTooManyRequests));
        mailbox.stop();
        let (token, _) = oneshot::channel();
        assert_eq!(mailbox.read(token), Err(EtcdError::Stopped));
        assert!(mailbox.take(soon()).stop);
    }
}
