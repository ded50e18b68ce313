//! One state of the database in the shape of etcd's buckets, to be walked over as often as needed.
//!
//! The small trees are copied from a pinned root, which is let go at once: into memory up to a bound, beyond it into a
//! file without a name in the member's folder (a million leases are some 30 MB). The records stay where they are. They do
//! not change, and physical compaction is held back, so that every walk over them meets the same (`HeldRecords`); each
//! chunk of them is copied out before anybody waits for a client. So a slow client pins nothing and costs a chunk.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use holdfast_bbolt::read::DatabaseHash;
use holdfast_engine::mvcc::{HeldRecords, MvccError, RecordChunk, RecordWalk, Store, View, meta, trees};
use holdfast_engine::tree::TreeId;
use holdfast_proto::version;
use tempfile::SpooledTempFile;

/// etcd's buckets in their order, with the tree that holds each one's entries.
const BUCKETS: [(&str, TreeId); 10] = [
    ("alarm", trees::ALARMS),
    ("auth", trees::AUTH),
    ("authRoles", trees::AUTH_ROLES),
    ("authUsers", trees::AUTH_USERS),
    ("cluster", trees::CLUSTER),
    ("key", trees::RECORDS),
    ("lease", trees::LEASES),
    ("members", trees::MEMBERS),
    ("members_removed", trees::MEMBERS_REMOVED),
    ("meta", trees::META),
];

/// Where etcd keeps the version of its storage; ours writes what a member of that version would have.
const STORAGE_VERSION_KEY: &[u8] = b"storageVersion";

/// Entries of the meta tree that are this engine's own; etcd has no such keys.
const OWN_META: [&[u8]; 3] = [meta::CURRENT_REVISION, meta::COMPACT_CURSOR, meta::MVCC_FORMAT];

/// Entries of the meta bucket that differ between members of one state, and stay out of the database's hash.
const VOLATILE_META: [&[u8]; 3] = [b"consistent_index", b"term", STORAGE_VERSION_KEY];

/// Bytes of the small trees that are kept in memory.
const SMALL_TREE_BYTES: usize = 4 << 20;

/// Bytes of records that are copied out together.
const CHUNK_BYTES: usize = 1 << 20;

/// Length of a key that says: the bucket ends here. No key of a bucket is as long.
const END_OF_BUCKET: u32 = u32::MAX;

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    /// The store.
    #[error(transparent)]
    Store(#[from] MvccError),
    /// The file with the small trees, or whoever takes the entries.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The image cannot be made of these entries.
    #[error(transparent)]
    Image(#[from] holdfast_bbolt::WriteError),
}

/// Takes buckets and entries in order.
pub(super) trait Sink {
    /// A bucket begins.
    fn bucket(&mut self, name: &str) -> Result<(), ImageError>;
    /// The next entry of it.
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError>;
}

/// A state of the database, see the module head.
pub(super) struct Image {
    small: SpooledTempFile,
    records: HeldRecords,
    revision: i64,
    mark: u64,
}

impl Image {
    /// Takes the newest state. `folder` is for what does not fit into memory; physical compaction is held back for
    /// `limit_ticks` ticks.
    pub(super) fn take(store: &Store, folder: &Path, limit_ticks: u64) -> Result<Self, ImageError> {
        Self::with_bound(store, folder, limit_ticks, SMALL_TREE_BYTES)
    }

    fn with_bound(store: &Store, folder: &Path, limit_ticks: u64, bound: usize) -> Result<Self, ImageError> {
        let (view, records) = store.hold_records(limit_ticks)?;
        let mut out = BufWriter::new(tempfile::spooled_tempfile_in(bound, folder));
        for (_, tree) in BUCKETS {
            if tree != trees::RECORDS {
                entries(&view, tree, |key, value| put_entry(&mut out, key, value))?;
                out.write_all(&END_OF_BUCKET.to_be_bytes())?;
            }
        }
        let small = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { small, records, revision: view.revision(), mark: view.mark() })
    }

    /// Its revision.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// The applied index it was taken at.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// Gives all buckets and entries to `sink`.
    pub(super) fn walk(&mut self, sink: &mut impl Sink) -> Result<(), ImageError> {
        walk(&mut self.small, self.records.walk(), sink)
    }

    /// The same for the last time: compaction may go on behind it.
    pub(super) fn last_walk(mut self, sink: &mut impl Sink) -> Result<(), ImageError> {
        walk(&mut self.small, self.records.last_walk(), sink)
    }
}

fn walk(
    small: &mut SpooledTempFile,
    mut records: RecordWalk<'_>,
    sink: &mut impl Sink,
) -> Result<(), ImageError> {
    small.rewind()?;
    let mut small = BufReader::new(small);
    let mut chunk = RecordChunk::default();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for (name, tree) in BUCKETS {
        sink.bucket(name)?;
        if tree == trees::RECORDS {
            while records.next_chunk(&mut chunk, CHUNK_BYTES)? {
                for (key, wire) in chunk.iter() {
                    sink.entry(key, wire)?;
                }
            }
        } else {
            while take_entry(&mut small, &mut key, &mut value)? {
                sink.entry(&key, &value)?;
            }
        }
    }
    Ok(())
}

fn put_entry(out: &mut impl Write, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "an entry of a small tree is too long");
    out.write_all(&u32::try_from(key.len()).map_err(too_long)?.to_be_bytes())?;
    out.write_all(&u32::try_from(value.len()).map_err(too_long)?.to_be_bytes())?;
    out.write_all(key)?;
    out.write_all(value)?;
    Ok(())
}

/// Reads the next entry; false at the end of the bucket.
fn take_entry(input: &mut impl Read, key: &mut Vec<u8>, value: &mut Vec<u8>) -> io::Result<bool> {
    let mut number = [0; 4];
    input.read_exact(&mut number)?;
    if u32::from_be_bytes(number) == END_OF_BUCKET {
        return Ok(false);
    }
    key.resize(u32::from_be_bytes(number) as usize, 0);
    input.read_exact(&mut number)?;
    value.resize(u32::from_be_bytes(number) as usize, 0);
    input.read_exact(key)?;
    input.read_exact(value)?;
    Ok(true)
}

/// Visits the entries of a small bucket in order.
fn entries(
    view: &View,
    tree: TreeId,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut storage_version = (tree == trees::META).then_some(version::STORAGE_VERSION.as_bytes());
    for entry in view.aux_entries(tree)? {
        let (key, value) = entry?;
        if let Some(version) = storage_version.take_if(|_| key > STORAGE_VERSION_KEY) {
            visit(STORAGE_VERSION_KEY, version)?;
        }
        if tree != trees::META || !OWN_META.contains(&key) {
            visit(key, value)?;
        }
    }
    match storage_version {
        Some(version) => visit(STORAGE_VERSION_KEY, version),
        None => Ok(()),
    }
}

/// The hash over the whole database, as etcd's `Maintenance.Hash` counts it.
pub(super) fn database_hash(image: Image) -> Result<u32, ImageError> {
    struct Hashing {
        hash: DatabaseHash,
        in_meta: bool,
    }
    impl Sink for Hashing {
        fn bucket(&mut self, name: &str) -> Result<(), ImageError> {
            self.in_meta = name == "meta";
            self.hash.bucket(name.as_bytes());
            Ok(())
        }
        fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
            if !self.in_meta || !VOLATILE_META.contains(&key) {
                self.hash.entry(key, value);
            }
            Ok(())
        }
    }
    let mut hashing = Hashing { hash: DatabaseHash::new(), in_meta: false };
    image.last_walk(&mut hashing)?;
    Ok(hashing.hash.sum())
}

#[cfg(test)]
mod tests;
