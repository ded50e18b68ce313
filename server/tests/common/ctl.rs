//! Command-line programs, run to their end within a limit.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::home::plain_command;

/// How long a command may take. etcdctl gives up by itself after five seconds where a server does not answer.
const LIMIT: Duration = Duration::from_secs(60);

/// How a command ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// etcd's command-line client, pointed at one server.
#[derive(Clone)]
pub(crate) struct Ctl {
    program: PathBuf,
    endpoint: String,
    folder: PathBuf,
}

impl Ctl {
    /// `program` against the server at `endpoint`, run in `folder`.
    pub(crate) fn new(program: &Path, endpoint: &str, folder: &Path) -> Self {
        Self { program: program.to_owned(), endpoint: endpoint.to_owned(), folder: folder.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = plain_command(&self.program);
        command.current_dir(&self.folder).env("ETCDCTL_API", "3");
        command.args(["--endpoints", &self.endpoint]).args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        run(self.command(arguments), stdin)
    }

    /// Runs a command that must succeed; returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
        output.stdout
    }

    /// Runs a command that has no end of its own until it has printed `lines` lines, or has ended, or `limit` is over;
    /// then it is given a moment to say more than it should.
    pub(crate) fn run_until(&self, arguments: &[&str], lines: usize, limit: Duration) -> Output {
        let mut running = Running::start(self.command(arguments), "");
        let deadline = Instant::now() + limit;
        while running.printed_lines() < lines
            && running.child.try_wait().unwrap().is_none()
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(2));
        }
        if let Some(status) = running.wait(Duration::from_millis(50)) {
            return running.finish(status);
        }
        let _ = running.child.kill();
        let status = running.child.wait().unwrap();
        running.finish(status)
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, stdin: &str) -> Output {
    let what = format!("{command:?}");
    let mut running = Running::start(command, stdin);
    match running.wait(LIMIT) {
        Some(status) => running.finish(status),
        None => panic!("no end within {LIMIT:?}: {what}"),
    }
}

/// A command under way, with threads that take what it prints.
struct Running {
    child: Child,
    stdout: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    stderr: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Running {
    fn start(mut command: Command, stdin: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut input = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        let mut readers = vec![thread::spawn(move || {
            // A command that does not read its input closes it.
            let _ = input.write_all(text.as_bytes());
        })];
        let stdout = take(child.stdout.take().unwrap(), &mut readers);
        let stderr = take(child.stderr.take().unwrap(), &mut readers);
        Self { child, stdout, readers, stderr }
    }

    fn printed_lines(&self) -> usize {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).matches('\n').count()
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn finish(mut self, status: ExitStatus) -> Output {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let text =
            |bytes: &std::sync::Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        Output { code: status.code(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn take(
    mut pipe: impl Read + Send + 'static,
    readers: &mut Vec<JoinHandle<()>>,
) -> std::sync::Arc<std::sync::Mutex<Vec<u8>>> {
    let taken = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let into = std::sync::Arc::clone(&taken);
    readers.push(thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    }));
    taken
}
