//! The servers under load: each on a core of its own, with an empty directory of its own.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{cores, programs::Programs, run::HarnessError};
use crate::common::guard::{Folder, Process};

/// Largest database that the servers accept: the load of a million keys must not run into the default.
const QUOTA_BYTES: u64 = 8 << 30;
/// How much of the end of a server's log an error quotes.
const LOG_TAIL_BYTES: usize = 2000;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The server of this project, or the one that stands in for it.
    Holdfast,
    /// Real etcd.
    Etcd,
    /// The empty handler.
    Floor,
}

impl Subject {
    /// Its name in tables and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Holdfast => "Holdfast",
            Self::Etcd => "etcd",
            Self::Floor => "floor",
        }
    }
}

/// A server that runs, or that has been stopped and may be started again on its data.
#[derive(Debug)]
pub(crate) struct Server {
    subject: Subject,
    program: PathBuf,
    client_port: u16,
    peer_port: u16,
    core: usize,
    process: Option<Process>,
    /// Last, so that the process is gone when its folder goes.
    folder: Folder,
}

impl Server {
    /// Starts `subject` on `core`, with an empty directory below `data_root`.
    pub(crate) fn start(
        subject: Subject,
        programs: &Programs,
        data_root: &Path,
        core: usize,
    ) -> Result<Self, HarnessError> {
        let program = match subject {
            Subject::Holdfast => &programs.holdfast,
            Subject::Etcd => &programs.etcd,
            Subject::Floor => &programs.floor,
        };
        let folder =
            Folder::new(data_root).map_err(|error| HarnessError::io("cannot make a data folder", error))?;
        let (client_port, peer_port) = free_ports()?;
        let program = program.clone();
        let mut server = Self { subject, program, client_port, peer_port, core, process: None, folder };
        server.spawn()?;
        Ok(server)
    }

    /// Starts the process; what it has on disk stays.
    pub(crate) fn spawn(&mut self) -> Result<(), HarnessError> {
        let failed =
            |what: &str, error| HarnessError::io(&format!("{}: {what}", self.program.display()), error);
        let log = fs::File::create(self.log()).map_err(|error| failed("cannot make its log", error))?;
        let errors = log.try_clone().map_err(|error| failed("cannot make its log", error))?;
        let mut command = Command::new(&self.program);
        command.args(self.arguments()).stdin(Stdio::null()).stdout(log).stderr(errors);
        cores::move_to(self.core)?;
        self.process = Some(Process::start(&mut command).map_err(|error| failed("cannot start", error))?);
        Ok(())
    }

    fn arguments(&self) -> Vec<String> {
        if self.subject == Subject::Floor {
            return vec![self.endpoint()];
        }
        let client = format!("http://127.0.0.1:{}", self.client_port);
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        [
            ("--name", "default".to_owned()),
            ("--data-dir", self.data().to_string_lossy().into_owned()),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer.clone()),
            ("--initial-cluster", format!("default={peer}")),
            ("--quota-backend-bytes", QUOTA_BYTES.to_string()),
            ("--log-level", "error".to_owned()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// The process id; the server must run.
    pub(crate) fn id(&mut self) -> Result<u32, HarnessError> {
        let ended = match &mut self.process {
            Some(process) => match process.ended() {
                Ok(None) => return Ok(process.id()),
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            },
            None => "it was stopped".to_owned(),
        };
        Err(HarnessError::Server { name: self.subject.name(), what: ended, log: self.log_tail() })
    }

    /// Where clients find it.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// Who it is.
    pub(crate) fn subject(&self) -> Subject {
        self.subject
    }

    /// Bytes that its directory takes on disk, holes not counted.
    pub(crate) fn disk_bytes(&self) -> Result<u64, HarnessError> {
        allocated(&self.data())
            .map_err(|error| HarnessError::io("cannot read the size of a data folder", error))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The end of what it has written to its log.
    pub(crate) fn log_tail(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = fs::File::open(self.log()) {
            // A log that cannot be read is quoted as far as it could be.
            drop(file.read_to_end(&mut bytes));
        }
        let start = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }
}

/// Two ports that nobody listens on at this moment.
fn free_ports() -> Result<(u16, u16), HarnessError> {
    let failed = |error| HarnessError::io("cannot find a free port", error);
    let bind = || TcpListener::bind("127.0.0.1:0").map_err(failed);
    // Both are held before either is given up, so that they differ.
    let (first, second) = (bind()?, bind()?);
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port()).map_err(failed);
    Ok((port(&first)?, port(&second)?))
}

fn allocated(path: &Path) -> std::io::Result<u64> {
    /// Unit of `st_blocks`, whatever the block of the file system.
    const BLOCK_BYTES: u64 = 512;
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.blocks() * BLOCK_BYTES;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += match allocated(&entry?.path()) {
                // A running server may rename or remove a file between the two looks.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
                size => size?,
            };
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn disk_space_counts_blocks_and_not_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let empty = allocated(folder.path()).unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        let sparse = fs::File::create(folder.path().join("below/sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        assert!(allocated(folder.path()).unwrap() < empty + (1 << 20));
        fs::write(folder.path().join("below/full"), vec![1; 1 << 20]).unwrap();
        assert!(allocated(folder.path()).unwrap() >= empty + (1 << 20));
    }

    #[test]
    fn ports_differ() {
        let (client, peer) = free_ports().unwrap();
        assert_ne!(client, peer);
    }
}
