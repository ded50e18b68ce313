//! Checkpoints in the background, as a member makes them.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use holdfast_engine::tree::Db;

use super::super::engine::Outcome;

/// A checkpoint begins when so many bytes were put since the last.
const BYTES: u64 = 16 << 20;
/// Or after this time.
const INTERVAL: Duration = Duration::from_secs(2);

/// The thread, and what was put since it was last woken.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
    bytes: u64,
    last: Instant,
}

impl Checkpointer {
    pub(super) fn start(db: Db) -> Outcome<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(move || run(&db, &woken))?;
        Ok(Self { wake: Some(wake), thread: Some(thread), bytes: 0, last: Instant::now() })
    }

    /// So many bytes were published.
    pub(super) fn published(&mut self, bytes: u64) -> Outcome<()> {
        self.bytes += bytes;
        if self.bytes < BYTES && self.last.elapsed() < INTERVAL {
            return Ok(());
        }
        match self.wake.as_ref().map(|wake| wake.try_send(())) {
            Some(Ok(())) => (self.bytes, self.last) = (0, Instant::now()),
            // It is still busy with the last one; it is asked again after the next batch.
            Some(Err(TrySendError::Full(()))) => {}
            Some(Err(TrySendError::Disconnected(()))) | None => self.stop()?,
        }
        Ok(())
    }

    fn stop(&mut self) -> Outcome<()> {
        self.wake = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome.map_err(|error| format!("checkpoint: {error}"))?),
            Some(Err(_)) => Err("the checkpoint thread panicked".into()),
            None => Err("the checkpoint thread has ended".into()),
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if self.thread.is_some()
            && let Err(error) = self.stop()
        {
            eprintln!("{error}");
        }
    }
}

fn run(db: &Db, woken: &Receiver<()>) -> Result<(), String> {
    loop {
        let stopping = woken.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected);
        db.checkpoint().map_err(|error| error.to_string())?;
        if stopping {
            return Ok(());
        }
    }
}
