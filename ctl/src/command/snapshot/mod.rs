//! `snapshot …`: the database of a member as a file.

mod save;

use crate::cli::command::Command;

pub(super) const COMMAND: Command = Command {
    name: "snapshot",
    args: "",
    about: "Saves the database of a member.",
    details: "",
    example: "",
    flags: &[],
    children: &[save::COMMAND],
    work: None,
};
