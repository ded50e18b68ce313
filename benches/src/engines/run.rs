//! The parent: starts the contenders, lets them run one phase after the other, and gathers the figures.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use super::data::Shape;
use super::options::{Command, Contender, Options, word};
use super::phase::{Cost, Phase};
use super::running::{Running, Start};
use super::{bbolt, contender, table};
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
        Some(Command::Contender(job)) => contender::serve(job).map_err(|error| error.to_string()),
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
                .map(|(&who, program)| Start { who, program: program.clone(), shape, keys: options.keys })
                .map(|start| Running::start(start, folder.path()))
                .collect::<Result<_, _>>()?;
            run_round(options, contenders, (shape, round), &mut figures)?;
        }
    }
    let mut text = format!("{machine} {}\n", conditions(options));
    for &shape in &options.shapes {
        text += &format!("\n{}", table::render(shape, options.keys, &figures));
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

/// All phases, each on one contender after the other.
fn run_round(
    options: &Options,
    mut contenders: Vec<Running>,
    (shape, round): (Shape, usize),
    figures: &mut Figures,
) -> Result<(), RunError> {
    if round % 2 == 1 {
        contenders.reverse();
    }
    for phase in phases(options) {
        let passes = if phase.only_reads() { options.passes.max(1) } else { 1 };
        for _ in 0..passes {
            for contender in &mut contenders {
                // What others have left to be written must not wait for this one's syncs.
                rustix::fs::sync();
                let cost = contender.run(phase)?;
                let (title, who) = (phase.title(), contender.who());
                eprintln!("  {title}: {}: {:.3} µs", who.title(), cost.wall_each() * 1e6);
                figures.entry((shape, phase, who)).or_default().push(cost);
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
        "Medians of {} round(s), and in each of {} pass(es) of what only reads. Command: `benches/engines{}`.",
        options.rounds.max(1),
        options.passes.max(1),
        std::env::args()
            .skip(1)
            .scan(false, |folder, word| {
                // Where the data was is nobody's business; on what it was has been said.
                let hidden = std::mem::replace(folder, word == "--folder") || word.starts_with("--folder");
                Some(if hidden { String::new() } else { format!(" {word}") })
            })
            .collect::<String>()
    )
}
