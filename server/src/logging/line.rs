//! One finished line: zap's JSON object, or its columns.

use std::io::Write as _;

use super::config::{Format, Level};

/// What a line is made of. `fields` is the inside of a JSON object, without its braces.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) logger: &'a str,
    pub(super) caller: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a [u8],
}

/// Writes the line, with its line break.
pub(super) fn render(format: Format, level: Level, parts: &Parts<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + parts.message.len() + parts.fields.len());
    match format {
        Format::Json => {
            out.extend_from_slice(b"{\"level\":\"");
            out.extend_from_slice(level.as_str().as_bytes());
            out.extend_from_slice(b"\",\"ts\":\"");
            timestamp(&mut out);
            out.push(b'"');
            if !parts.logger.is_empty() {
                out.extend_from_slice(b",\"logger\":");
                text(&mut out, parts.logger);
            }
            out.extend_from_slice(b",\"caller\":");
            text(&mut out, parts.caller);
            out.extend_from_slice(b",\"msg\":");
            text(&mut out, parts.message);
            if !parts.fields.is_empty() {
                out.push(b',');
                out.extend_from_slice(parts.fields);
            }
            out.push(b'}');
        }
        Format::Console => {
            timestamp(&mut out);
            for column in [level.as_str(), parts.logger, parts.caller, parts.message] {
                if !column.is_empty() {
                    out.push(b'\t');
                    out.extend(column.bytes().map(|b| if b == b'\n' { b' ' } else { b }));
                }
            }
            if !parts.fields.is_empty() {
                out.extend_from_slice(b"\t{");
                out.extend_from_slice(parts.fields);
                out.push(b'}');
            }
        }
    }
    out.push(b'\n');
    out
}

/// Appends `"name":value` to the fields; `value` is JSON.
pub(super) fn field(fields: &mut Vec<u8>, name: &str, value: &str) {
    if !fields.is_empty() {
        fields.push(b',');
    }
    text(fields, name);
    fields.push(b':');
    fields.extend_from_slice(value.as_bytes());
}

/// Appends `"name":"value"` to the fields.
pub(super) fn text_field(fields: &mut Vec<u8>, name: &str, value: &str) {
    field(fields, name, "");
    text(fields, value);
}

/// A JSON string.
fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a Vec takes every byte");
}

/// `2026-11-21T03:14:54.941123Z`: always UTC, always microseconds.
fn timestamp(out: &mut Vec<u8>) {
    let now = time::OffsetDateTime::now_utc();
    let (hour, minute, second, micro) = now.to_hms_micro();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
        .expect("a Vec takes every byte");
}

/// zap's short form of a place in the source: folder, file and line. Cargo's `src` says nothing and is left out.
pub(super) fn short_caller(file: &str, line: u32) -> String {
    let mut parts = file.rsplit(['/', '\\']).filter(|part| *part != "src");
    let name = parts.next().unwrap_or("unknown.rs");
    match parts.next() {
        Some(folder) => format!("{folder}/{name}:{line}"),
        None => format!("{name}:{line}"),
    }
}

/// The line that stands for lines that could not be written. It is JSON in every format: it is rare, and must not be missed.
pub(super) fn lost(count: u64) -> Vec<u8> {
    let mut fields = Vec::new();
    field(&mut fields, "dropped-lines", &count.to_string());
    let parts = Parts {
        caller: "logging/writer.rs",
        message: "log outputs are too slow; lines were dropped",
        fields: &fields,
        ..Parts::default()
    };
    render(Format::Json, Level::Warn, &parts)
}
