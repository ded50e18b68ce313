//! Checkpoints in the background: the published state becomes durable, and the log before it may go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use holdfast_engine::tree::Db;
use holdfast_wal::Wal;

use super::shared::Shared;

/// A checkpoint begins when so many bytes of entries were applied since the last: it bounds what a restart replays. The
/// tail that is replayed can be twice as long, since writes go on while the checkpoint runs.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// A checkpoint begins at the latest this long after something was published. What the durable state needs of the pages
/// that change meanwhile cannot be used again until then: this bounds by how much the file outgrows its contents.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);

/// A checkpoint also begins when so many bytes of pages were written since the last one, or a quarter of the pages in use
/// if that is more: a compaction writes many pages for no entry.
const CHECKPOINT_PAGE_BYTES: u64 = 256 << 20;

/// When pages wait to be moved off the end of the file, checkpoints begin at this interval: each makes more of them free.
const HURRIED_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the checkpoint thread that something was published.
pub(super) struct Checkpointer {
    db: Db,
    wake: Sender<()>,
    bytes: u64,
    last: Instant,
}

impl Checkpointer {
    /// Starts the thread that makes `db` durable and releases the log behind it.
    pub(super) fn start(
        db: Db,
        wal: Arc<Wal>,
        shared: Arc<Shared>,
        on_checkpoint: impl Fn(Duration) + Send + 'static,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (wake, woken) = bounded(1);
        let (watched, measured) = (Arc::clone(&shared), db.clone());
        let thread = super::start::spawn("checkpoint", &watched, move || {
            run(&db, &wal, &shared, &woken, on_checkpoint);
        })?;
        Ok((Self { db: measured, wake, bytes: 0, last: Instant::now() }, thread))
    }

    /// A batch of so many bytes of entries was published.
    pub(super) fn published(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= CHECKPOINT_BYTES
            || self.last.elapsed() >= CHECKPOINT_INTERVAL
            || self.many_pages_were_written()
        {
            self.begin();
        }
    }

    /// Space can only be gained by a checkpoint.
    pub(super) fn hurry(&mut self) {
        if self.last.elapsed() >= HURRIED_INTERVAL {
            self.begin();
        }
    }

    fn many_pages_were_written(&self) -> bool {
        let stats = self.db.stats();
        let part = stats.pages_in_use * u64::from(stats.page_size) / 4;
        stats.published_bytes_since_checkpoint >= CHECKPOINT_PAGE_BYTES.max(part)
    }

    fn begin(&mut self) {
        match self.wake.try_send(()) {
            Ok(()) => {
                self.bytes = 0;
                self.last = Instant::now();
            }
            // It is still busy with the last one; asked again after the next batch.
            Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

fn run(db: &Db, wal: &Wal, shared: &Shared, woken: &Receiver<()>, on_checkpoint: impl Fn(Duration)) {
    loop {
        // The time-out catches what was published just before everything went quiet.
        let stopping = match woken.recv_timeout(CHECKPOINT_INTERVAL) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if shared.has_failed() {
            // What the database holds cannot be vouched for, and nothing is lost: the log has it.
            return;
        }
        let stats = db.stats();
        if stats.published_txn != stats.durable_txn || stats.wants_checkpoint {
            let started = Instant::now();
            match db.checkpoint() {
                Ok(done) => {
                    on_checkpoint(started.elapsed());
                    if let Err(error) = wal.release(done.mark) {
                        shared.fail(format!("the log does not release what is applied: {error}"));
                        return;
                    }
                }
                Err(error) => {
                    shared.fail(format!("a checkpoint has failed: {error}"));
                    return;
                }
            }
        }
        if stopping {
            return;
        }
    }
}
