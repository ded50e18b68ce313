//! raft-rs logs through slog; its lines go where all others go.

use std::fmt::Write as _;

use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer, o};

/// A logger for [`super::Node`] that hands each line to `tracing`.
pub fn tracing_logger() -> Logger {
    Logger::root(Forward, o!())
}

struct Forward;

/// Writes the key-value pairs of a line after its message.
struct Pairs(String);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, ", {key}: {value}").map_err(|_| slog::Error::Other)
    }
}

impl Drain for Forward {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let mut line = Pairs(record.msg().to_string());
        // A value that cannot be printed is left out of the line; the line itself is worth more than the value.
        let _ = record.kv().serialize(record, &mut line);
        let _ = values.serialize(record, &mut line);
        let text = line.0;
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(logger = "raft", "{text}"),
            Level::Warning => tracing::warn!(logger = "raft", "{text}"),
            Level::Info => tracing::info!(logger = "raft", "{text}"),
            Level::Debug | Level::Trace => tracing::debug!(logger = "raft", "{text}"),
        }
        Ok(())
    }
}
