//! The parent: starts the contenders, lets them run one phase after the other, and gathers the figures.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command as Program, ExitCode, Stdio};

use clap::{Parser, ValueEnum};

use super::data::Shape;
use super::options::{Command, Contender, Options, word};
use super::phase::{Cost, Phase};
use super::{contender, table};
use crate::common::guard::{self, Folder, Process};
use crate::common::places::target;

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
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

/// What was measured.
pub(crate) type Figures = BTreeMap<(Shape, Phase, Contender), Vec<(Cost, u64)>>;

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
    guard::watch_signals().map_err(io_error("cannot watch for signals"))?;
    let root = options.folder.clone().unwrap_or_else(|| target().join("engines-data"));
    let mut figures = Figures::new();
    for round in 0..options.rounds.max(1) {
        for &shape in &options.shapes {
            eprintln!("round {}, {}", round + 1, word(&shape));
            run_round(options, &root, shape, round, &mut figures)?;
        }
    }
    for &shape in &options.shapes {
        println!("{}", table::render(shape, options.keys, &figures));
    }
    Ok(())
}

fn run_round(
    options: &Options,
    root: &Path,
    shape: Shape,
    round: usize,
    figures: &mut Figures,
) -> Result<(), RunError> {
    let mut contenders = Vec::new();
    for &who in Contender::value_variants() {
        if options.only.is_empty() || options.only.contains(&who) {
            contenders.push(Running::start(who, root, shape, options.keys)?);
        }
    }
    if round % 2 == 1 {
        contenders.reverse();
    }
    for phase in phases(options) {
        let passes = if phase.only_reads() { options.passes.max(1) } else { 1 };
        for _ in 0..passes {
            for contender in &mut contenders {
                let figure = contender.run(phase)?;
                let each = figure.0.wall.as_secs_f64() * 1e6 / figure.0.operations.max(1) as f64;
                eprintln!("  {}: {}: {each:.3} µs", phase.title(), contender.who.title());
                figures.entry((shape, phase, contender.who)).or_default().push(figure);
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

/// The process of a contender, stopped while it is not its turn, and its folder.
struct Running {
    who: Contender,
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _folder: Folder,
}

impl Running {
    fn start(who: Contender, root: &Path, shape: Shape, keys: u64) -> Result<Self, RunError> {
        let folder = Folder::new(root).map_err(io_error("cannot make a folder for the data"))?;
        let program = std::env::current_exe().map_err(io_error("cannot find this program"))?;
        let mut command = Program::new(program);
        command.args(["contender", "--name", &who.word(), "--shape", &word(&shape)]);
        command.args(["--keys", &keys.to_string(), "--folder"]).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command).map_err(io_error("cannot start a contender"))?;
        let (input, output) = process.pipes().expect("both were asked for as pipes");
        Ok(Self { who, process, input, output: BufReader::new(output), _folder: folder })
    }

    fn run(&mut self, phase: Phase) -> Result<(Cost, u64), RunError> {
        self.process.resume();
        let mut line = String::new();
        writeln!(self.input, "{}", word(&phase))
            .and_then(|()| self.output.read_line(&mut line))
            .map_err(io_error("a contender has ended"))?;
        self.process.pause();
        contender::parse(&line).map_err(|what| RunError::Contender {
            who: self.who.title(),
            phase: word(&phase),
            what,
        })
    }
}
