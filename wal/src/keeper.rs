//! Keeps the files: prepares spare segments ahead of need and takes back those that are needed no more.
//!
//! Filling 64 MiB with zeros takes a tenth of a second, and the log's thread must not wait for that in the middle of
//! its writes. So on a directory of files the keeper has a thread of its own; the log's thread asks it for a spare when
//! the active segment is half full. On other devices, and in tests, everything is done where it is asked for, so that
//! the order of all writes is the same in every run.
//!
//! A released segment becomes a spare by being renamed. The rename is durable before the file is used again: otherwise
//! a crash could bring its old name back over its new content.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};

use crate::core::segments::SegmentState;
use crate::device::{LogDevice, SegmentName};
use crate::error::WalError;

/// What the keeper's thread is asked for.
enum Task {
    /// Have a spare.
    Prepare,
    /// These segments are needed no more; oldest first.
    Recycle(Vec<SegmentState>),
}

#[derive(Default)]
struct State {
    spares: VecDeque<u64>,
    highest_number: u64,
    preparing: bool,
    failure: Option<WalError>,
}

/// What thread and callers share.
struct Shared {
    device: Arc<dyn LogDevice>,
    segment_bytes: u64,
    max_spares: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// The keeper of the segment files.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// A keeper that starts with the spares found on the device (number and length). Those of another length, such as
    /// one whose preparation was cut off, and those beyond `max_spares`, are removed.
    pub(crate) fn start(
        device: Arc<dyn LogDevice>,
        segment_bytes: u64,
        max_spares: usize,
        found: &BTreeMap<u64, u64>,
        background: bool,
    ) -> Result<Keeper, WalError> {
        let mut state = State::default();
        for (&number, &len) in found {
            state.highest_number = number;
            if len == segment_bytes && state.spares.len() < max_spares {
                state.spares.push_back(number);
            } else {
                device.remove(SegmentName::Spare(number))?;
            }
        }
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { device, segment_bytes, max_spares, state, changed: Condvar::new() });
        let mut keeper = Keeper { shared, tasks: None, thread: None };
        if background {
            let (tasks, inbox) = crossbeam_channel::bounded::<Task>(1024);
            let shared = keeper.shared.clone();
            let body = move || {
                for task in inbox {
                    shared.carry_out(task);
                }
            };
            let spawned = std::thread::Builder::new().name("wal-keeper".into()).spawn(body);
            keeper.thread = Some(spawned.map_err(|e| WalError::Thread { reason: e.to_string() })?);
            keeper.tasks = Some(tasks);
        }
        Ok(keeper)
    }

    /// Asks for a spare to be there soon. Does nothing without a thread: it will be made when it is taken.
    pub(crate) fn prepare(&self) {
        if self.shared.max_spares > 0
            && let Some(tasks) = &self.tasks
        {
            // A full inbox means that the keeper is busy with such requests already.
            let _ = tasks.try_send(Task::Prepare);
        }
    }

    /// Hands back segments that are needed no more, oldest first.
    pub(crate) fn recycle(&self, segments: Vec<SegmentState>) {
        if segments.is_empty() {
            return;
        }
        match &self.tasks {
            Some(tasks) => {
                if let Err(unsent) = tasks.send(Task::Recycle(segments)) {
                    self.shared.carry_out(unsent.into_inner());
                }
            }
            None => self.shared.carry_out(Task::Recycle(segments)),
        }
    }

    /// Takes a spare, making one if there is none.
    pub(crate) fn take(&self) -> Result<SegmentName, WalError> {
        let mut state = self.shared.state.lock();
        loop {
            if let Some(number) = state.spares.pop_front() {
                return Ok(SegmentName::Spare(number));
            }
            if !state.preparing {
                break;
            }
            self.shared.changed.wait(&mut state);
        }
        drop(state);
        self.shared.make().map(SegmentName::Spare)
    }

    /// The error with which a segment could not be put aside: the state of the directory is not known any more.
    pub(crate) fn check(&self) -> Result<(), WalError> {
        match &self.shared.state.lock().failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Number of spares.
    pub(crate) fn spares(&self) -> usize {
        self.shared.state.lock().spares.len()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn carry_out(&self, task: Task) {
        match task {
            Task::Prepare => self.prepare(),
            Task::Recycle(segments) => {
                for segment in segments {
                    if let Err(error) = self.recycle(segment) {
                        self.state.lock().failure.get_or_insert(error);
                        return;
                    }
                }
            }
        }
    }

    fn prepare(&self) {
        let mut state = self.state.lock();
        if !state.spares.is_empty() {
            return;
        }
        state.preparing = true;
        drop(state);
        let made = self.make();
        let mut state = self.state.lock();
        state.preparing = false;
        match made {
            Ok(number) => state.spares.push_back(number),
            // Nothing of the log is lost. When the segment is needed, another is made, or the log says why not.
            Err(error) => tracing::warn!(%error, "could not prepare a log segment ahead of need"),
        }
        self.changed.notify_all();
    }

    /// Makes a new spare.
    fn make(&self) -> Result<u64, WalError> {
        let number = self.next_number();
        self.device.create(SegmentName::Spare(number), self.segment_bytes)?;
        Ok(number)
    }

    fn next_number(&self) -> u64 {
        let mut state = self.state.lock();
        state.highest_number += 1;
        state.highest_number
    }

    /// Keeps a segment's file for later, or removes it if there are enough.
    fn recycle(&self, segment: SegmentState) -> Result<(), WalError> {
        let name = SegmentName::Segment(segment.sequence);
        let enough = self.state.lock().spares.len() >= self.max_spares;
        // A segment of another length was made with another configuration.
        if enough || segment.bytes != self.segment_bytes {
            return Ok(self.device.remove(name)?);
        }
        let number = self.next_number();
        self.device.rename(name, SegmentName::Spare(number))?;
        self.state.lock().spares.push_back(number);
        Ok(())
    }
}
