//! The handle to a log that has a thread of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::config::Config;
use crate::device::LogDevice;
use crate::driver::{Driver, Shared};
use crate::error::WalError;
use crate::open::{self, Opened, Recovered};
use crate::stats::{Counters, WalStats, WriterKind};
use crate::types::{Batch, Entry};
use crate::writer;

/// A log. Can be shared between threads; closed when it is dropped.
pub struct Wal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    writer: WriterKind,
    writer_reason: String,
}

impl Wal {
    /// Creates an empty log on a device that has none. `metadata` (at most 4 KiB) is the caller's own and is given
    /// back by [`Wal::open`].
    ///
    /// # Errors
    /// [`WalError::AlreadyExists`] if there is a log; [`WalError::InvalidConfig`]; what the device says.
    pub fn create(device: Arc<dyn LogDevice>, config: Config, metadata: &[u8]) -> Result<Wal, WalError> {
        let background = device.as_files().is_some();
        Wal::start(open::create(device, config, metadata, background)?)
    }

    /// Opens the log on the device and reads it back. A torn tail is cut off; a damaged log is refused.
    ///
    /// # Errors
    /// [`WalError::NoLog`]; [`WalError::Damaged`], [`WalError::DamagedHeader`] or [`WalError::MissingSegment`] with the
    /// place; [`WalError::NewerFormat`]; [`WalError::InvalidConfig`]; what the device says.
    pub fn open(device: Arc<dyn LogDevice>, config: Config) -> Result<(Wal, Recovered), WalError> {
        let background = device.as_files().is_some();
        let (opened, recovered) = open::open(device, config, background)?;
        Ok((Wal::start(opened)?, recovered))
    }

    fn start(opened: Opened) -> Result<Wal, WalError> {
        let Opened { shared, assembler } = opened;
        let (tell, told) = crossbeam_channel::bounded(1);
        let mine = shared.clone();
        // The writer is made on the thread that uses it: a ring belongs to its thread.
        let body = move || {
            let chosen = writer::choose(&mine.device, &mine.config, &mine.queue);
            // The receiver waits for this one message; if it is gone, so is the log.
            let _ = tell.send((chosen.kind, chosen.reason));
            Driver::new(mine, assembler, chosen.writer).run();
        };
        let spawned = std::thread::Builder::new().name("wal".into()).spawn(body);
        let thread = spawned.map_err(|e| WalError::Thread { reason: e.to_string() })?;
        let (writer, writer_reason) =
            told.recv().map_err(|_| WalError::Thread { reason: "it ended while it was starting".into() })?;
        Ok(Wal { shared, thread: Mutex::new(Some(thread)), writer, writer_reason })
    }

    /// Hands over a batch. Never waits for the device; [`Config::on_durable`] reports `ticket` (or a higher one) when
    /// the batch and all before it are durable. Tickets must not go down from one call to the next.
    ///
    /// # Errors
    /// [`WalError::OutOfOrder`], [`WalError::EntryTooLarge`] or [`WalError::TicketOrder`]: nothing was taken, the log
    /// is as before. [`WalError::Poisoned`] after a failure, [`WalError::Closed`] after a close.
    pub fn append(&self, batch: Batch, ticket: u64) -> Result<(), WalError> {
        self.shared.queue.append(batch, ticket)
    }

    /// Entries up to `index` (at most the last one) are needed no more. Segments that hold nothing else are used again.
    /// Takes effect in order with the appends before and after it.
    ///
    /// # Errors
    /// [`WalError::Poisoned`] after a failure, [`WalError::Closed`] after a close.
    pub fn release(&self, index: u64) -> Result<(), WalError> {
        self.shared.queue.release(index)
    }

    /// Reads durable entries with indexes in `from..to` back from the device: at least the first of them, then as many
    /// as lie in groups of `max_bytes` together. Waits for the device: not for a thread that must not.
    ///
    /// # Errors
    /// [`WalError::Released`] or [`WalError::NotYet`] if the first is not there; [`WalError::Damaged`] if it does not
    /// read back as it was written; what the device says.
    pub fn read_range(&self, from: u64, to: u64, max_bytes: u64) -> Result<Vec<Entry>, WalError> {
        self.shared.read_range(from, to, max_bytes)
    }

    /// Figures, and which writer is in use.
    pub fn stats(&self) -> WalStats {
        self.shared.stats(self.writer, self.writer_reason.clone())
    }

    /// Writes what waits, ends the thread, and says whether all of it became durable. Appends are refused from the
    /// beginning of the call on. Closing twice is no error.
    ///
    /// # Errors
    /// [`WalError::Poisoned`] if the log has failed, now or earlier.
    pub fn close(&self) -> Result<(), WalError> {
        self.shared.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            if thread.thread().id() == std::thread::current().id() {
                return Err(WalError::Thread { reason: "close was called on the log's own thread".into() });
            }
            thread.join().map_err(|_| WalError::Thread { reason: "it panicked".into() })?;
        }
        self.shared.queue.failure().map_or(Ok(()), Err)
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        // A failure was reported through `on_durable` when it happened.
        let _ = self.close();
    }
}

impl Shared {
    pub(crate) fn stats(&self, writer: WriterKind, writer_reason: String) -> WalStats {
        let (queued_batches, last_index) = self.queue.waiting();
        let (first_index, durable_index) = {
            let index = self.index.read();
            (index.first(), index.last())
        };
        let counters = &self.counters;
        WalStats {
            writer,
            writer_reason,
            groups: Counters::get(&counters.groups),
            syncs: Counters::get(&counters.syncs),
            written_bytes: Counters::get(&counters.written_bytes),
            data_bytes: Counters::get(&counters.data_bytes),
            rolls: Counters::get(&counters.rolls),
            queued_batches,
            queued_bytes: self.queue.pending_bytes(),
            durable_group: Counters::get(&counters.durable_group),
            first_index,
            durable_index,
            last_index,
            segments: Counters::get(&counters.segments),
            spares: self.keeper.spares(),
        }
    }
}
