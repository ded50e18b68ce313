//! Processes and folders that must not outlive the harness, however it ends.
//!
//! A [`Process`] is killed and a [`Folder`] removed when it is dropped, which covers success, errors and panics.
//! A signal covers the rest: a thread waits for it, takes the list of what is alive, kills by process id and
//! removes, and exits. A process leaves the list before it is waited for, under the list's lock, so that an id on
//! the list is always still ours. Only `kill -9` of the harness leaves something behind.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, exit},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::signal::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// What is alive.
#[derive(Debug)]
struct Alive {
    processes: BTreeSet<u32>,
    folders: BTreeSet<PathBuf>,
}

static ALIVE: Mutex<Alive> = Mutex::new(Alive { processes: BTreeSet::new(), folders: BTreeSet::new() });

fn alive() -> MutexGuard<'static, Alive> {
    // A panic while the lock is held leaves a list that is still right.
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that ends everything at SIGINT, SIGTERM and SIGHUP.
pub(crate) fn watch_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Some(number) = signals.forever().next() else { return };
        // The lock is kept: nothing may be started any more.
        let alive = alive();
        for &process in &alive.processes {
            kill(process);
        }
        for folder in &alive.folders {
            remove(folder);
        }
        exit(128 + number);
    })?;
    Ok(())
}

fn kill(process: u32) {
    signal(process, Signal::KILL);
}

fn signal(process: u32, what: Signal) {
    if let Some(pid) = Pid::from_raw(process.cast_signed()) {
        // It may have ended by itself; it is not waited for yet, so the id cannot be another's.
        let _ = kill_process(pid, what);
    }
}

fn remove(folder: &Path) {
    // A server that is being killed may still write for a moment.
    for _ in 0..50 {
        if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("cannot remove {}", folder.display());
}

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

#[cfg_attr(not(all(feature = "engines", feature = "servers")), allow(dead_code))] // each harness uses a part of it
impl Process {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut alive = alive();
        let child = command.spawn()?;
        alive.processes.insert(child.id());
        Ok(Self(child))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut alive = alive();
        let status = self.0.try_wait()?;
        if status.is_some() {
            alive.processes.remove(&self.0.id());
        }
        Ok(status)
    }

    /// Its standard input and output, when they were asked for as pipes and nobody has taken them yet.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.0.stdin.take().zip(self.0.stdout.take())
    }

    /// Stops it until [`Process::resume`].
    pub(crate) fn pause(&self) {
        signal(self.0.id(), Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        signal(self.0.id(), Signal::CONT);
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Waits until it ends by itself, with what it has written to its pipes.
    pub(crate) fn output(mut self) -> io::Result<(ExitStatus, String, String)> {
        let mut texts = [String::new(), String::new()];
        let stderr = self.0.stderr.take();
        let reader = thread::spawn(move || stderr.map(io::read_to_string).transpose());
        if let Some(stdout) = self.0.stdout.take() {
            texts[0] = io::read_to_string(stdout)?;
        }
        let read =
            reader.join().unwrap_or_else(|_| Err(io::Error::other("the reader of a pipe panicked")))?;
        texts[1] = read.unwrap_or_default();
        alive().processes.remove(&self.0.id());
        let status = self.0.wait()?;
        let [stdout, stderr] = texts;
        Ok((status, stdout, stderr))
    }

    fn end(&mut self) {
        let mut alive = alive();
        if alive.processes.remove(&self.0.id()) {
            // Both fail only when it has already been waited for, and then it is not on the list.
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A folder that is removed, with all that is in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes an empty folder below `root`, which is made too.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let mut alive = alive();
        fs::create_dir_all(root)?;
        let path = tempfile::Builder::new().prefix("bench-").tempdir_in(root)?.keep();
        alive.folders.insert(path.clone());
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
        alive().folders.remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Stdio;

    #[test]
    fn a_dropped_process_is_gone() {
        let process = Process::start(Command::new("sleep").arg("1000")).unwrap();
        let id = process.id();
        let proc = PathBuf::from(format!("/proc/{id}"));
        assert!(proc.exists() && alive().processes.contains(&id));
        drop(process);
        assert!(!proc.exists() && !alive().processes.contains(&id));
    }

    #[test]
    fn output_is_what_the_process_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = Process::start(&mut command).unwrap();
        let id = process.id();
        let (status, stdout, stderr) = process.output().unwrap();
        assert_eq!((status.code(), stdout.as_str(), stderr.as_str()), (Some(3), "out\n", "err\n"));
        assert!(!alive().processes.contains(&id));
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(&root.path().join("below")).unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
