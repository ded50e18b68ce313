//! Prints answers: five formats, one module each, that all know the same list of [`Reply`]s.
//!
//! What stands on stdout is an interface: scripts cut it up and programs decode it. Hence each format follows
//! etcdctl to the byte, down to fields that are left out when they are zero and those that are not.

pub(crate) mod ascii_table;
mod fields;
mod json;
pub(crate) mod json_writer;
mod protobuf;
mod reply;
mod rows;
mod simple;
mod table;

use std::io::{self, Write};

pub(crate) use reply::{EndpointHash, EndpointHealth, EndpointStatus, Reply};

use crate::failure::{Code, Failure, Outcome};

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// What people read.
    Simple,
    /// One JSON object for each answer.
    Json,
    /// `"Name" : value` lines.
    Fields,
    /// The answer as it came over the wire.
    Protobuf,
    /// A table with a frame.
    Table,
}

impl Format {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Simple, "simple"),
        (Self::Json, "json"),
        (Self::Fields, "fields"),
        (Self::Protobuf, "protobuf"),
        (Self::Table, "table"),
    ];

    /// The format called so.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(format, _)| *format)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }
}

/// A reply that the format has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsupported;

/// Prints replies in one format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// The format.
    pub(crate) format: Format,
    /// Whether keys and values are printed as hexadecimal escapes.
    pub(crate) hex: bool,
    /// Whether keys are left out (simple format only).
    pub(crate) values_only: bool,
}

impl Printer {
    /// Prints a reply on stdout (health of endpoints also on stderr).
    ///
    /// # Errors
    /// The format has no form for it, or stdout cannot be written.
    pub(crate) fn print(self, reply: &Reply<'_>) -> Outcome {
        let mut page = Page::default();
        self.render(reply, &mut page).map_err(|Unsupported| {
            Failure::new(
                Code::BadFeature,
                format_args!("{} not supported as output format", self.format.name()),
            )
        })?;
        write_stdout(&page.out)?;
        // Nothing can be done about a closed stderr.
        let _ = io::stderr().write_all(&page.err);
        Ok(())
    }

    fn render(self, reply: &Reply<'_>, page: &mut Page) -> Result<(), Unsupported> {
        match self.format {
            Format::Simple => {
                simple::render(reply, simple::Style { hex: self.hex, values_only: self.values_only }, page)
            }
            Format::Json => json::render(reply, self.hex, &mut page.out),
            Format::Fields => fields::render(reply, &mut page.out),
            Format::Protobuf => protobuf::render(reply, &mut page.out),
            Format::Table => table::render(reply, &mut page.out),
        }
    }
}

/// What a reply becomes.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// For stdout.
    pub(crate) out: Vec<u8>,
    /// For stderr.
    pub(crate) err: Vec<u8>,
}

/// Writes to stdout and flushes it.
///
/// # Errors
/// Stdout is closed or full. Nothing is said about a closed pipe: its reader has seen enough.
pub(crate) fn write_stdout(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(Code::Error),
        _ => Failure::new(Code::Io, format_args!("stdout cannot be written ({error})")),
    })
}

#[cfg(test)]
mod tests;
