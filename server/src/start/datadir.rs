//! The data directory: made, looked into, and locked for this process.
//!
//! Nothing is written before it is certain that the directory is not a Go etcd's: its database and log are recognised by their
//! first bytes, and left alone. Two members on one directory would destroy it, so the second is refused; the lock is the
//! kernel's (`flock`), goes with the process, and its file tells who holds it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::config::Config;
use crate::version;

/// The lock's file, inside `member/`.
const LOCK_FILE: &str = "holdfast.lock";
/// bbolt's magic number, in the first page behind its header of 16 bytes.
const BBOLT_MAGIC: [u8; 4] = 0xED0C_DAED_u32.to_le_bytes();
/// The beginning of a log of Go etcd behind the length of its first record: type 4 (checksum), field 2 (its value).
const GO_LOG_RECORD: [u8; 3] = [0x08, 0x04, 0x10];

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("cannot access data directory: {path}: {error}", path = .path.display())]
    Access {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Another process has it.
    #[error("data directory {path} is in use by another process ({holder}); stop it first, or choose another --data-dir", path = .path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// What the lock's file says.
        holder: String,
    },
    /// It belongs to Go etcd.
    #[error(
        "{path} is {what} of etcd, which this version does not read; holdfast has not touched it. Start holdfast with \
         another --data-dir, and copy the keys from the running etcd: etcdctl --endpoints=ETCD make-mirror HOLDFAST",
        path = .path.display()
    )]
    GoEtcd {
        /// The file.
        path: PathBuf,
        /// `the database` or `the log`.
        what: &'static str,
    },
    /// It is the directory of a proxy of etcd 2.
    #[error("v2 http proxy has already been deprecated in 3.6 ({path})", path = .0.display())]
    Proxy(PathBuf),
}

/// A data directory that is ours.
#[derive(Debug)]
pub struct DataDir {
    member: PathBuf,
    log: PathBuf,
    initialized: bool,
    _locks: Vec<File>,
}

impl DataDir {
    /// Looks into the directory, makes what is missing, and locks it.
    pub fn open(config: &Config) -> Result<Self, DataDirError> {
        let (member, log) = (config.member_dir(), config.log_dir());
        inspect(&config.data_dir)?;
        refuse_go_etcd(&member, &log)?;
        for dir in [&config.data_dir, &member, &member.join("snap"), &log] {
            make_dir(dir)?;
        }
        let mut locks = vec![lock_with_name(&member.join(LOCK_FILE), &config.data_dir)?];
        if config.wal_dir.is_some() {
            locks.push(lock_dir(&log)?);
        }
        let initialized = has_log(&log)?;
        Ok(Self { member, log, initialized, _locks: locks })
    }

    /// `<data-dir>/member`.
    pub fn member_dir(&self) -> &Path {
        &self.member
    }

    /// The database file, `<data-dir>/member/snap/db`.
    pub fn database(&self) -> PathBuf {
        self.member.join("snap").join("db")
    }

    /// The directory of the log.
    pub fn log_dir(&self) -> &Path {
        &self.log
    }

    /// Whether a member has lived here before: there is a log.
    pub fn initialized(&self) -> bool {
        self.initialized
    }
}

fn access(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |error| DataDirError::Access { path, error }
}

/// Tells what lies in the directory, and names what does not belong there.
fn inspect(data_dir: &Path) -> Result<(), DataDirError> {
    let shown = data_dir.display().to_string();
    let mut member = false;
    for name in list(data_dir)? {
        match name.as_str() {
            "member" => member = true,
            "proxy" => return Err(DataDirError::Proxy(data_dir.join(name))),
            _ => {
                tracing::warn!(
                    filename = name,
                    "data-dir" = shown,
                    "found invalid file under data directory"
                );
            }
        }
    }
    if member {
        tracing::info!("data-dir" = shown, "dir-type" = "member", "server has already been initialized");
    } else {
        tracing::info!("data-dir" = shown, "dir-type" = "empty", "Initialize and start etcd server");
    }
    Ok(())
}

/// The names in a directory, in order; none when it does not exist.
fn list(dir: &Path) -> Result<Vec<String>, DataDirError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(access(dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(access(dir))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Whether there is a segment of our own log.
fn has_log(log: &Path) -> Result<bool, DataDirError> {
    Ok(list(log)?.iter().any(|name| has_extension(name, "log")))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// Refuses a directory in which the database or a segment of the log is Go etcd's.
fn refuse_go_etcd(member: &Path, log: &Path) -> Result<(), DataDirError> {
    let database = member.join("snap").join("db");
    if bytes_at(&database, 16)?.is_some_and(|bytes| bytes[..4] == BBOLT_MAGIC) {
        return Err(DataDirError::GoEtcd { path: database, what: "the database" });
    }
    for name in list(log)?.into_iter().filter(|name| has_extension(name, "wal")) {
        let path = log.join(name);
        let is_go = bytes_at(&path, 8)?.is_some_and(|bytes| bytes[..3] == GO_LOG_RECORD);
        if is_go {
            return Err(DataDirError::GoEtcd { path, what: "the log" });
        }
    }
    Ok(())
}

/// Eight bytes of a file; `None` when there is no such file, or it is shorter.
fn bytes_at(path: &Path, offset: u64) -> Result<Option<[u8; 8]>, DataDirError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(access(path)(error)),
    };
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(offset)).map_err(access(path))?;
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(access(path)(error)),
    }
}

/// Makes a directory and those above it, for this user alone.
fn make_dir(dir: &Path) -> Result<(), DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(access(dir))
}

/// Locks a file and writes into it who we are.
fn lock_with_name(path: &Path, data_dir: &Path) -> Result<File, DataDirError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(access(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = (&file).take(200).read_to_string(&mut holder);
            let holder = holder.trim().replace('\n', " ");
            let holder = if holder.is_empty() { "which has not said who it is".to_owned() } else { holder };
            return Err(DataDirError::Locked { path: data_dir.to_owned(), holder });
        }
        Err(error) => return Err(access(path)(error.into())),
    }
    file.set_len(0).map_err(access(path))?;
    writeln!(file, "holdfast {}, pid {}", version::HOLDFAST, std::process::id()).map_err(access(path))?;
    Ok(file)
}

/// Locks a directory itself, in which a file of ours would be out of place.
fn lock_dir(dir: &Path) -> Result<File, DataDirError> {
    let file = File::open(dir).map_err(access(dir))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(DataDirError::Locked { path: dir.to_owned(), holder: "as its --wal-dir".to_owned() })
        }
        Err(error) => Err(access(dir)(error.into())),
    }
}
