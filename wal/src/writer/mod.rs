//! Carries groups to the device. Two writers stand behind one trait and write the same segments.
//!
//! The blocking writer makes one call for each group and has one in flight. The ring writer hands groups to io_uring
//! and has up to two in flight: while one is being made durable, the next is on its way. Which one is used is decided
//! at the start, with a real write: containers often refuse io_uring.
//!
//! Which is the better one was measured with `examples/figures.rs`: ext4 on a virtual disk, 300-byte entries, direct
//! I/O, turns of 0.1 s. The machine was shared and busy, so both the best turn and the median are given:
//!
//! | appenders | ring, 2 in flight: p50 best / median | blocking: p50 best / median |
//! | ---: | --- | --- |
//! | 1 | 29 / 1353 µs | 40 / 852 µs |
//! | 64 | 60 / 64 µs | 88 / 3427 µs |
//! | 1,000 | 267 / 406 µs | 353 / 2019 µs |
//!
//! So the ring is the default: the second group in flight pays as soon as several append, and costs a lone appender
//! nothing on a free machine. Its weak side: a synced direct write through the ring is completed by a worker of the
//! kernel. Where all cores are taken and the log's thread has a higher priority than that worker, it waited for
//! milliseconds and the blocking call (60 µs) was the better one.

mod plain;
#[cfg(target_os = "linux")]
mod ring;

use std::sync::Arc;
use std::time::Instant;

use crate::buffer::AlignedBuffer;
use crate::config::{Config, WriterChoice};
use crate::core::assemble::GroupWrite;
use crate::device::LogDevice;
use crate::error::WalError;
use crate::queue::Queue;
use crate::stats::WriterKind;

/// A write that has come to its end, well or badly.
pub(crate) struct Done {
    pub(crate) write: GroupWrite,
    pub(crate) buffer: AlignedBuffer,
    pub(crate) begun: Instant,
    pub(crate) result: Result<(), WalError>,
}

/// Writes groups. Lives on the log's thread.
pub(crate) trait GroupWriter {
    /// How many groups may be in flight.
    fn slots(&self) -> usize;

    /// How many are.
    fn in_flight(&self) -> usize;

    /// Begins the write of a group. There must be a free slot.
    fn submit(&mut self, write: GroupWrite, buffer: AlignedBuffer);

    /// Waits until at least one write has come to its end, and adds what has to `done`. If `arrivals` is given, it may
    /// also return with nothing done as soon as something waits there.
    fn collect(&mut self, arrivals: Option<&Queue>, done: &mut Vec<Done>);
}

/// A writer, and why it is this one.
pub(crate) struct Chosen {
    pub(crate) writer: Box<dyn GroupWriter>,
    pub(crate) kind: WriterKind,
    pub(crate) reason: String,
}

/// Chooses the writer. To be called on the thread that will use it.
pub(crate) fn choose(device: &Arc<dyn LogDevice>, config: &Config, queue: &Queue) -> Chosen {
    let Some(files) = device.as_files() else {
        let writer = plain::PlainWriter::new(device.clone(), config.groups_in_flight, !config.no_sync);
        let reason = "the device is not a directory of files".to_owned();
        return Chosen { writer: Box::new(writer), kind: WriterKind::Plain, reason };
    };
    let how = files.how();
    let blocking = |why: String| {
        let writer = plain::PlainWriter::new(device.clone(), 1, !config.no_sync);
        let reason = format!("{why}; {how}");
        Chosen { writer: Box::new(writer), kind: WriterKind::Blocking, reason }
    };
    if config.no_sync {
        return blocking("syncs are switched off, so there is nothing to overlap".to_owned());
    }
    match config.writer {
        WriterChoice::Blocking => blocking("asked for".to_owned()),
        WriterChoice::Auto | WriterChoice::Ring => ring_or(files, config, queue, blocking),
    }
}

#[cfg(target_os = "linux")]
fn ring_or(
    files: &crate::device::FileDevice,
    config: &Config,
    queue: &Queue,
    blocking: impl FnOnce(String) -> Chosen,
) -> Chosen {
    match ring::RingWriter::probe(files, config.groups_in_flight, queue) {
        Ok(writer) => {
            let reason = format!("io_uring took a durable write: {}", writer.how());
            Chosen { writer: Box::new(writer), kind: WriterKind::Ring, reason }
        }
        Err(error) => blocking(format!("io_uring is refused here: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn ring_or(
    _files: &crate::device::FileDevice,
    _config: &Config,
    _queue: &Queue,
    blocking: impl FnOnce(String) -> Chosen,
) -> Chosen {
    blocking("io_uring is there on Linux only".to_owned())
}
