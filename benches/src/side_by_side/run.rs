//! From the command line to the table.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::common::{
    guard::{self, Folder},
    machine,
    places::target,
    readme::{self, ReadmeError},
};

use super::{cores::Cores, figures::Measured, options::Options, programs::Programs, rounds::Bench, table};

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HarnessError {
    /// The machine has too few cores, or they cannot be used.
    #[error("cores: {0}")]
    Cores(String),
    /// A program could not be built or installed, or is not what it should be.
    #[error("{0}")]
    Program(String),
    /// A server has ended under load.
    #[error("{name} does not run: {what}; the end of its log:\n{log}")]
    Server {
        /// Which server.
        name: &'static str,
        /// How it ended.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// The load generator has failed.
    #[error("{}: {arguments}: {what}", program.display())]
    Load {
        /// The generator.
        program: PathBuf,
        /// What it was asked for.
        arguments: String,
        /// What went wrong.
        what: String,
    },
    /// The table could not be put into the README.
    #[error(transparent)]
    Readme(#[from] ReadmeError),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl HarnessError {
    pub(crate) fn io(what: &str, source: io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }
}

/// Runs the harness with the arguments of this process.
pub fn main() -> ExitCode {
    let options = Options::parse();
    match execute(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(options: &Options) -> Result<(), HarnessError> {
    guard::watch_signals().map_err(|error| HarnessError::io("cannot watch for signals", error))?;
    let cores = Cores::choose(options)?;
    let data_root = options.data_root.clone().unwrap_or_else(|| target().join("side-by-side"));
    let folder = Folder::new(&data_root).map_err(|error| HarnessError::io("cannot make a folder", error))?;
    // All that the run leaves is below this folder, and goes with it.
    let programs = Programs::prepare(options, folder.path())?;
    let bench = Bench { programs: &programs, data_root: folder.path(), cores, sizes: options.sizes() };
    let machine = machine::describe(folder.path());
    let mut measured = Measured::default();
    let outcome = bench.measure(&mut measured);
    let text = format!("{machine} {}\n\n{}", conditions(options, cores), table::render(&measured));
    if !measured.runs.is_empty() {
        println!("{text}");
    }
    outcome?;
    if options.write_readme {
        readme::write("side-by-side", &text)?;
    }
    Ok(())
}

/// How it was measured, for the paragraph before the table.
fn conditions(options: &Options, cores: Cores) -> String {
    let sizes = options.sizes();
    let stand_in = options.holdfast.as_ref().map_or_else(String::new, |program| {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!(" The column of Holdfast is that of the program {name:?} given with --holdfast.")
    });
    format!(
        "Servers on core {}, generator on core {}; medians of {} round(s) of {} puts and {} reads of each kind over {} \
         keys; values of 256 bytes.{stand_in}",
        cores.server, cores.generator, sizes.rounds, sizes.puts, sizes.reads, sizes.keys,
    )
}
