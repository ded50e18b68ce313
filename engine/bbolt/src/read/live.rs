//! Counting the user keys that are alive, in bounded memory.
//!
//! The `key` bucket is in the order of revisions, so whether a key is alive is known only at its last entry. A set of keys
//! is kept: a put adds its key, a tombstone removes it. Keys are represented by 16 bytes of their SHA-256, so that the set
//! does not grow with their length and nobody can make two keys collide. If the set outgrows its limit, counting
//! starts over in several rounds, each of which looks at the keys of one share of the hashes only.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest, Sha256};

use super::status::{KEY_BUCKET, RevisionKey};
use super::{Database, ReadError, Source};

/// Most keys in the set at a time: just below seven eighths of 2^22, where a hash table would double. It takes 71 MB
/// then, and half as much more for a moment while it grows.
const LIMIT: usize = 3_500_000;

/// The set of the round, and what is known of the rounds to come.
pub(crate) struct LiveKeys {
    keys: HashSet<u128, BuildHasherDefault<FingerprintHasher>>,
    limit: usize,
    /// Puts seen so far: no fewer than there are live keys.
    puts: u64,
    overflowed: bool,
}

impl LiveKeys {
    pub(crate) fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    fn with_limit(limit: usize) -> Self {
        Self { keys: HashSet::default(), limit, puts: 0, overflowed: false }
    }

    /// Counts an entry of the `key` bucket in.
    pub(crate) fn add(&mut self, revision: &RevisionKey, key: &[u8], value: &[u8]) -> Result<(), ReadError> {
        let fingerprint = fingerprint(key, value)?;
        self.puts += u64::from(!revision.tombstone);
        if !self.overflowed {
            self.apply(revision, fingerprint);
            if self.keys.len() > self.limit {
                self.overflowed = true;
                self.keys = HashSet::default();
            }
        }
        Ok(())
    }

    /// The number of live keys, after further rounds if they are needed.
    pub(crate) fn finish<S: Source>(mut self, database: &Database<S>) -> Result<u64, ReadError> {
        if !self.overflowed {
            return Ok(self.keys.len() as u64);
        }
        let Some(bucket) = database.bucket(KEY_BUCKET)? else { return Ok(0) };
        let rounds = self.puts.div_ceil(self.limit as u64);
        let mut total = 0;
        for round in 0..rounds {
            let mut entries = bucket.entries();
            while let Some(entry) = entries.next()? {
                let value = if entry.is_bucket { &[] } else { entry.value };
                let fingerprint = fingerprint(entry.key, value)?;
                if (fingerprint >> 64) as u64 % rounds == round {
                    self.apply(&RevisionKey::parse(entry.key)?, fingerprint);
                }
            }
            total += self.keys.len() as u64;
            self.keys.clear();
        }
        Ok(total)
    }

    fn apply(&mut self, revision: &RevisionKey, fingerprint: u128) {
        if revision.tombstone {
            self.keys.remove(&fingerprint);
        } else {
            self.keys.insert(fingerprint);
        }
    }
}

/// 16 bytes of the SHA-256 of the user key in an entry. An entry with an empty value (which a restore with a revision bump
/// leaves) stands for the empty key, as in etcd.
fn fingerprint(key: &[u8], value: &[u8]) -> Result<u128, ReadError> {
    let user_key =
        user_key(value).ok_or_else(|| ReadError::Record { key: key.escape_ascii().to_string() })?;
    let digest = Sha256::digest(user_key);
    let half = digest.first_chunk().copied().expect("a SHA-256 digest has 32 bytes");
    Ok(u128::from_le_bytes(half))
}

/// Field 1 of a `mvccpb.KeyValue`: the user key. `None` if the bytes are no such message. (Protocol Buffers encoding: a
/// varint of field number and wire type, then the field; of a field given twice the last counts.)
fn user_key(mut message: &[u8]) -> Option<&[u8]> {
    let mut key: &[u8] = &[];
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (_, 0) => {
                varint(&mut message)?;
            }
            (field, 2) => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(len)?;
                message = rest;
                if field == 1 {
                    key = bytes;
                }
            }
            (_, 1) => message = message.get(8..)?,
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(key)
}

/// Takes a base-128 number of at most 10 bytes off the front.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A fingerprint is a hash already; half of it serves the table.
#[derive(Default)]
struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn user_key_of_a_real_record() {
        let record = [&b"\x0a\x04/tmp\x10\x06\x18\x06\x20\x01\x2a\x01t"[..]].concat();
        assert_eq!(user_key(&record), Some(&b"/tmp"[..]));
        assert_eq!(user_key(b""), Some(&b""[..]));
        for len in 1..record.len() {
            let cut = user_key(&record[..len]);
            assert!(cut.is_none() || cut == Some(b"/tmp"), "length {len}");
        }
        assert_eq!(user_key(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), None);
        assert_eq!(user_key(&[0x80; 11]), None);
    }

    #[test]
    fn several_rounds_count_the_same() {
        let mut entries = BTreeMap::new();
        let mut alive = BTreeSet::new();
        for main in 2..2000u64 {
            let name = [b'k', (main * 7 % 251) as u8];
            let mut key = [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
            if main % 3 == 0 && alive.remove(&name) {
                key.push(b't');
            } else {
                alive.insert(name);
            }
            entries.insert(key, [&[0x0a, 2], &name[..]].concat());
        }
        let mut image = Vec::new();
        crate::write_image(&mut image, &[("key", &entries)]).unwrap();
        let database = Database::open(&image).unwrap();
        assert!(alive.len() > 100);
        for limit in [10, 100, 1000] {
            let mut live = LiveKeys::with_limit(limit);
            for (key, value) in &entries {
                live.add(&RevisionKey::parse(key).unwrap(), key, value).unwrap();
            }
            assert_eq!(live.overflowed, limit < alive.len());
            assert_eq!(live.finish(&database).unwrap(), alive.len() as u64, "limit {limit}");
        }
    }
}
