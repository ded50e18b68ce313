//! What is done when the system cannot bring in a page of the mapped database: a bad sector, or a file that was cut.
//!
//! The thread that wanted the page is parked for good in the signal's handler (see the engine's file module). It can be
//! any thread, with any lock that is held while the database is read. So a thread of its own, which never touches the
//! database, says what has happened and has the member stop: nothing is acknowledged any more, clients are let go, the
//! log, which is not affected, is closed. That end does not wait for threads that may be parked ([`FaultStop::met`]);
//! should it still hang, on a lock that the parked thread holds, the process is ended after [`STOP_LIMIT`].
//!
//! One member of a process watches for all of them. A fault in the database of another one parks that one's thread all
//! the same: the member that watches is the one that says so and fails, with the name of the other's file, and after
//! [`STOP_LIMIT`] the process ends with every member in it. That there was a fault is known to all of them, so that none
//! waits for a parked thread without a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_engine::file::{FaultWatch, FaultWatchStop, exit_now};

use super::shared::Shared;

/// How long an orderly end may take after a fault. The shell gives clients a second, and the member's threads
/// [`super::running::PARKED_PATIENCE`].
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// Time for the last line of the log to get out.
const LAST_LINE: Duration = Duration::from_millis(200);

/// Whether a thread of this process is parked in a fault, whichever member's it is.
static MET: AtomicBool = AtomicBool::new(false);

/// Ends the watch when it is dropped, and knows whether there was a fault.
pub(super) struct FaultStop {
    /// `None` where another member in this process watches.
    stop: Option<FaultWatchStop>,
}

impl FaultStop {
    /// Starts to watch for faults, unless another member in this process does. When nobody does any more, because that
    /// one has stopped, or the system gave no pipe, a fault ends the process with a line on stderr.
    pub(super) fn start(shared: &Arc<Shared>, page_bytes: u32) -> std::io::Result<Self> {
        let watch = match FaultWatch::start() {
            Ok(watch) => watch,
            Err(error) => {
                tracing::debug!(%error, "faults of the mapped database are not watched by this member");
                return Ok(Self { stop: None });
            }
        };
        let stop = watch.stopper();
        let shared = Arc::clone(shared);
        std::thread::Builder::new()
            .name("memory-fault".into())
            .spawn(move || run(&watch, &shared, page_bytes))?;
        Ok(Self { stop: Some(stop) })
    }

    /// Whether a thread of this process is parked in a fault: of this member, or of another one in it.
    #[allow(clippy::unused_self)] // Who has started the watch may ask.
    pub(super) fn met(&self) -> bool {
        MET.load(Ordering::Acquire)
    }
}

impl Drop for FaultStop {
    fn drop(&mut self) {
        if let Some(stop) = &self.stop {
            stop.stop();
        }
    }
}

fn run(watch: &FaultWatch, shared: &Shared, page_bytes: u32) {
    let Some(fault) = watch.wait() else { return };
    MET.store(true, Ordering::Release);
    let page = fault.offset / u64::from(page_bytes.max(1));
    tracing::error!(file = fault.file, page, offset = fault.offset, "a page of the database cannot be read");
    shared.fail(format!(
        "{fault}; it is in page {page}. Look into the kernel's log and replace the disk if it is failing; restore this \
         member from a snapshot or let it catch up from its peers with an empty data directory; its log is not affected"
    ));
    std::thread::sleep(STOP_LIMIT);
    tracing::error!("the end of the member is held up by the thread that met the page; ending the process");
    std::thread::sleep(LAST_LINE);
    exit_now(1);
}
