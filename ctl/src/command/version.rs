//! `version`: which etcdctl this equals, and which Holdfast it is.

use holdfast_proto::version::{API_VERSION, HOLDFAST_VERSION, SERVER_VERSION};

use crate::{
    cli::command::{Command, Work},
    output::write_stdout,
};

pub(super) const COMMAND: Command = Command {
    name: "version",
    args: "",
    about: "Shows the versions of this program.",
    details: "The first two lines name the release of etcdctl that it stands in for, the third one its own.",
    example: "version",
    flags: &[],
    children: &[],
    work: Some(|_| -> Work {
        Box::pin(async {
            write_stdout(
                format!(
                    "etcdctl version: {SERVER_VERSION}\nAPI version: {API_VERSION}\nHoldfast version: {HOLDFAST_VERSION}\n"
                )
                .as_bytes(),
            )
        })
    }),
};
