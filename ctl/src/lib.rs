//! The client CLI: etcdctl's commands, flags and output.
//!
//! A command line goes through these parts:
//! 1. [`cli`] finds the command in the tree of [`command::ROOT`] and reads its flags.
//! 2. The command checks its arguments and builds a request.
//! 3. [`globals::Session`] takes the environment and the global flags, and makes a [`client`].
//! 4. The [`client`] sends the request to whichever endpoint answers.
//! 5. [`output`] prints the answer in the format asked for.
//!
//! What etcdctl prints and how it exits is an interface that scripts rely on, so all of it is kept to the
//! byte: order of checks, wording of errors, exit codes. Help texts are our own.

mod cli;
mod client;
mod command;
mod failure;
mod globals;
mod go_text;
mod notice;
mod output;
mod prompt;

use std::{ffi::OsString, io::Write, os::unix::ffi::OsStringExt, path::Path, process::ExitCode};

use cli::{command::Invocation, help, parse, resolve};
use failure::{Code, Failure, Outcome};

/// Runs the command line `args`, whose first item is the path of the program, and returns its exit code.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut args = args;
    let program = program_name(&args.next().unwrap_or_default());
    let words: Vec<Vec<u8>> = args.map(OsStringExt::into_vec).collect();
    match run_words(program, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(report) = failure.report() {
                // Nothing can be done about a closed stderr.
                let _ = writeln!(std::io::stderr(), "{report}");
            }
            ExitCode::from(failure.code())
        }
    }
}

/// How messages call the program: `etcdctl` when it stands in for it under that name.
fn program_name(path: &OsString) -> &'static str {
    if Path::new(path).file_name().is_some_and(|name| name == "etcdctl") { "etcdctl" } else { "holdfastctl" }
}

fn run_words(program: &'static str, words: &[Vec<u8>]) -> Outcome {
    let mut resolved = resolve::resolve(&command::ROOT, globals::FLAGS, words).map_err(|unknown| {
        let message = unknown.message(program);
        Failure::new(Code::Error, format_args!("{message}\nRun '{program} --help' for usage."))
    })?;
    let help = help::render(program, &resolved.path, globals::FLAGS);
    let parsed = match parse::parse(&resolved.words, &mut resolved.values) {
        Ok(parsed) => parsed,
        Err(message) => {
            output::write_stdout(help.as_bytes())?;
            return Err(Failure::new(Code::Error, message));
        }
    };
    let work = resolved.path.last().and_then(|command| command.work).filter(|_| !parsed.help);
    let Some(work) = work else {
        return output::write_stdout(help.as_bytes());
    };
    let invocation = Invocation {
        program,
        path: resolved.path,
        values: resolved.values,
        args: parsed.args,
        before_dashes: parsed.before_dashes,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Code::Io, format_args!("the event loop cannot be started ({error})"))
    })?;
    let outcome = runtime.block_on(work(invocation));
    // A thread that still waits for stdin must not keep the process alive.
    runtime.shutdown_background();
    outcome
}
