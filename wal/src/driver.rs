//! The log's thread: takes what waits, fills groups, hands them to the writer, and reports what has become durable.
//!
//! One turn of it, and the whole of its life:
//!
//! 1. Take all that waits.
//! 2. While a write slot is free and something waits: fill a group and submit it, rolling to a new segment on the way
//!    if there is no room. What arrives meanwhile is taken with the next group: that is all there is to group commit.
//! 3. If nothing is in flight: sleep until something comes, or end if the log is closed.
//! 4. Otherwise wait for a write to complete, update the index, report the ticket, give released segments back.
//!
//! Any error ends it: the log is poisoned, the error is reported once, and nothing is tried again.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::buffer::AlignedBuffer;
use crate::config::{Config, WriteReport};
use crate::core::assemble::{Assembler, Fill, GroupWrite, Item};
use crate::device::{LogDevice, SegmentName};
use crate::error::WalError;
use crate::format::segment::SegmentHeader;
use crate::index::Index;
use crate::keeper::Keeper;
use crate::queue::Queue;
use crate::stats::Counters;
use crate::writer::{Done, GroupWriter};

/// What the log's thread and its callers share.
pub(crate) struct Shared {
    pub(crate) device: Arc<dyn LogDevice>,
    pub(crate) queue: Queue,
    pub(crate) index: RwLock<Index>,
    pub(crate) keeper: Keeper,
    pub(crate) counters: Counters,
    pub(crate) config: Config,
}

/// The state of the log's thread.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    assembler: Assembler,
    writer: Box<dyn GroupWriter>,
    waiting: VecDeque<Item>,
    /// Buffers that are not in flight.
    buffers: Vec<AlignedBuffer>,
    done: Vec<Done>,
    /// A spare was asked for since the active segment was begun.
    asked_for_spare: bool,
}

impl Driver {
    /// A driver for a log in this state.
    pub(crate) fn new(shared: Arc<Shared>, assembler: Assembler, writer: Box<dyn GroupWriter>) -> Driver {
        Counters::set(&shared.counters.durable_group, assembler.durable_through());
        Counters::set(&shared.counters.segments, assembler.segments().len() as u64);
        Driver {
            shared,
            assembler,
            writer,
            waiting: VecDeque::new(),
            buffers: Vec::new(),
            done: Vec::new(),
            asked_for_spare: false,
        }
    }

    /// Serves until the log is closed or fails.
    pub(crate) fn run(mut self) {
        let _guard = PanicGuard(self.shared.clone());
        if let Err(error) = self.serve() {
            self.fail(error);
        }
    }

    fn serve(&mut self) -> Result<(), WalError> {
        loop {
            self.flush()?;
            if !self.shared.queue.park() {
                return self.seal();
            }
        }
    }

    /// Writes all that waits, and returns when nothing is in flight any more.
    pub(crate) fn flush(&mut self) -> Result<(), WalError> {
        loop {
            self.shared.keeper.check()?;
            self.shared.queue.take(&mut self.waiting);
            self.fill_slots()?;
            if self.writer.in_flight() == 0 {
                return Ok(());
            }
            self.collect()?;
        }
    }

    /// Poisons the log and reports the error, if it is the first.
    pub(crate) fn fail(&self, error: WalError) {
        if self.shared.queue.poison(&error) {
            tracing::error!(%error, "the log has failed");
            (self.shared.config.on_durable)(Err(error));
        }
    }

    /// Writes the group that says that all before it are durable.
    pub(crate) fn seal(&mut self) -> Result<(), WalError> {
        let mut buffer = self.buffer();
        if let Fill::Group(write) = self.assembler.fill_seal(&mut buffer) {
            self.writer.submit(write, buffer);
            while self.writer.in_flight() > 0 {
                self.collect()?;
            }
        }
        Ok(())
    }

    fn fill_slots(&mut self) -> Result<(), WalError> {
        while self.writer.in_flight() < self.writer.slots() {
            let mut buffer = self.buffer();
            let filled = self.assembler.fill(&mut self.waiting, &mut buffer);
            self.report();
            match filled {
                Fill::Nothing => {
                    self.buffers.push(buffer);
                    return Ok(());
                }
                Fill::Roll => {
                    self.buffers.push(buffer);
                    self.roll()?;
                }
                Fill::Group(write) => self.submit(write, buffer),
            }
        }
        Ok(())
    }

    fn submit(&mut self, write: GroupWrite, buffer: AlignedBuffer) {
        assert_eq!(write.place.bytes, buffer.len() as u64, "a group is written whole");
        self.writer.submit(write, buffer);
        // From half of the segment on there is still time to make the next one before it is needed.
        let half = self.shared.config.segment_bytes / 2;
        if !self.asked_for_spare && write.place.offset + write.place.bytes > half {
            self.asked_for_spare = true;
            self.shared.keeper.prepare();
        }
    }

    /// Waits for writes to complete and draws the consequences.
    fn collect(&mut self) -> Result<(), WalError> {
        let may_begin_another = self.writer.in_flight() < self.writer.slots();
        self.writer.collect(may_begin_another.then_some(&self.shared.queue), &mut self.done);
        let mut failed = None;
        let mut list = std::mem::take(&mut self.done);
        for done in list.drain(..) {
            match done.result {
                Ok(()) => self.complete(done.write, done.buffer, done.begun.elapsed()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.done = list;
        failed.map_or(Ok(()), Err)
    }

    fn complete(&mut self, write: GroupWrite, mut buffer: AlignedBuffer, elapsed: std::time::Duration) {
        let shared = &self.shared;
        buffer.reset(shared.config.max_group_bytes as usize);
        self.buffers.push(buffer);
        let completed = self.assembler.complete(write.number);
        if !completed.durable.is_empty() {
            let mut index = shared.index.write();
            for (place, lap, summary) in &completed.durable {
                index.apply(*place, *lap, summary);
            }
            index.release(completed.released.index);
        }
        let counters = &shared.counters;
        Counters::add(&counters.groups, 1);
        Counters::add(&counters.syncs, u64::from(!shared.config.no_sync));
        Counters::add(&counters.written_bytes, write.place.bytes);
        Counters::add(&counters.data_bytes, completed.data_bytes);
        Counters::set(&counters.durable_group, self.assembler.durable_through());
        Counters::set(&counters.segments, self.assembler.segments().len() as u64);
        shared.queue.drained(completed.data_bytes);
        if let Some(on_write) = &shared.config.on_write {
            on_write(WriteReport { bytes: write.place.bytes, elapsed });
        }
        self.report();
        self.shared.keeper.recycle(completed.unneeded);
    }

    /// Tells the caller the highest durable ticket, if there is a new one.
    fn report(&mut self) {
        if let Some(ticket) = self.assembler.take_ready() {
            (self.shared.config.on_durable)(Ok(ticket));
        }
    }

    /// Goes on in a new segment.
    fn roll(&mut self) -> Result<(), WalError> {
        let config = &self.shared.config;
        let device = &self.shared.device;
        let header = self.assembler.next_header(device.salt(), config.segment_bytes);
        begin_segment(device.as_ref(), &self.shared.keeper, &header, !config.no_sync)?;
        self.assembler.rolled(&header);
        self.asked_for_spare = false;
        Counters::add(&self.shared.counters.rolls, 1);
        Counters::set(&self.shared.counters.segments, self.assembler.segments().len() as u64);
        Ok(())
    }

    fn buffer(&mut self) -> AlignedBuffer {
        self.buffers.pop().unwrap_or_default()
    }
}

/// Refuses appends after a panic on the log's thread (a caller's `on_durable` may panic): nobody would write them.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.poison(&WalError::Thread { reason: "it panicked".into() });
        }
    }
}

/// Makes a spare the next segment: its header is durable before it has the name.
pub(crate) fn begin_segment(
    device: &dyn LogDevice,
    keeper: &Keeper,
    header: &SegmentHeader,
    durable: bool,
) -> Result<(), WalError> {
    let spare = keeper.take()?;
    let mut buffer = AlignedBuffer::default();
    buffer.extend(&header.encode());
    if durable {
        device.write_durable(spare, 0, buffer.bytes())?;
    } else {
        device.write_at(spare, 0, buffer.bytes())?;
    }
    device.rename(spare, SegmentName::Segment(header.sequence))?;
    Ok(())
}
