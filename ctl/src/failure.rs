//! How a command fails: an exit code and what stands on stderr.
//!
//! The exit codes are etcdctl's, since scripts branch on them.

use std::fmt;

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// An error of the server, or a command line that cannot be understood.
    Error = 1,
    /// No client could be made, or a lease call failed.
    BadConnection = 2,
    /// Input that cannot be understood: a transaction, the lines of an interactive watch.
    InvalidInput = 3,
    /// An output format, order or consistency that does not exist.
    BadFeature = 4,
    /// A snapshot or a watch that ended before its time.
    Interrupted = 5,
    /// A local file or pipe failed.
    Io = 6,
    /// Arguments that are missing, too many or malformed.
    BadArgs = 128,
}

/// A command's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    report: Option<String>,
}

impl Failure {
    /// Fails with `Error: <message>` on stderr.
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code: code as u8, report: Some(format!("Error: {message}")) }
    }

    /// Fails because of wrong arguments.
    pub(crate) fn bad_args(message: impl fmt::Display) -> Self {
        Self::new(Code::BadArgs, message)
    }

    /// Fails with a line on stderr that stands for itself.
    pub(crate) fn with_line(code: Code, line: String) -> Self {
        Self { code: code as u8, report: Some(line) }
    }

    /// Fails without a word, because everything has been said.
    pub(crate) fn silent(code: Code) -> Self {
        Self { code: code as u8, report: None }
    }

    /// The exit code of the process.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// What goes to stderr, without the final newline.
    pub(crate) fn report(&self) -> Option<&str> {
        self.report.as_deref()
    }
}
