//! The process of a contender as its parent sees it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::contender::ENDLESS;
use super::cost::Cost;
use super::run::RunError;
use crate::common::guard::{Folder, Process};

/// How long a contender commits before it is killed.
const BEFORE_THE_KILL: Duration = Duration::from_secs(1);

/// What is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Its name.
    pub(crate) title: &'static str,
    /// Its program.
    pub(crate) program: PathBuf,
    /// What it is told, but for the folder and whether that has been loaded before.
    pub(crate) arguments: Vec<String>,
}

/// A contender, stopped while it is not its turn, and its folder.
pub(crate) struct Running {
    start: Start,
    folder: Folder,
    /// There, but for the moment between a kill and the next start.
    talk: Option<Talk>,
}

/// A process, and the lines to and from it.
struct Talk {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a contender in a new folder below `root`.
    pub(crate) fn start(start: Start, root: &Path) -> Result<Self, RunError> {
        let folder = Folder::new(root).map_err(|error| RunError::io("cannot make a folder", error))?;
        let mut running = Self { start, folder, talk: None };
        running.launch(false)?;
        running.pause();
        Ok(running)
    }

    /// Runs the phase of this name, while all others wait.
    pub(crate) fn run(&mut self, phase: &str) -> Result<Cost, RunError> {
        // What others have left to be written must not wait for this one's syncs.
        rustix::fs::sync();
        self.resume();
        self.tell(phase)?;
        let cost = self.answer(phase)?;
        self.pause();
        Ok(cost)
    }

    /// Kills it in the middle of commits, starts it again, and returns what opening has cost.
    pub(crate) fn reopen(&mut self) -> Result<Cost, RunError> {
        self.resume();
        self.tell(ENDLESS)?;
        thread::sleep(BEFORE_THE_KILL);
        if let Some(talk) = self.talk.take() {
            talk.process.kill();
        }
        let cost = self.launch(true)?;
        self.pause();
        Ok(cost)
    }

    fn resume(&self) {
        if let Some(talk) = &self.talk {
            talk.process.resume();
        }
    }

    fn pause(&self) {
        if let Some(talk) = &self.talk {
            talk.process.pause();
        }
    }

    /// Starts the process, and returns what opening has cost.
    fn launch(&mut self, loaded: bool) -> Result<Cost, RunError> {
        let mut command = Command::new(&self.start.program);
        command.args(&self.start.arguments).arg("--folder").arg(self.folder.path());
        if loaded {
            command.arg("--loaded");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process =
            Process::start(&mut command).map_err(|error| RunError::io("cannot start a contender", error))?;
        let (input, output) = process.pipes().expect("both were asked for as pipes");
        self.talk = Some(Talk { process, input, output: BufReader::new(output) });
        self.answer("opening")
    }

    fn tell(&mut self, what: &str) -> Result<(), RunError> {
        let told = match &mut self.talk {
            Some(talk) => writeln!(talk.input, "{what}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        told.map_err(|error| self.failed(what, error.to_string()))
    }

    fn answer(&mut self, to: &str) -> Result<Cost, RunError> {
        let mut line = String::new();
        let read = match &mut self.talk {
            Some(talk) => talk.output.read_line(&mut line),
            None => Ok(0),
        };
        match read {
            Ok(0) => Err(self.failed(to, "its process has ended".to_owned())),
            Ok(_) => Cost::parse(&line).map_err(|what| self.failed(to, what)),
            Err(error) => Err(self.failed(to, error.to_string())),
        }
    }

    fn failed(&self, phase: &str, what: String) -> RunError {
        RunError::Contender { who: self.start.title, phase: phase.to_owned(), what }
    }
}
