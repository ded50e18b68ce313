//! `snapshot save`: writes the database of one member to a file.
//!
//! The database comes as a stream of pieces with its SHA-256 at the end. It is written to `<file>.part`,
//! synced, checked, and only then renamed, so that a file with the name asked for is always whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::{ffi::OsStringExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use holdfast_proto::etcdserverpb as pb;
use sha2::{Digest, Sha256};
use tonic::Streaming;

use crate::{
    cli::command::{Command, Invocation, Work},
    client::{Client, error::CallError},
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::write_stdout,
};

pub(super) const COMMAND: Command = Command {
    name: "save",
    args: "<filename> [flags]",
    about: "Saves the database of one member to a file.",
    details: "The time is not limited unless --command-timeout is given.",
    example: "snapshot save backup.db",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// Bytes of the checksum at the end of the stream.
const CHECKSUM_BYTES: usize = 32;

/// A database consists of pages of a multiple of this size.
const PAGE_UNIT_BYTES: u64 = 512;

/// Why a snapshot could not be saved.
#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error("snapshot must be requested to one selected node, not multiple [{0}]")]
    SeveralEndpoints(String),
    #[error("could not open {path} (open {path}: {reason})", path = .path.display())]
    Open { path: PathBuf, reason: String },
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("could not write {path} ({source})", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("sha256 checksum not found [bytes: {0}]")]
    NoChecksum(u64),
    #[error("sha256 checksum does not match: the snapshot was damaged on its way")]
    WrongChecksum,
    #[error("could not rename {from} to {to} ({source})", from = .from.display(), to = .to.display())]
    Rename { from: PathBuf, to: PathBuf, source: io::Error },
}

async fn run(mut invocation: Invocation) -> Outcome {
    let [name] = invocation.args.as_slice() else {
        return Err(Failure::bad_args("snapshot save expects one argument"));
    };
    let path = PathBuf::from(OsString::from_vec(name.clone()));
    let mut session = Session::open(&mut invocation).await?;
    if !session.timeout_is_explicit {
        session.client.without_timeout();
    }
    let version =
        save(&mut session.client, &path).await.map_err(|error| Failure::new(Code::Interrupted, error))?;
    let mut text = format!("Snapshot saved at {}\n", path.display());
    if !version.is_empty() {
        text.extend(["Server version ", &version, "\n"]);
    }
    write_stdout(text.as_bytes())
}

/// Saves the snapshot and returns the version of the server, if it tells one.
async fn save(client: &mut Client, path: &Path) -> Result<String, SaveError> {
    if client.endpoints().len() > 1 {
        let names: Vec<String> = client.endpoints().iter().map(ToString::to_string).collect();
        return Err(SaveError::SeveralEndpoints(names.join(" ")));
    }
    let mut part = Part::create(path)?;
    let received = client
        .limited(async |client| {
            let stream = client.snapshot().await?;
            Ok(part.receive(stream).await)
        })
        .await;
    let version = received??;
    part.finish(path)?;
    Ok(version)
}

/// The file while it is written; removed unless it is finished.
struct Part {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    /// The last bytes received. They are in the file but not in the hash, since they may be the checksum.
    tail: Vec<u8>,
    bytes: u64,
    finished: bool,
}

impl Part {
    fn create(target: &Path) -> Result<Self, SaveError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        match OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self {
                path,
                file: BufWriter::new(file),
                hash: Sha256::new(),
                tail: Vec::new(),
                bytes: 0,
                finished: false,
            }),
            Err(error) => Err(SaveError::Open { path, reason: system_message(&error) }),
        }
    }

    /// Writes the whole stream; returns the version of the server, which comes with the pieces.
    async fn receive(&mut self, mut stream: Streaming<pb::SnapshotResponse>) -> Result<String, SaveError> {
        let mut version = String::new();
        while let Some(piece) = stream.message().await.map_err(CallError::from)? {
            self.append(&piece.blob)?;
            version = piece.version;
        }
        Ok(version)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.file.write_all(bytes).map_err(|source| SaveError::Write { path: self.path.clone(), source })?;
        self.bytes += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        let settled = self.tail.len().saturating_sub(CHECKSUM_BYTES);
        self.hash.update(&self.tail[..settled]);
        self.tail.drain(..settled);
        Ok(())
    }

    /// Checks what has been received, makes it durable and gives it its name.
    fn finish(mut self, target: &Path) -> Result<(), SaveError> {
        if self.bytes % PAGE_UNIT_BYTES != CHECKSUM_BYTES as u64 {
            return Err(SaveError::NoChecksum(self.bytes));
        }
        if self.hash.clone().finalize().as_slice() != self.tail {
            return Err(SaveError::WrongChecksum);
        }
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|source| SaveError::Write { path: self.path.clone(), source })?;
        self.finished = true;
        fs::rename(&self.path, target)
            .and_then(|()| sync_parent(target))
            .map_err(|source| SaveError::Rename { from: self.path.clone(), to: target.to_owned(), source })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // The command fails already; a file that cannot be removed either is easy to see.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A new name is durable once its folder is.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The system's message as Go prints it: in lower case and without the number.
fn system_message(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stream_with_checksum(body: &[u8]) -> Vec<u8> {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&Sha256::digest(body));
        bytes
    }

    fn save_pieces(target: &Path, bytes: &[u8], piece: usize) -> Result<(), SaveError> {
        let mut part = Part::create(target)?;
        for piece in bytes.chunks(piece) {
            part.append(piece)?;
        }
        part.finish(target)
    }

    #[test]
    fn whole_snapshots_are_kept_however_they_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("s");
        let bytes = stream_with_checksum(&vec![7; 1024]);
        for piece in [1, 31, 32, 33, 500, 4096] {
            save_pieces(&target, &bytes, piece).unwrap();
            assert_eq!(fs::read(&target).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_snapshots_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("s");
        let bytes = stream_with_checksum(&vec![7; 1024]);
        let error = save_pieces(&target, &bytes[..1024], 100).unwrap_err();
        assert_eq!(error.to_string(), "sha256 checksum not found [bytes: 1024]");
        let mut flipped = bytes;
        flipped[3] ^= 1;
        assert!(matches!(save_pieces(&target, &flipped, 100), Err(SaveError::WrongChecksum)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let error = save_pieces(&dir.path().join("no/s"), b"", 1).unwrap_err().to_string();
        assert!(error.ends_with("s.part: no such file or directory)"), "{error}");
    }
}
