//! Warnings on stderr: one line of JSON each, in the shape of etcd's logs, so that they are easy to filter
//! out.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::output::json_writer;

/// A line with level, time, message and one detail.
pub(crate) fn line(level: &str, message: &str, name: &'static str, detail: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let mut out = Vec::new();
    json_writer::object(&mut out, |o| {
        o.string("level", level.as_bytes());
        o.raw("ts", &format!("{seconds:.6}"));
        o.string("msg", message.as_bytes());
        o.string(name, detail.as_bytes());
    });
    String::from_utf8_lossy(&out).into_owned()
}

/// Prints a warning.
pub(crate) fn warn(message: &str, name: &'static str, detail: &str) {
    eprintln!("{}", line("warn", message, name, detail));
}
