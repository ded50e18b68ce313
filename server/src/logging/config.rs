//! Where the log goes, in which form, and from which level on.

use std::path::PathBuf;

/// The three flags of logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `--log-outputs`, each once.
    pub outputs: Vec<Output>,
    /// `--log-format`.
    pub format: Format,
    /// `--log-level`: the least that is written.
    pub level: Level,
}

impl Default for LogConfig {
    /// JSON on stderr from `info` on: what is used until the flags are known.
    fn default() -> Self {
        Self { outputs: vec![Output::Stderr], format: Format::Json, level: Level::Info }
    }
}

/// One place that lines are written to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// `default` or `stderr`.
    Stderr,
    /// `stdout`.
    Stdout,
    /// A file, appended to. `/dev/null` discards everything.
    File(PathBuf),
}

impl Output {
    /// Reads one word of the flag.
    pub fn parse(word: &str) -> Self {
        match word {
            "default" | "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            path => Self::File(path.into()),
        }
    }
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Tab-separated columns, with the fields as JSON in the last.
    Console,
}

/// zap's levels. Those above error are written by the code that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// The normal course of things.
    Info,
    /// Something that an operator may want to know.
    Warn,
    /// Something went wrong.
    Error,
    /// A broken assumption in development builds of etcd.
    DPanic,
    /// A broken assumption.
    Panic,
    /// The end of the process.
    Fatal,
}

impl Level {
    /// Reads the flag as zap does: lower or upper case, nothing in between; empty is info.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "debug" | "DEBUG" => Self::Debug,
            "info" | "INFO" | "" => Self::Info,
            "warn" | "WARN" | "warning" | "WARNING" => Self::Warn,
            "error" | "ERROR" => Self::Error,
            "dpanic" | "DPANIC" => Self::DPanic,
            "panic" | "PANIC" => Self::Panic,
            "fatal" | "FATAL" => Self::Fatal,
            _ => return None,
        })
    }

    /// The word in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::DPanic => "dpanic",
            Self::Panic => "panic",
            Self::Fatal => "fatal",
        }
    }
}
