//! `help`: the help of any command.

use crate::{
    cli::{
        command::{Command, Invocation, Work},
        help, resolve,
    },
    globals,
    output::write_stdout,
};

pub(super) const COMMAND: Command = Command {
    name: "help",
    args: "[command]",
    about: "Shows the help of a command.",
    details: "",
    example: "help lease grant",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(async move { run(&invocation) }) }),
};

fn run(invocation: &Invocation) -> crate::failure::Outcome {
    let mut path = vec![invocation.path[0]];
    for index in 0..invocation.args.len() {
        let word = invocation.arg_text(index);
        let Some(child) = resolve::child_called(path[path.len() - 1], &word) else {
            eprintln!("Unknown help topic {word:?}");
            break;
        };
        path.push(child);
    }
    write_stdout(help::render(invocation.program, &path, globals::FLAGS).as_bytes())
}
