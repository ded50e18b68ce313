//! A running member's threads, and how they end.

use std::sync::Arc;
use std::thread::JoinHandle;

use holdfast_wal::Wal;
use parking_lot::Mutex;

use super::Member;

/// The threads and tasks of a member.
pub struct Running {
    pub(super) member: Member,
    pub(super) wal: Arc<Wal>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Running {
    /// Stops the member: what was acknowledged stays, what waits is answered with "server stopped", the state is made
    /// durable and the log is closed. Blocks until the threads have ended.
    pub fn stop(self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        self.member.0.mailbox.stop();
        // The raft thread goes first; apply ends when raft's end of the queue is gone, and the checkpoint thread, after
        // one last checkpoint, when apply is.
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the member has panicked");
            }
        }
        if let Err(error) = self.wal.close() {
            tracing::error!(%error, "the log could not be closed cleanly");
        }
    }
}
