//! Servers as processes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::ports;

/// The line that every server logs once it serves.
const READY: &str = "ready to serve client requests";

/// How long a start may take. Generous: a loaded machine with a slow disk zero-fills a log segment first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a clean stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How much of a server's output a failing test shows.
const TAIL_LINES: usize = 15;

/// A place where a server lives. Its data stays while the server is stopped, killed and started again.
pub(crate) struct Home {
    folder: TempDir,
    program: PathBuf,
    data: PathBuf,
    flags: Vec<String>,
    ports: std::cell::Cell<Ports>,
    starts: std::cell::Cell<u32>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
}

impl Ports {
    fn free() -> Self {
        Self { client: ports::free(), peer: ports::free() }
    }
}

/// A server that ended before it was ready, or never became ready.
#[derive(Debug)]
pub(crate) struct StartFailure {
    /// How it ended; `None` when it had to be killed because it neither ended nor became ready.
    pub(crate) status: Option<ExitStatus>,
    /// All that it said.
    pub(crate) stderr: String,
}

impl Home {
    /// A home for the server under test.
    pub(crate) fn holdfast() -> Self {
        Self::of(holdfast_binary())
    }

    /// A home for any program that takes etcd's flags.
    pub(crate) fn of(program: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("holdfast-e2e-").tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, program, data, flags: Vec::new(), ports: Ports::free().into(), starts: 0.into() }
    }

    /// Adds flags.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// Keeps the data somewhere else than in the home's own folder.
    pub(crate) fn with_data(mut self, data: &Path) -> Self {
        data.clone_into(&mut self.data);
        self
    }

    /// The home's folder, for files of the test's own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The URL for peers.
    pub(crate) fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.get().peer)
    }

    /// The tree file.
    pub(crate) fn db(&self) -> PathBuf {
        self.data.join("member/snap/db")
    }

    /// The log's files, by name.
    pub(crate) fn log_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.data.join("member/wal")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Starts the server and waits until it serves.
    pub(crate) fn start(&self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(StartFailure { status, stderr }) => {
                panic!("the server does not start ({status:?}):\n{stderr}")
            }
        }
    }

    /// Starts the server and waits until it serves or has ended.
    pub(crate) fn try_start(&self) -> Result<Server, StartFailure> {
        loop {
            let failure = match self.spawn().wait_ready() {
                Ok(server) => return Ok(server),
                Err(failure) => failure,
            };
            // Somebody else took the port between its choice and its use.
            let port_taken = failure.stderr.contains("ddress already in use");
            if !(port_taken && self.starts.get() == 1) {
                return Err(failure);
            }
            self.ports.set(Ports::free());
            self.starts.set(0);
            let _ = fs::remove_dir_all(&self.data);
        }
    }

    /// Starts the server without waiting for anything.
    pub(crate) fn spawn(&self) -> Server {
        self.starts.set(self.starts.get() + 1);
        let Ports { client, peer } = self.ports.get();
        let (client_url, peer_url) =
            (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut command = plain_command(&self.program);
        command.current_dir(self.folder.path());
        command.args(["--name", "m1", "--data-dir"]).arg(&self.data);
        command.args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url]);
        command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
        command.args(["--initial-cluster", &format!("m1={peer_url}")]).args(&self.flags);
        Server::spawn(command, self.folder.path().join(format!("log{}", self.starts.get())), client)
    }
}

/// The server under test.
pub(crate) fn holdfast_binary() -> PathBuf {
    std::env::var_os("HOLDFAST_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_holdfast").into(), PathBuf::from)
}

/// A command that no variable of the environment configures.
pub(crate) fn plain_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &OsString| name.to_string_lossy().starts_with("ETCD");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

/// A running server process. It ends with this value.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    client_port: u16,
}

impl Server {
    /// Starts `command` with both of its outputs in the file `log`.
    pub(crate) fn spawn(mut command: Command, log: PathBuf, client_port: u16) -> Self {
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log, client_port }
    }

    /// Waits until the server says that it serves.
    pub(crate) fn wait_ready(mut self) -> Result<Self, StartFailure> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if self.output().contains(READY) {
                return Ok(self);
            }
            let status = self.child.try_wait().unwrap();
            if status.is_some() || Instant::now() > deadline {
                return Err(StartFailure { status, stderr: self.output() });
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// `host:port` for clients.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// The URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.endpoint())
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What Linux says about the process's memory: `VmHWM`, the most it has had, or `RssAnon`, what is its own now.
    pub(crate) fn memory_kib(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Everything that the server has said.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends the process at once, as a power cut of this program would.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output()
    }

    /// Asks the process to end and waits until it has; returns how it ended and all that it said.
    pub(crate) fn terminate(self) -> (ExitStatus, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.wait(STOP_LIMIT).expect("the server does not stop on SIGTERM")
    }

    /// Waits until the process has ended by itself; `None` when it has not within `limit`.
    pub(crate) fn wait(mut self, limit: Duration) -> Option<(ExitStatus, String)> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some((status, self.output()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let output = self.output();
        let failing = thread::panicking();
        if failing {
            let lines: Vec<&str> = output.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("the last lines of the server:\n{}", tail.join("\n"));
        }
        // Whatever a test is about: a server never panics.
        assert!(failing || !output.contains("panicked at"), "the server has panicked:\n{output}");
    }
}
