//! What `etcdutl snapshot status` shows of a database, and the hash it shows.

use super::live::LiveKeys;
use super::{Database, Item, ReadError, Source};

/// Name of the bucket that holds the revisions of all user keys.
pub(crate) const KEY_BUCKET: &[u8] = b"key";
const META_BUCKET: &[u8] = b"meta";
const STORAGE_VERSION: &[u8] = b"storageVersion";

/// A summary of a database, as `snapshot status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// CRC-32C of all bucket names, keys and values; see [`DatabaseHash`].
    pub hash: u32,
    /// Main revision of the last entry of the `key` bucket; 0 if it is empty or missing.
    pub revision: i64,
    /// User keys whose last entry is not a tombstone: `totalKey` since etcd 3.6.
    pub total_keys: u64,
    /// Entries of all buckets: `totalKey` up to etcd 3.5.
    pub total_entries: u64,
    /// Bytes of the pages in use; a hash trailer or room at the end of the file does not count.
    pub total_size: u64,
    /// The storage version, `3.6.0` for example; empty in files from before 3.6. etcd 3.6 and later show it.
    pub version: String,
}

/// The whole-database hash of `snapshot status`: CRC-32C (Castagnoli) over each bucket's name and then each entry's key and
/// value, with nothing between them, buckets and keys in order.
///
/// `Maintenance.Hash` is the same with some entries of the `meta` bucket left out, which the caller does by not giving
/// them.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatabaseHash {
    crc: u32,
}

impl DatabaseHash {
    /// The hash of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a bucket; its entries follow.
    pub fn bucket(&mut self, name: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, name);
    }

    /// Adds an entry of the bucket.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) {
        self.crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc, key), value);
    }

    /// The hash of all that was added.
    pub fn sum(self) -> u32 {
        self.crc
    }
}

impl<S: Source> Database<S> {
    /// Computes the status. This walks the file once; counting the keys of a store with more than 3.5 million live keys
    /// takes further walks over the `key` bucket, so that memory stays below about 110 MB.
    ///
    /// etcdutl runs [`Database::check`] first and shows its faults instead.
    pub fn status(&self) -> Result<Status, ReadError> {
        let mut hash = DatabaseHash::new();
        let mut live = LiveKeys::new();
        let mut status = Status {
            hash: 0,
            revision: 0,
            total_keys: 0,
            total_entries: 0,
            total_size: self.size(),
            version: String::new(),
        };
        self.for_each(|item| {
            let (bucket, entry) = match item {
                Item::Entry { bucket, entry } => (bucket, entry),
                Item::Bucket { name } => {
                    hash.bucket(name);
                    return Ok::<(), ReadError>(());
                }
            };
            status.total_entries += 1;
            // bbolt's own walk shows a nested bucket as a key without value.
            let value = if entry.is_bucket { &[] } else { entry.value };
            hash.entry(entry.key, value);
            if bucket == KEY_BUCKET {
                let revision = RevisionKey::parse(entry.key)?;
                status.revision = revision.main;
                live.add(&revision, entry.key, value)?;
            } else if bucket == META_BUCKET && entry.key == STORAGE_VERSION {
                status.version = String::from_utf8_lossy(value).into_owned();
            }
            Ok(())
        })?;
        status.hash = hash.sum();
        status.total_keys = live.finish(self)?;
        Ok(status)
    }
}

/// A key of the `key` bucket.
pub(crate) struct RevisionKey {
    /// Main revision.
    pub(crate) main: i64,
    /// Whether the entry is a deletion.
    pub(crate) tombstone: bool,
}

impl RevisionKey {
    /// Reads `main u64 BE · '_' · sub u64 BE`, and `t` behind it for a tombstone.
    pub(crate) fn parse(key: &[u8]) -> Result<Self, ReadError> {
        let tombstone = match key {
            [_, _, _, _, _, _, _, _, b'_', rest @ ..] if rest.len() == 8 => false,
            [_, _, _, _, _, _, _, _, b'_', rest @ .., b't'] if rest.len() == 8 => true,
            _ => return Err(ReadError::RevisionKey { key: key.escape_ascii().to_string() }),
        };
        let main = key.first_chunk().copied().map_or(0, i64::from_be_bytes);
        Ok(Self { main, tombstone })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn revision_keys() {
        let put = RevisionKey::parse(b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x74").unwrap();
        assert_eq!((put.main, put.tombstone), (258, false));
        let deletion = RevisionKey::parse(b"\0\0\0\0\0\0\0\x08_\0\0\0\0\0\0\0\x02t").unwrap();
        assert_eq!((deletion.main, deletion.tombstone), (8, true));
        for bad in [&b""[..], b"\0\0\0\0\0\0\0\x08_\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\x08_\0\0\0\0\0\0\0\x02x"]
        {
            assert!(RevisionKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hash_is_castagnoli_over_the_concatenation() {
        let mut hash = DatabaseHash::new();
        hash.bucket(b"12");
        hash.entry(b"345", b"");
        hash.entry(b"6", b"789");
        // The check value that every catalogue gives for CRC-32C.
        assert_eq!(hash.sum(), 0xE306_9283);
    }
}
