//! The parent: starts the contenders, lets them run one phase after the other, and gathers the figures.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use super::cost::Cost;
use super::data::Shape;
use super::options::{Command, Contender, Options, word};
use super::phase::Phase;
use super::running::{Running, Start};
use super::{bbolt, contender, mvcc, table};
use crate::common::guard::{self, Folder};
use crate::common::machine;
use crate::common::places::target;
use crate::common::readme::{self, ReadmeError};

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A contender has failed.
    #[error("{who}: {phase}: {what}")]
    Contender {
        /// Which one.
        who: &'static str,
        /// At what.
        phase: String,
        /// What it said.
        what: String,
    },
    /// The program of bbolt could not be built.
    #[error("{0}")]
    Build(String),
    /// The table could not be put into the README.
    #[error(transparent)]
    Readme(#[from] ReadmeError),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl RunError {
    pub(crate) fn io(what: &'static str, source: io::Error) -> Self {
        Self::Io { what, source }
    }
}

/// What was measured: every run of a phase.
pub(crate) type Figures = BTreeMap<(Shape, Phase, Contender), Vec<Cost>>;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.command {
        Some(Command::Mvcc(options)) => mvcc::run(options).map_err(|error| error.to_string()),
        Some(Command::Contender(job)) => contender::main(job).map_err(|error| error.to_string()),
        Some(Command::MvccStore(job)) => mvcc::serve(job).map_err(|error| error.to_string()),
        None => compare(&options).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("engines: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), RunError> {
    guard::watch_signals().map_err(|error| RunError::io("cannot watch for signals", error))?;
    let root = options.folder.clone().unwrap_or_else(|| target().join("engines-data"));
    let folder = Folder::new(&root).map_err(|error| RunError::io("cannot make a folder", error))?;
    let programs = programs(options)?;
    let machine = machine::describe(folder.path());
    let mut figures = Figures::new();
    for round in 0..options.rounds.max(1) {
        for &shape in &options.shapes {
            eprintln!("round {} of {}, {}", round + 1, options.rounds.max(1), word(&shape));
            let contenders = programs
                .iter()
                .map(|(&who, program)| {
                    let start = start(who, program, shape, options.keys);
                    Ok((who, Running::start(start, folder.path())?))
                })
                .collect::<Result<_, RunError>>()?;
            run_round(options, contenders, (shape, round), &mut figures)?;
        }
    }
    let mut text = format!("{machine} {}\n", conditions(options));
    for &shape in &options.shapes {
        text.extend(["\n", &table::render(shape, options.keys, &figures)]);
    }
    println!("{text}");
    if options.write_readme {
        readme::write("engines", &text)?;
    }
    Ok(())
}

/// The program of each contender that was asked for and can be run.
fn programs(options: &Options) -> Result<BTreeMap<Contender, PathBuf>, RunError> {
    let this = std::env::current_exe().map_err(|error| RunError::io("cannot find this program", error))?;
    let mut programs = BTreeMap::new();
    for &who in Contender::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&who) {
            continue;
        }
        if who != Contender::Bbolt {
            programs.insert(who, this.clone());
        } else if let Some(program) = bbolt::build().map_err(RunError::Build)? {
            programs.insert(who, program);
        } else {
            eprintln!("there is no go here: bbolt is left out");
        }
    }
    Ok(programs)
}

/// How a contender is started.
fn start(who: Contender, program: &Path, shape: Shape, keys: u64) -> Start {
    let words = ["contender", "--name", &word(&who), "--shape", &word(&shape), "--keys", &keys.to_string()];
    Start { title: who.title(), program: program.to_owned(), arguments: words.map(str::to_owned).to_vec() }
}

/// All phases, each on one contender after the other.
fn run_round(
    options: &Options,
    mut contenders: Vec<(Contender, Running)>,
    (shape, round): (Shape, usize),
    figures: &mut Figures,
) -> Result<(), RunError> {
    if round % 2 == 1 {
        contenders.reverse();
    }
    for phase in phases(options) {
        let passes = if phase.only_reads() { options.passes.max(1) } else { 1 };
        for _ in 0..passes {
            for (who, contender) in &mut contenders {
                let cost = match phase {
                    Phase::Reopen => contender.reopen(),
                    phase => contender.run(&word(&phase)),
                }?;
                let [wall, cpu] = [cost.wall_each(), cost.cpu_each()].map(|each| each * 1e6);
                eprintln!("  {}: {}: {wall:.3} µs, {cpu:.3} of CPU", phase.title(), who.title());
                figures.entry((shape, phase, *who)).or_default().push(cost);
            }
        }
    }
    Ok(())
}

/// The phases asked for, and the load, if one of them needs it.
fn phases(options: &Options) -> Vec<Phase> {
    let asked = |phase: &Phase| options.phases.is_empty() || options.phases.contains(phase);
    let all = Phase::value_variants().iter().copied();
    let load = all.clone().any(|phase| asked(&phase) && phase.needs_load());
    all.filter(|phase| asked(phase) || (load && *phase == Phase::LoadRandom)).collect()
}

/// How it was measured, for the paragraph before the tables.
fn conditions(options: &Options) -> String {
    format!(
        "Medians of {} round(s), and in each of {} pass(es) of what only reads. Command: `{}`.",
        options.rounds.max(1),
        options.passes.max(1),
        command_line(std::env::args().skip(1))
    )
}

/// The command for a reader to repeat. On what the data was has been said; where, is nobody's business.
pub(crate) fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let mut line = String::from("benches/engines");
    let mut hidden = false;
    for word in arguments {
        let of_folder = word == "--folder";
        if !hidden && !of_folder && !word.starts_with("--folder=") && word != "--write-readme" {
            line.extend([" ", &word]);
        }
        hidden = of_folder;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_run_for_what_needs_it() {
        let phases = |line: &[&str]| phases(&Options::parse_from([&["engines"], line].concat()));
        assert_eq!(phases(&["--phases", "gets,commits"]), [Phase::LoadRandom, Phase::Gets, Phase::Commits]);
        assert_eq!(phases(&["--phases", "load-append"]), [Phase::LoadAppend]);
        assert_eq!(phases(&[]), Phase::value_variants());
    }

    #[test]
    fn the_command_does_not_tell_where() {
        let words = ["--keys", "5", "--folder", "/x", "--rounds", "1", "--folder=/y", "--write-readme"];
        let line = command_line(words.map(str::to_owned).into_iter());
        assert_eq!(line, "benches/engines --keys 5 --rounds 1");
    }
}
