//! The log: zap's JSON lines, as etcd writes them, on top of `tracing`.
//!
//! Code logs with `tracing`'s macros and etcd's field names (`"data-dir" = …` is a literal field name). [`layer`] turns each
//! event into one line, [`encode`] writes JSON, [`sampler`] thins floods, and [`writer`] hands finished lines to a thread
//! of its own, so that a slow terminal never holds a request back. [`raft`] brings the lines of raft's logger along.

mod config;

pub use self::config::{Format, Level, LogConfig, Output};
