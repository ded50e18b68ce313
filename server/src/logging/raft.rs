//! raft's logger: raft-rs speaks `slog`, and its lines come out with `"logger":"raft"` as in etcd.

use std::fmt::Arguments;

use serde_json::{Map, Value};
use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer};

use super::json::json;
use super::line::short_caller;

/// A logger to hand to raft-rs.
pub fn logger() -> Logger {
    Logger::root(RaftDrain, slog::o!())
}

struct RaftDrain;

impl Drain for RaftDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        /// `tracing` wants each level as a place of its own in the source.
        macro_rules! emit {
            ($level:ident) => {{
                if tracing::enabled!(target: "holdfast::raft", tracing::Level::$level) {
                    let caller = caller(record);
                    let pairs = pairs(record, values);
                    let message = record.msg();
                    tracing::event!(
                        target: "holdfast::raft",
                        tracing::Level::$level,
                        logger = "raft",
                        caller,
                        kv = ?json(&pairs),
                        "{message}"
                    );
                }
            }};
        }
        match record.level() {
            Level::Critical | Level::Error => emit!(ERROR),
            Level::Warning => emit!(WARN),
            Level::Info => emit!(INFO),
            Level::Debug | Level::Trace => emit!(DEBUG),
        }
        Ok(())
    }
}

fn caller(record: &Record<'_>) -> String {
    let name = record.file().rsplit(['/', '\\']).next().unwrap_or_default();
    short_caller(&format!("raft/{name}"), record.line())
}

/// The pairs of the record and of its logger, as one object. slog hands the newest pair out first.
fn pairs(record: &Record<'_>, values: &OwnedKVList) -> Map<String, Value> {
    let mut pairs = Pairs(Map::new());
    // Formatting a value can fail only where its own Display does; the line is worth more than that pair.
    let _ = values.serialize(record, &mut pairs);
    let _ = record.kv().serialize(record, &mut pairs);
    pairs.0
}

struct Pairs(Map<String, Value>);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &Arguments<'_>) -> slog::Result {
        self.0.insert(key.to_string(), Value::String(value.to_string()));
        Ok(())
    }

    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.0.insert(key.to_string(), value.into());
        Ok(())
    }

    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.0.insert(key.to_string(), value.into());
        Ok(())
    }

    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.0.insert(key.to_string(), value.into());
        Ok(())
    }
}
