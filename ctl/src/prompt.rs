//! Asks for a password on the terminal.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Longest password line that is read, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// Prints `prompt`, reads one line from stdin without echo, and ends the line on stdout. When stdin is no
/// terminal the line is read all the same.
///
/// # Errors
/// Stdin or stdout failed.
pub(crate) fn password(prompt: &str) -> io::Result<String> {
    let mut stdout = io::stdout();
    stdout.write_all(prompt.as_bytes())?;
    stdout.flush()?;
    let silence = EchoOff::new();
    let mut line = Vec::new();
    io::Read::take(io::stdin().lock(), MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    drop(silence);
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    let text = String::from_utf8(line).map_err(|_| io::Error::other("the password is not UTF-8"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Turns the terminal's echo off until it is dropped.
struct EchoOff {
    before: Option<Termios>,
}

impl EchoOff {
    fn new() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            if tcsetattr(io::stdin(), OptionalActions::Flush, &silent).is_err() {
                return Self { before: None };
            }
        }
        Self { before }
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nobody to tell when this fails; the shell resets its terminal anyway.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}
