//! What can go wrong while a database file is read.

use std::io;

/// Why a database could not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    #[error("reading {len} bytes at offset {offset} failed: {source}")]
    Io {
        /// Where in the file.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Neither meta page is valid. etcd's tools call this `invalid database`.
    #[error("invalid database: no meta page with the right magic, version and checksum was found")]
    NoMeta,
    /// The newest valid meta page names an impossible page size.
    #[error("invalid database: the meta page names a page size of {page_size} bytes")]
    PageSize {
        /// The size it names.
        page_size: u32,
    },
    /// The file is shorter than its meta page says.
    #[error(
        "the file is cut short: {pages} pages of {page_size} bytes are in use, but the file has {file_len} bytes"
    )]
    CutShort {
        /// Pages in use.
        pages: u64,
        /// Bytes of a page.
        page_size: u32,
        /// Bytes of the file.
        file_len: u64,
    },
    /// A page number that points outside.
    #[error("page {page}: out of bounds: {pages}")]
    OutOfBounds {
        /// The page number, or the last one of its run.
        page: u64,
        /// Pages in use.
        pages: u64,
    },
    /// A page that cannot be where it was found.
    #[error("page {page}: invalid type: flags {flags:#x}")]
    PageType {
        /// The page.
        page: u64,
        /// Its flags.
        flags: u16,
    },
    /// A page that was already met on this walk.
    #[error("page {page}: multiple references")]
    PageTwice {
        /// The page.
        page: u64,
    },
    /// A page whose contents contradict themselves.
    #[error("page {page}: {what}")]
    Damaged {
        /// The page; that of the surrounding bucket for an inline bucket.
        page: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A value beyond the limit that the caller set.
    #[error("page {page}: a value has {len} bytes, more than the limit of {limit}")]
    ValueTooLong {
        /// The page.
        page: u64,
        /// Bytes of the value.
        len: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The root bucket has an entry that is no bucket. etcd's tools: `nil bucket`.
    #[error("nil bucket: {name:?}")]
    NotABucket {
        /// Its name, escaped as ASCII.
        name: String,
    },
    /// An entry of the `key` bucket whose key is no revision.
    #[error("cannot parse revision key: {key:?}")]
    RevisionKey {
        /// The key, escaped as ASCII.
        key: String,
    },
    /// An entry of the `key` bucket whose value is no `KeyValue` message.
    #[error("cannot unmarshal value, key: {key:?}")]
    Record {
        /// The revision key, escaped as ASCII.
        key: String,
    },
}

impl ReadError {
    pub(crate) fn damaged(page: u64, what: &'static str) -> Self {
        Self::Damaged { page, what }
    }
}
