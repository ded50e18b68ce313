//! Runs a command for an event.

use std::{ffi::OsString, io, os::unix::ffi::OsStringExt, os::unix::process::ExitStatusExt, process::Stdio};

use holdfast_proto::mvccpb::Event;
use tokio::process::Command;

use crate::{
    failure::{Code, Failure, Outcome},
    go_text::quote::quote,
};

/// Runs `words` for an event that came at `revision`, with this process's stdout and stderr, and waits for
/// its end.
///
/// # Errors
/// The command could not be started or did not exit with 0. The message is on stderr already when it has output there.
pub(super) async fn run(words: &[Vec<u8>], event: &Event, revision: i64) -> Outcome {
    let kv = event.kv.clone().unwrap_or_default();
    let mut arguments = words.iter().map(|word| OsString::from_vec(word.clone()));
    let program = arguments.next().unwrap_or_default();
    let ended = Command::new(&program)
        .args(arguments)
        .env("ETCD_WATCH_REVISION", revision.to_string())
        .env("ETCD_WATCH_EVENT_TYPE", quote(event.r#type().as_str_name().as_bytes()))
        .env("ETCD_WATCH_KEY", quote(&kv.key))
        .env("ETCD_WATCH_VALUE", quote(&kv.value))
        .stdin(Stdio::null())
        .status()
        .await;
    let reason = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => match status.code() {
            Some(code) => format!("exit status {code}"),
            None => format!("signal: {}", status.signal().unwrap_or_default()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("exec: {}: executable file not found in $PATH", quote(&words[0]))
        }
        Err(error) => error.to_string(),
    };
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    Err(Failure::with_line(Code::Error, format!("command [{}] error ({reason})", quoted.join(" "))))
}
