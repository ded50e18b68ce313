//! SIGTERM and SIGINT, the end of a process by its signal, and the limit of open files.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// File descriptors that are kept for files and peers; clients get the rest.
pub(super) const RESERVED_DESCRIPTORS: u64 = 150;

/// A signal that asks the process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Signal {
    /// In Go's words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminated",
            Self::Interrupt => "interrupt",
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Terminate => SignalKind::terminate().as_raw_value(),
            Self::Interrupt => SignalKind::interrupt().as_raw_value(),
        }
    }
}

/// Catches the two signals from now on; the future is done with the first. Until then they have their default action, so that
/// a start that hangs can be ended.
pub(super) fn catch() -> io::Result<impl Future<Output = Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Signal::Terminate,
            _ = interrupt.recv() => Signal::Interrupt,
        }
    })
}

/// Ends the process as the signal would have without us, so that systemd and shells see what they expect. Process 1 of a
/// container cannot die of a signal and exits.
pub(super) fn die_of(signal: Signal) -> ! {
    if std::process::id() != 1 {
        let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    }
    std::process::exit(0)
}

/// Raises the soft limit of open files to the hard one, as the Go runtime does for every Go program.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves us with what there is; the limit of connections follows from that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// How many connections may be open at once; `None` when the limit is too low for any.
pub(super) fn connection_limit() -> Result<usize, u64> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    match limit.checked_sub(RESERVED_DESCRIPTORS) {
        None | Some(0) => Err(limit),
        Some(left) => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
    }
}
