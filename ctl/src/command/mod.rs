//! The commands, one file each, and the tree they form.

mod compaction;
mod del;
mod endpoint;
mod get;
mod help;
mod key_range;
mod lease;
mod member;
mod put;
mod snapshot;
mod txn;
mod version;
mod watch;

use crate::{
    cli::command::Command,
    client::error::CallError,
    failure::{Code, Failure},
};

/// The whole tree.
pub(crate) static ROOT: Command = Command {
    name: "",
    args: "",
    about: "Reads, writes and watches the keys of a Holdfast or etcd cluster, and looks after its members.",
    details: "",
    example: "",
    flags: &[],
    children: &[
        get::COMMAND,
        put::COMMAND,
        del::COMMAND,
        txn::COMMAND,
        compaction::COMMAND,
        watch::COMMAND,
        lease::COMMAND,
        endpoint::COMMAND,
        member::COMMAND,
        snapshot::COMMAND,
        version::COMMAND,
        help::COMMAND,
    ],
    work: None,
};

/// The failure of most calls: the error, exit code 1.
fn call_failed(error: CallError) -> Failure {
    Failure::new(Code::Error, error)
}
