//! `member …`: the members of the cluster.

mod list;

use crate::cli::command::Command;

pub(super) const COMMAND: Command = Command {
    name: "member",
    args: "",
    about: "Shows the members of the cluster.",
    details: "",
    example: "",
    flags: &[],
    children: &[list::COMMAND],
    work: None,
};
