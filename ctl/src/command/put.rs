//! `put`: writes a key.

use std::io::Read;

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;

use super::call_failed;
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::{Flag, Values},
    },
    failure::{Failure, Outcome},
    globals::Session,
    go_text::number,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "put",
    args: "<key> [value] [flags]",
    about: "Writes a key.",
    details: "A value that is not given is read from stdin, to its end and including its last newline.\n\
              A key or value that begins with '-' must stand behind '--'.",
    example: "put greeting \"hello world\" --lease=694d77aa9e38260f",
    flags: FLAGS,
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// Also the flags of `put` in a transaction.
const FLAGS: &[Flag] = &[
    Flag::text("lease", "0", "Lease to attach the key to, in hexadecimal."),
    Flag::switch("prev-kv", "Also print the key as it was before."),
    Flag::switch("ignore-value", "Keep the value that the key has."),
    Flag::switch("ignore-lease", "Keep the lease that the key has."),
];

/// Longest value that is read from stdin, in bytes. No server accepts requests of this size; the limit only
/// keeps an endless pipe from filling the memory.
const MAX_STDIN_BYTES: u64 = 1 << 30;

async fn run(mut invocation: Invocation) -> Outcome {
    let request = request(&invocation.values, &invocation.args, read_stdin)?;
    let mut session = Session::open(&mut invocation).await?;
    let response = session.client.put(request).await.map_err(call_failed)?;
    session.printer.print(&Reply::Put(&response))
}

fn read_stdin() -> Vec<u8> {
    let mut value = Vec::new();
    match std::io::stdin().lock().take(MAX_STDIN_BYTES).read_to_end(&mut value) {
        Ok(_) => value,
        Err(_) => Vec::new(),
    }
}

/// The request of a command line, or of a line in a transaction. `elsewhere` yields a value that is not among
/// the arguments, and nothing when there is none.
pub(super) fn request(
    values: &Values,
    args: &[Vec<u8>],
    elsewhere: impl FnOnce() -> Vec<u8>,
) -> Result<pb::PutRequest, Failure> {
    let no_value = || Failure::bad_args("put command needs 1 argument and input from stdin or 2 arguments");
    let key = args.first().ok_or_else(no_value)?;
    let ignore_value = values.bool("ignore-value");
    let value = match args.get(1) {
        Some(_) if ignore_value => {
            return Err(Failure::bad_args("put command needs only 1 argument when 'ignore-value' is set"));
        }
        Some(value) => value.clone(),
        None if ignore_value => Vec::new(),
        None => Some(elsewhere()).filter(|value| !value.is_empty()).ok_or_else(no_value)?,
    };
    let lease = number::parse_int(values.text("lease"), 16)
        .map_err(|reason| Failure::bad_args(format_args!("bad lease ID ({reason}), expecting ID in Hex")))?;
    Ok(pb::PutRequest {
        key: Bytes::copy_from_slice(key),
        value: value.into(),
        lease,
        prev_kv: values.bool("prev-kv"),
        ignore_value,
        ignore_lease: values.bool("ignore-lease"),
    })
}
