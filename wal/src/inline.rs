//! A log without a thread, for a simulator that runs a whole cluster in one: the same state machine, recovery and bytes,
//! driven by the caller. A directory of files is written with blocking calls.

use std::sync::Arc;

use crate::config::{Config, WriterChoice};
use crate::device::LogDevice;
use crate::driver::{Driver, Shared};
use crate::error::WalError;
use crate::open::{self, Opened, Recovered};
use crate::stats::WalStats;
use crate::types::{Batch, Entry};
use crate::writer::{self, Chosen};

/// A log that works when it is told to.
pub struct InlineWal {
    shared: Arc<Shared>,
    driver: Driver,
    chosen: (crate::stats::WriterKind, String),
}

impl InlineWal {
    /// As [`crate::Wal::create`].
    pub fn create(device: Arc<dyn LogDevice>, config: Config, metadata: &[u8]) -> Result<Self, WalError> {
        let config = Config { writer: WriterChoice::Blocking, ..config };
        Ok(Self::start(open::create(device, config, metadata, false)?))
    }

    /// As [`crate::Wal::open`].
    pub fn open(device: Arc<dyn LogDevice>, config: Config) -> Result<(Self, Recovered), WalError> {
        let config = Config { writer: WriterChoice::Blocking, ..config };
        let (opened, recovered) = open::open(device, config, false)?;
        Ok((Self::start(opened), recovered))
    }

    fn start(opened: Opened) -> Self {
        let Opened { shared, assembler } = opened;
        let Chosen { writer, kind, reason } = writer::choose(&shared.device, &shared.config, &shared.queue);
        let driver = Driver::new(shared.clone(), assembler, writer);
        InlineWal { shared, driver, chosen: (kind, reason) }
    }

    /// As [`crate::Wal::append`]; nothing is written before [`InlineWal::flush`].
    pub fn append(&self, batch: Batch, ticket: u64) -> Result<(), WalError> {
        self.shared.queue.append(batch, ticket)
    }

    /// As [`crate::Wal::release`].
    pub fn release(&self, index: u64) -> Result<(), WalError> {
        self.shared.queue.release(index)
    }

    /// Writes all that waits and makes it durable. [`Config::on_durable`] is called on the way.
    ///
    /// # Errors
    /// What the device says, the first time; [`WalError::Poisoned`] from then on.
    pub fn flush(&mut self) -> Result<(), WalError> {
        self.guarded(Driver::flush)
    }

    /// As [`crate::Wal::read_range`].
    pub fn read_range(&self, from: u64, to: u64, max_bytes: u64) -> Result<Vec<Entry>, WalError> {
        self.shared.read_range(from, to, max_bytes)
    }

    /// As [`crate::Wal::stats`].
    pub fn stats(&self) -> WalStats {
        self.shared.stats(self.chosen.0, self.chosen.1.clone())
    }

    /// As [`crate::Wal::close`]. A log that is dropped without it is as after a crash of the process.
    pub fn close(mut self) -> Result<(), WalError> {
        self.shared.queue.close();
        self.guarded(|driver| {
            driver.flush()?;
            driver.seal()
        })
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Driver) -> Result<(), WalError>) -> Result<(), WalError> {
        if let Some(failure) = self.shared.queue.failure() {
            return Err(failure);
        }
        work(&mut self.driver).inspect_err(|error| self.driver.fail(error.clone()))
    }
}
