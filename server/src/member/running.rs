//! A running member's threads, and how they end.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use holdfast_wal::Wal;
use parking_lot::Mutex;

use super::Member;
use super::memory_fault::FaultStop;

/// How long threads may take to end after one of them was parked on a page that cannot be read.
pub(super) const PARKED_PATIENCE: Duration = Duration::from_secs(3);

/// The threads and tasks of a member.
pub struct Running {
    pub(super) member: Member,
    pub(super) wal: Arc<Wal>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    /// Dropped, it ends the scrubber.
    pub(super) scrubber: Option<crossbeam_channel::Sender<()>>,
    pub(super) faults: FaultStop,
}

impl Running {
    /// Stops the member: what was acknowledged stays, what waits is answered with "server stopped", the state is made
    /// durable and the log is closed. Blocks until the threads have ended, and returns `true`; `false` when a thread was
    /// left behind that is parked for good on a page of the database which cannot be read.
    pub fn stop(self) -> bool {
        let Self { member, wal, threads, tasks, scrubber, faults } = self;
        drop(scrubber);
        for task in tasks.lock().drain(..) {
            task.abort();
        }
        member.0.mailbox.stop();
        // The raft thread goes first; apply ends when raft's end of the queue is gone, and the checkpoint thread, after
        // one last checkpoint, when apply is.
        let begun = Instant::now();
        for thread in threads.lock().drain(..) {
            if faults.met() && !ends_before(&thread, begun + PARKED_PATIENCE) {
                let name = thread.thread().name().unwrap_or_default().to_owned();
                tracing::warn!(
                    thread = name,
                    "a thread has met a page that cannot be read, or waits for one that has"
                );
            } else if thread.join().is_err() {
                tracing::error!("a thread of the member has panicked");
            }
        }
        if let Err(error) = wal.close() {
            tracing::error!(%error, "the log could not be closed cleanly");
        }
        !faults.met()
    }
}

fn ends_before(thread: &JoinHandle<()>, deadline: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
