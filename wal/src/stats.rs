//! Figures of a running log.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which writer carries the groups to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterKind {
    /// io_uring, on the log's own thread.
    Ring,
    /// One blocking call for each group.
    Blocking,
    /// Plain calls to a device that is not a directory of files.
    Plain,
}

impl WriterKind {
    /// One word for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            WriterKind::Ring => "ring",
            WriterKind::Blocking => "blocking",
            WriterKind::Plain => "plain",
        }
    }
}

/// A snapshot of the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalStats {
    /// Which writer is in use.
    pub writer: WriterKind,
    /// Why that one, and how it makes writes durable, in words.
    pub writer_reason: String,
    /// Groups written since the start.
    pub groups: u64,
    /// Durable writes since the start (0 when syncs are switched off).
    pub syncs: u64,
    /// Bytes written in groups since the start, padding included.
    pub written_bytes: u64,
    /// Bytes of entry data made durable since the start.
    pub data_bytes: u64,
    /// Segments begun since the start.
    pub rolls: u64,
    /// Batches that wait for the log's thread.
    pub queued_batches: usize,
    /// Bytes of entry data accepted and not yet durable.
    pub queued_bytes: u64,
    /// Number of the last durable group.
    pub durable_group: u64,
    /// First index that can be read back.
    pub first_index: u64,
    /// Last index that is durable.
    pub durable_index: u64,
    /// Last index that was accepted.
    pub last_index: u64,
    /// Segments that the log is in.
    pub segments: u64,
    /// Spare segments.
    pub spares: usize,
}

/// The figures as the log's thread counts them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) data_bytes: AtomicU64,
    pub(crate) rolls: AtomicU64,
    pub(crate) durable_group: AtomicU64,
    pub(crate) segments: AtomicU64,
}

impl Counters {
    /// Adds to a counter that only the log's thread changes.
    pub(crate) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    /// Sets a figure.
    pub(crate) fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    /// Reads a figure.
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
