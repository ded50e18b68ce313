//! `HashKV`: the hash by which members compare their histories.
//!
//! It is CRC-32C over the bytes `key`, then over key and value of every record up to revision R that a compaction at C
//! (the last one) leaves. It must be the same on every member, be it etcd's or ours, and whether the member has
//! physically finished that compaction or not. So it does not look at what is still there, but at what has to be:
//!
//! - a record above R does not count, one in (C, R] does, deletions included;
//! - one at or below C counts if it is the newest version of its key at R. A deletion never counts there: one below C
//!   is gone, and one at exactly C is kept by newer releases of etcd and removed by older ones, so newer ones leave it
//!   out of the hash;
//! - if no key lives at R, etcd skips that selection: then what lived at C counts.
//!
//! etcd picks a key's version from the first of its lifetimes that ends at or after R. If a key was deleted and put
//! again inside transaction R itself, that is the lifetime that ended there, and the key counts as dead. Transactions
//! can do that (a delete over an open range is invisible to the check for duplicates), so the rule is followed here.
//!
//! Nothing is collected: records pass in order, and rows tell of each old one whether it was superseded by R.

use super::error::MvccError;
use super::keyrange::KeyRange;
use super::keyvalue::KeyValue;
use super::reader::{Reader, corrupt, decode_record_key};
use super::revision::{RecordKey, Revision};
use super::trees::RECORDS;
use crate::tree::{Cursor, TreeRead};
use std::collections::BTreeSet;

/// The answer of `HashKV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C of the history.
    pub hash: u32,
    /// The compaction it was made with, −1 if never compacted.
    pub compact_revision: i64,
    /// The revision up to which it was made.
    pub hash_revision: i64,
}

/// What the hash starts from: the name of etcd's bucket.
const SEED: &[u8] = b"key";

impl<T: TreeRead> Reader<'_, T> {
    /// Hashes the history up to `revision`, 0 for the current one. Reads every record up to there.
    pub(crate) fn hash_kv(&self, revision: i64) -> Result<HashKv, MvccError> {
        let hash_revision =
            if revision == 0 { self.revision } else { self.at(revision).map(|_| revision)? };
        let mut hash = crc32c::crc32c(SEED);
        if hash_revision > 0 {
            let selection = Selection::new(self, hash_revision)?;
            let mut cursor = self.tree.cursor(RECORDS);
            cursor.seek_first()?;
            while let Some((key, wire)) = cursor.entry()? {
                let record = decode_record_key(key)?;
                if record.revision.main > hash_revision {
                    break;
                }
                if record.revision.main > self.compact_revision || selection.keeps(self, record, wire)? {
                    hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, key), wire);
                }
                cursor.next()?;
            }
        }
        Ok(HashKv { hash, compact_revision: self.compact_revision, hash_revision })
    }

    /// The keys deleted and then put again inside transaction `main`.
    fn reborn_in(&self, main: i64) -> Result<BTreeSet<Vec<u8>>, MvccError> {
        let mut created = BTreeSet::new();
        let mut seen_tombstone = false;
        self.each_change_in(main, |key, kv| {
            seen_tombstone |= key.tombstone;
            if seen_tombstone && !key.tombstone && kv.create_revision == main {
                created.insert(kv.key.to_vec());
            }
        })?;
        if created.is_empty() {
            return Ok(created);
        }
        let mut reborn = BTreeSet::new();
        self.each_change_in(main, |key, kv| {
            if key.tombstone && created.contains(kv.key) {
                reborn.insert(kv.key.to_vec());
            }
        })?;
        Ok(reborn)
    }

    fn each_change_in(
        &self,
        main: i64,
        mut each: impl FnMut(RecordKey, KeyValue<'_>),
    ) -> Result<(), MvccError> {
        let mut cursor: Cursor<'_> = self.tree.cursor(RECORDS);
        cursor.seek(&Revision::new(main, 0).to_bytes())?;
        while let Some((key, wire)) = cursor.entry()? {
            let record = decode_record_key(key)?;
            if record.revision.main != main {
                break;
            }
            each(record, decode(record, wire)?);
            cursor.next()?;
        }
        Ok(())
    }
}

/// Which records at or below the compacted revision count.
struct Selection {
    /// A version counts if nothing has superseded it up to here.
    alive_at: i64,
    /// Keys that count as dead at `alive_at` though a version of them lives.
    dead: BTreeSet<Vec<u8>>,
}

impl Selection {
    fn new<T: TreeRead>(reader: &Reader<'_, T>, hash_revision: i64) -> Result<Self, MvccError> {
        let dead = reader.reborn_in(hash_revision)?;
        let mut dead_but_living = 0;
        for key in &dead {
            dead_but_living += i64::from(reader.version(key, hash_revision)?.is_some());
        }
        if reader.count(&KeyRange::all(), hash_revision)? > dead_but_living {
            return Ok(Self { alive_at: hash_revision, dead });
        }
        Ok(Self { alive_at: reader.compact_revision, dead: BTreeSet::new() })
    }

    fn keeps<T: TreeRead>(
        &self,
        reader: &Reader<'_, T>,
        record: RecordKey,
        wire: &[u8],
    ) -> Result<bool, MvccError> {
        if record.tombstone {
            return Ok(false);
        }
        let kv = decode(record, wire)?;
        let superseded = match reader.live(kv.key)? {
            Some(info) if info.modified == record.revision => None,
            _ => match reader.superseded(kv.key, record.revision)? {
                Some(row) => Some(row.by),
                None => return Err(corrupt(RECORDS, &record.encode(), "no row knows this record")),
            },
        };
        let alive = superseded.is_none_or(|by| by.main > self.alive_at);
        Ok(alive && !(record.revision.main == self.alive_at && self.dead.contains(kv.key)))
    }
}

fn decode(record: RecordKey, wire: &[u8]) -> Result<KeyValue<'_>, MvccError> {
    KeyValue::decode(wire).ok_or_else(|| corrupt(RECORDS, &record.encode(), "unreadable record"))
}
