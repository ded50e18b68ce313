//! The thread that writes lines out.
//!
//! Lines go through a bounded queue. When it is full (a terminal stopped with ctrl-S, a pipe that nobody reads) lines are
//! dropped and counted: a log must never stop a database. Errors of the outputs are ignored for the same reason; there is
//! nobody to tell.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::config::Output;
use super::{LogError, line};

/// Lines that may wait. At some 300 bytes a line this is 2.5 MB.
const QUEUE_LINES: usize = 8192;
/// Lines are gathered up to this many bytes for one write.
const GATHER_BYTES: usize = 64 * 1024;

enum Message {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// The way to the thread. It ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Opens the outputs and starts the thread.
    pub(super) fn start(outputs: &[Output]) -> Result<Self, LogError> {
        let sinks = open(outputs)?;
        let (queue, lines) = bounded(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || run(&lines, sinks, &counter))
            .map_err(LogError::Thread)?;
        Ok(Self { queue, dropped })
    }

    /// Queues a line, or drops it.
    pub(super) fn send(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was queued before is written, for `patience` at most.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, waiting) = bounded(1);
        if self.queue.send_timeout(Message::Flush(done), patience).is_ok() {
            let _ = waiting.recv_timeout(patience);
        }
    }
}

enum Sink {
    Stderr,
    Stdout,
    File(File),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(bytes),
        }
    }
}

/// Opens each output once; none when one of them is `/dev/null`, as in etcd.
fn open(outputs: &[Output]) -> Result<Vec<Sink>, LogError> {
    let mut outputs = outputs.to_vec();
    outputs.sort();
    outputs.dedup();
    if outputs.iter().any(|output| matches!(output, Output::File(path) if path.as_os_str() == "/dev/null")) {
        return Ok(Vec::new());
    }
    outputs
        .into_iter()
        .map(|output| match output {
            Output::Stderr => Ok(Sink::Stderr),
            Output::Stdout => Ok(Sink::Stdout),
            Output::File(path) => match OpenOptions::new().append(true).create(true).open(&path) {
                Ok(file) => Ok(Sink::File(file)),
                Err(error) => Err(LogError::Open { path, error }),
            },
        })
        .collect()
}

fn run(queue: &Receiver<Message>, mut sinks: Vec<Sink>, dropped: &AtomicU64) {
    let mut gathered = Vec::with_capacity(GATHER_BYTES);
    let mut told = 0;
    while let Ok(message) = queue.recv() {
        let mut next = Some(message);
        let mut flushed = Vec::new();
        while let Some(message) = next {
            match message {
                Message::Line(line) => gathered.extend_from_slice(&line),
                Message::Flush(done) => flushed.push(done),
            }
            next = if gathered.len() < GATHER_BYTES { queue.try_recv().ok() } else { None };
        }
        let lost = dropped.load(Ordering::Relaxed);
        if lost > told {
            gathered.extend(line::lost(lost - told));
            told = lost;
        }
        for sink in &mut sinks {
            let _ = sink.write(&gathered);
        }
        gathered.clear();
        for done in flushed {
            let _ = done.send(());
        }
    }
}
