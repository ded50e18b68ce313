//! What can go wrong, one enum for each kind of operation.

use crate::file::FileError;

/// Why the engine could not read, write, publish or checkpoint.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A page does not hold what its parent says it holds. Nothing was answered from it.
    #[error(
        "{0}; restore this member from a snapshot or let it catch up from its peers with an empty data directory"
    )]
    Corrupt(Box<Corruption>),
    /// The file could not be read, grown or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An earlier write or sync failed, so what is on the disk is unknown: nothing more is written.
    #[error(
        "the database takes no more writes since an earlier failure: {0}; restart the member once its cause is gone"
    )]
    Poisoned(Box<EngineError>),
    /// A key is longer than the file format can hold.
    #[error("a key of {bytes} bytes is longer than the limit of {limit} bytes")]
    KeyTooLong {
        /// Length of the key that was given.
        bytes: usize,
        /// The longest key that is accepted.
        limit: usize,
    },
    /// A value is longer than the file format can hold.
    #[error("a value of {bytes} bytes is longer than the limit of {limit} bytes")]
    ValueTooLong {
        /// Length of the value that was given.
        bytes: usize,
        /// The longest value that is accepted.
        limit: usize,
    },
    /// A tree would need more levels than a cursor has room for.
    #[error("tree {tree:?} would grow deeper than {limit} levels; create the database with larger pages")]
    TooDeep {
        /// Name of the tree.
        tree: String,
        /// Most levels that a tree can have.
        limit: usize,
    },
}

/// A fault in a page: where it is and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The file, as [`crate::file::PageFile::name`] tells it.
    pub file: String,
    /// Number of the page (its offset divided by the page size).
    pub page: u64,
    /// Name of the tree that the page was reached through.
    pub tree: String,
    /// What is wrong.
    pub what: String,
    /// The page's keys are at or after this one, as far as its parents tell.
    pub from: Option<Vec<u8>>,
    /// The page's keys are before this one, as far as its parents tell.
    pub to: Option<Vec<u8>>,
}

impl std::error::Error for Corruption {}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: page {} of tree {:?} is damaged: {}", self.file, self.page, self.tree, self.what)?;
        match (&self.from, &self.to) {
            (None, None) => write!(f, " (any key)"),
            (from, to) => {
                write!(f, " (keys")?;
                if let Some(from) = from {
                    write!(f, " from \"{}\"", brief(from))?;
                }
                if let Some(to) = to {
                    write!(f, " to before \"{}\"", brief(to))?;
                }
                write!(f, ")")
            }
        }
    }
}

/// A key as text: escaped, and cut after 64 bytes.
pub(crate) fn brief(key: &[u8]) -> String {
    const SHOWN_BYTES: usize = 64;
    if key.len() <= SHOWN_BYTES {
        key.escape_ascii().to_string()
    } else {
        format!("{}… ({} bytes)", key[..SHOWN_BYTES].escape_ascii(), key.len())
    }
}

/// Why a database could not be opened. The file has not been changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file could not be read, or created.
    #[error(transparent)]
    File(#[from] FileError),
    /// The options are not usable.
    #[error("the database options are not usable: {what}")]
    Options {
        /// Which option, and what it must be.
        what: String,
    },
    /// The file was written by a later release.
    #[error(
        "{file} has format version {found}, and this release reads up to version {known}; start the release that wrote it, or a later one"
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Version that the file says it has.
        found: u32,
        /// Newest version that this release reads.
        known: u32,
    },
    /// The file is a database of Go etcd.
    #[error("{file} is a database of Go etcd (bbolt); import it first, it is not read or changed in place")]
    GoEtcd {
        /// The file.
        file: String,
    },
    /// The file is something else altogether.
    #[error("{file} is not a database of this engine: {what}; look whether the path is right")]
    NotADatabase {
        /// The file.
        file: String,
        /// What was found instead.
        what: String,
    },
    /// Neither meta page can be used.
    #[error(
        "{file} cannot be opened: {what}; restore this member from a snapshot or let it catch up from its peers with an empty data directory"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What is damaged.
        what: String,
    },
}
