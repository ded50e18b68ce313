//! The log: zap's JSON lines, as etcd writes them, on top of `tracing`.
//!
//! Code logs with `tracing`'s macros and etcd's field names (`"data-dir" = …` is a literal field name). [`layer`] turns each
//! event into one line, [`line`] writes JSON or columns, [`sampler`] thins floods, and [`writer`] hands finished lines to a
//! thread of its own, so that a slow terminal never holds a request back. [`raft`] brings the lines of raft's logger along.
//!
//! Three field names mean something to the layer itself: `severity = "fatal"` (or `"panic"`) lifts an `error!` to a level
//! that `tracing` does not have, `logger` and `caller` fill zap's columns of these names.

mod config;
mod json;
mod layer;
mod line;
pub mod raft;
mod sampler;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;

pub use self::config::{Format, Level, LogConfig, Output};
pub use self::json::json;
use self::layer::ZapLayer;
use self::writer::Writer;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file that cannot be opened for appending.
    #[error("couldn't open sink {path:?}: {error}")]
    Open {
        /// The path.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No thread for the writer.
    #[error("cannot start the log's thread: {0}")]
    Thread(io::Error),
}

/// The running log. Lines written before it was made are lost; lines written after the process is gone too, so [`Log::flush`]
/// comes before every exit.
#[derive(Debug, Clone)]
pub struct Log {
    writer: Writer,
}

impl Log {
    /// Opens the outputs and makes this the log of the whole process. The second log of a process (there is one in tests)
    /// writes nothing by itself.
    pub fn init(config: &LogConfig) -> Result<Self, LogError> {
        let writer = Writer::start(&config.outputs)?;
        let sink = writer.clone();
        let layer = ZapLayer::new(config.format, config.level, Box::new(move |line| sink.send(line)));
        let subscriber = tracing_subscriber::registry().with(layer);
        let _ = tracing::subscriber::set_global_default(subscriber);
        Ok(Self { writer })
    }

    /// Waits until all lines so far are written, or for a second at most: a pipe that nobody reads must not keep the process.
    pub fn flush(&self) {
        self.writer.flush(Duration::from_secs(1));
    }

    /// Lines that were dropped because the outputs could not keep up.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    /// Makes panics lines of the log, as zap does, and writes them out before the process goes down.
    pub fn catch_panics(&self) {
        let log = self.clone();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let message = match payload.downcast_ref::<&str>() {
                Some(text) => text,
                None => payload.downcast_ref::<String>().map_or("panic", String::as_str),
            };
            let caller =
                info.location().map(|at| line::short_caller(at.file(), at.line())).unwrap_or_default();
            let stacktrace = std::backtrace::Backtrace::force_capture();
            tracing::error!(severity = "panic", caller, stacktrace = %stacktrace, "{message}");
            log.flush();
        }));
    }
}
