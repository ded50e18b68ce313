//! What a member stores its state on, and how both parts are opened so that they fit together.

use std::path::Path;
use std::sync::Arc;

use holdfast_core::membership::MembershipError;
use holdfast_engine::file::{FileError, MappedFile, PageFile};
use holdfast_engine::mvcc::{MvccError, Store, trees};
use holdfast_engine::tree::{Db, DbOptions};
use holdfast_engine::{EngineError, OpenError};
use holdfast_wal::{
    Config as LogConfig, DirectIo, Entry, FileDevice, HardState, LogDevice, Recovered, Wal, WalError,
};

/// Name of the tree file in `member/snap`, as etcd names its own.
const DB_FILE: &str = "db";

/// Address space reserved for the tree file: the size it can never outgrow while it is open. Costs nothing.
const RESERVE_BYTES: u64 = 1 << 42;

/// Why a member's files cannot be used. The member does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A directory or file cannot be reached.
    #[error("cannot access data directory: {path}: {source}")]
    Access {
        /// Which.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The tree file cannot be mapped.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tree file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tree file cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store in it cannot be read.
    #[error(transparent)]
    Mvcc(#[from] MvccError),
    /// The membership in it cannot be read.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The log is not the one that belongs to the database.
    #[error(
        "log and database do not belong together: {what}; is --wal-dir or --data-dir another member's? restore the \
         directories that belong together, or add this member anew"
    )]
    Foreign {
        /// How that is known.
        what: String,
    },
    /// There is a database but no log.
    #[error(
        "the database holds everything up to entry {applied}, but there is no log: was it moved (--wal-dir), or deleted? \
         restore the log directory that belongs to this database, or add this member anew"
    )]
    NoLog {
        /// The database's applied index.
        applied: u64,
    },
    /// The log's metadata is not what a member writes.
    #[error("the log's metadata is not a member's: {what}; is this the log of another program?")]
    Metadata {
        /// What is wrong with it.
        what: String,
    },
    /// Log and tree file do not continue each other.
    #[error(
        "the database holds everything up to entry {applied}, but the log begins at entry {first}: entries between them \
         are missing; restore the log directory that belongs to this database, or add this member anew"
    )]
    Gap {
        /// The database's applied index.
        applied: u64,
        /// The log's first entry.
        first: u64,
    },
}

/// The two parts of a member's storage, opened but not yet read.
pub struct Storage {
    /// The tree file.
    pub pages: Arc<dyn PageFile>,
    /// The log's segments.
    pub log: Arc<dyn LogDevice>,
}

impl Storage {
    /// The files under a data directory; missing directories are made for this user alone.
    pub fn open(member_dir: &Path, log_dir: &Path) -> Result<Self, StorageError> {
        let snap = member_dir.join("snap");
        make_private(&snap)?;
        make_private(log_dir)?;
        let pages = Arc::new(MappedFile::open(&snap.join(DB_FILE), RESERVE_BYTES)?);
        let log = Arc::new(FileDevice::open(log_dir, DirectIo::Auto)?);
        Ok(Self { pages, log })
    }

    /// Opens log and store of a member that has started before; `None` when there is no log.
    pub(super) fn reopen(&self, config: LogConfig) -> Result<Option<Opened>, StorageError> {
        let (wal, recovered) = match Wal::open(Arc::clone(&self.log), config) {
            Ok(opened) => opened,
            Err(WalError::NoLog { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Recovered { metadata, hard_state, .. } = &recovered;
        if let Some(torn) = &recovered.torn_tail {
            tracing::warn!(?torn, "cut a torn tail off the log: it was never acknowledged");
        }
        let (member_id, cluster_id) = decode_metadata(metadata)?;
        let start = recovered.start.index;
        let store = self.open_store(start)?;
        let applied = store.view()?.mark();
        if start > applied {
            return Err(StorageError::Gap { applied, first: start + 1 });
        }
        belongs_together(&store, member_id, &recovered)?;
        let hard_state = *hard_state;
        let entries = recovered.entries;
        Ok(Some(Opened { wal, store, member_id, cluster_id, hard_state, entries, log_start: start }))
    }

    /// Creates log and store of a member that starts for the first time, with the cluster's first configuration as the
    /// log's first entries. Returns once these are handed to the log.
    pub(super) fn create(
        &self,
        config: LogConfig,
        member_id: u64,
        cluster_id: u64,
    ) -> Result<Opened, StorageError> {
        let store = self.open_store(0)?;
        let applied = store.view()?.mark();
        if applied > 0 {
            return Err(StorageError::NoLog { applied });
        }
        let wal = Wal::create(Arc::clone(&self.log), config, &encode_metadata(member_id, cluster_id))?;
        Ok(Opened { wal, store, member_id, cluster_id, hard_state: None, entries: Vec::new(), log_start: 0 })
    }

    fn open_store(&self, min_mark: u64) -> Result<Store, StorageError> {
        let options = DbOptions { reserve_bytes: RESERVE_BYTES, min_mark, ..DbOptions::default() };
        let db = Db::open(Arc::clone(&self.pages), trees::SPECS, options)?;
        Ok(Store::open(db)?)
    }
}

/// Refuses a log that is not the one behind this database: another member's, or one that holds another entry where the
/// database says what it has applied.
fn belongs_together(store: &Store, member_id: u64, log: &Recovered) -> Result<(), StorageError> {
    let view = store.view()?;
    let applied = view.mark();
    if applied == 0 {
        return Ok(());
    }
    let key = format!("{member_id:x}").into_bytes();
    let known =
        view.aux(trees::MEMBERS, &key)?.is_some() || view.aux(trees::MEMBERS_REMOVED, &key)?.is_some();
    if !known {
        return Err(StorageError::Foreign {
            what: format!("the database does not know member {member_id:x}"),
        });
    }
    let in_log = if log.start.index == applied {
        Some(log.start.term)
    } else {
        log.entries.iter().find(|entry| entry.index == applied).map(|entry| entry.term)
    };
    let in_store = view.aux(trees::META, holdfast_core::apply::TERM_KEY)?.map(<[u8]>::to_vec);
    match (in_log, in_store) {
        (Some(in_log), Some(in_store)) if in_store != in_log.to_be_bytes() => {
            let what =
                format!("entry {applied} has term {in_log} in the log and another one in the database");
            Err(StorageError::Foreign { what })
        }
        _ => Ok(()),
    }
}

/// A member's opened log and store.
pub(super) struct Opened {
    pub(super) wal: Wal,
    pub(super) store: Store,
    pub(super) member_id: u64,
    pub(super) cluster_id: u64,
    pub(super) hard_state: Option<HardState>,
    pub(super) entries: Vec<Entry>,
    /// Index of the entry before the first that the log holds.
    pub(super) log_start: u64,
}

const METADATA_BYTES: usize = 16;

fn encode_metadata(member_id: u64, cluster_id: u64) -> [u8; METADATA_BYTES] {
    let mut bytes = [0; METADATA_BYTES];
    bytes[..8].copy_from_slice(&member_id.to_be_bytes());
    bytes[8..].copy_from_slice(&cluster_id.to_be_bytes());
    bytes
}

fn decode_metadata(bytes: &[u8]) -> Result<(u64, u64), StorageError> {
    let bytes: [u8; METADATA_BYTES] = bytes.try_into().map_err(|_| StorageError::Metadata {
        what: format!("it has {} bytes instead of {METADATA_BYTES}", bytes.len()),
    })?;
    let (member, cluster) = bytes.split_at(8);
    let number = |half: &[u8]| u64::from_be_bytes(half.try_into().expect("half of sixteen bytes"));
    Ok((number(member), number(cluster)))
}

/// Makes a directory that only its owner may enter.
pub(crate) fn make_private(path: &Path) -> Result<(), StorageError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StorageError::Access { path: path.display().to_string(), source })
}
