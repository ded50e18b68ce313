//! `lease …`: leases, which end the keys attached to them unless they are renewed in time.

mod grant;
mod keep_alive;
mod list;
mod revoke;
mod timetolive;

use crate::{
    cli::command::{Command, Invocation},
    client::error::CallError,
    failure::{Code, Failure},
    go_text::number,
};

pub(super) const COMMAND: Command = Command {
    name: "lease",
    args: "",
    about: "Grants, renews, shows and ends leases.",
    details: "",
    example: "",
    flags: &[],
    children: &[grant::COMMAND, revoke::COMMAND, timetolive::COMMAND, list::COMMAND, keep_alive::COMMAND],
    work: None,
};

/// The only argument as the identifier of a lease; `usage` is the message when there is not exactly one.
fn lease_id(invocation: &Invocation, usage: &str) -> Result<i64, Failure> {
    if invocation.args.len() != 1 {
        return Err(Failure::bad_args(usage));
    }
    number::parse_int(&invocation.arg_text(0), 16)
        .map_err(|reason| Failure::bad_args(format_args!("bad lease ID arg ({reason}), expecting ID in Hex")))
}

/// Reading calls about leases fail with an exit code of their own.
fn read_failed(error: CallError) -> Failure {
    Failure::new(Code::BadConnection, error)
}
