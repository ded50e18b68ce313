//! Writes groups through io_uring, two of them at once.
//!
//! The files are open with `O_DSYNC` (and `O_DIRECT` where the file system takes it), so that a write is durable when
//! it completes. The runtime belongs to the log's thread and runs only while that thread waits: it hands over what was
//! submitted, then sleeps until a write completes or a caller rings.

use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::Notify;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::fs::File;

use super::{Done, GroupWriter};
use crate::buffer::AlignedBuffer;
use crate::core::assemble::GroupWrite;
use crate::device::{FileDevice, LogDevice, SegmentName, disk};
use crate::error::{DeviceError, WalError};
use crate::format::{MIN_BLOCK_BYTES, effective_block};
use crate::queue::Queue;

/// Entries of the ring: two writes and the wake-ups around them need no more.
const RING_ENTRIES: u32 = 8;

type Writing = Pin<Box<dyn Future<Output = Done>>>;

/// See the module.
pub(crate) struct RingWriter {
    // Dropped in this order: what is in flight, then the files, then the runtime that both need.
    in_flight: Vec<Writing>,
    files: Vec<(u64, Rc<File>)>,
    runtime: tokio_uring::Runtime,
    slots: usize,
    direct: bool,
    directory: Rc<Path>,
    rung: Arc<Notify>,
}

impl RingWriter {
    /// Makes a ring and a durable write with it; an error if the system refuses either.
    pub(crate) fn probe(device: &FileDevice, slots: usize, queue: &Queue) -> io::Result<RingWriter> {
        let runtime = tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES))?;
        let scratch = device.scratch_path();
        let block = effective_block(device.block_bytes()).max(MIN_BLOCK_BYTES) as usize;
        let made = std::fs::write(&scratch, vec![0; block]);
        let written = made.and_then(|()| {
            let file = disk::open_dsync(&scratch, device.is_direct())?;
            runtime.block_on(async {
                let file = File::from_std(file);
                let mut buffer = AlignedBuffer::default();
                buffer.pad_to(block);
                let (raw, start) = buffer.into_parts();
                let (result, _) = file.write_all_at(raw.slice(start..), 0).await;
                let closed = file.close().await;
                result.and(closed)
            })
        });
        let removed = std::fs::remove_file(&scratch);
        written.and(removed)?;
        let rung = Arc::new(Notify::new());
        let bell = rung.clone();
        queue.set_waker(Box::new(move || bell.notify_one()));
        Ok(RingWriter {
            in_flight: Vec::with_capacity(slots),
            files: Vec::new(),
            runtime,
            slots,
            direct: device.is_direct(),
            directory: device.directory().into(),
            rung,
        })
    }

    /// How writes are made, in words.
    pub(crate) fn how(&self) -> String {
        let past = if self.direct { "O_DIRECT and O_DSYNC" } else { "O_DSYNC" };
        format!("{past}, {} groups in flight", self.slots)
    }

    /// The file of a segment. The last two stay open: a roll has a group in flight in each.
    fn file(&mut self, segment: u64) -> Result<Rc<File>, DeviceError> {
        if let Some((_, file)) = self.files.iter().find(|(sequence, _)| *sequence == segment) {
            return Ok(file.clone());
        }
        let path = self.directory.join(SegmentName::Segment(segment).to_string());
        let opened = disk::open_dsync(&path, self.direct);
        let opened = opened.map_err(|e| DeviceError::new("open", path.display().to_string(), e))?;
        let file = Rc::new(File::from_std(opened));
        if self.files.len() == 2 {
            self.files.remove(0);
        }
        self.files.push((segment, file.clone()));
        Ok(file)
    }
}

impl GroupWriter for RingWriter {
    fn slots(&self) -> usize {
        self.slots
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn submit(&mut self, write: GroupWrite, buffer: AlignedBuffer) {
        assert!(self.in_flight.len() < self.slots, "a group is submitted to a free slot");
        let begun = Instant::now();
        let writing: Writing = match self.file(write.place.segment) {
            Ok(file) => {
                let directory = self.directory.clone();
                Box::pin(async move {
                    let (raw, start) = buffer.into_parts();
                    let (result, slice) = file.write_all_at(raw.slice(start..), write.place.offset).await;
                    let buffer = AlignedBuffer::from_parts(slice.into_inner(), start);
                    let result = result.map_err(|error| {
                        let path = directory.join(SegmentName::Segment(write.place.segment).to_string());
                        WalError::from(DeviceError::new("write", path.display().to_string(), error))
                    });
                    Done { write, buffer, begun, result }
                })
            }
            Err(error) => {
                Box::pin(std::future::ready(Done { write, buffer, begun, result: Err(error.into()) }))
            }
        };
        self.in_flight.push(writing);
    }

    fn collect(&mut self, arrivals: Option<&Queue>, done: &mut Vec<Done>) {
        let listening = arrivals.filter(|queue| queue.begin_ringing());
        if arrivals.is_some() && listening.is_none() {
            return;
        }
        let (in_flight, rung) = (&mut self.in_flight, &self.rung);
        self.runtime.block_on(async {
            let mut ring = pin!(rung.notified());
            poll_fn(|cx| {
                let before = done.len();
                let mut at = 0;
                while at < in_flight.len() {
                    match in_flight[at].as_mut().poll(cx) {
                        Poll::Ready(finished) => {
                            done.push(finished);
                            drop(in_flight.remove(at));
                        }
                        Poll::Pending => at += 1,
                    }
                }
                if done.len() > before {
                    return Poll::Ready(());
                }
                if listening.is_some() { ring.as_mut().poll(cx) } else { Poll::Pending }
            })
            .await;
        });
        if let Some(queue) = listening {
            queue.end_ringing();
        }
    }
}

impl Drop for RingWriter {
    /// Waits for what is in flight: the kernel reads from its buffers until then.
    fn drop(&mut self) {
        let mut done = Vec::new();
        while !self.in_flight.is_empty() {
            self.collect(None, &mut done);
        }
    }
}
