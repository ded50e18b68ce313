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
//! The rules are those of releases from 3.5.16 on, for every cluster version: they were made so that a member of any
//! release answers the same, and older releases differ only in what they refuse.
//!
//! **While compacting** etcd computes one more hash, of what the compaction is about to remove: C is the compaction
//! before, R the new one. There the selection knows the deletions at R as well, so that it is skipped only if nothing
//! lives *and* nothing was deleted at R. What becomes of that hash is told in `hashing`.
//!
//! Nothing is collected: records pass in order, and rows tell of each old one whether it was superseded by R. So the
//! walk can stop at any record and go on over a newer root (see `hold`).

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

/// Bytes of records after which a step ends.
const STEP_BYTES: usize = 1 << 20;

impl<T: TreeRead> Reader<'_, T> {
    /// Hashes the history up to `revision`, 0 for the current one, over this one root.
    pub(crate) fn hash_kv(&self, revision: i64) -> Result<HashKv, MvccError> {
        let mut hasher = Hasher::new(self.hash_revision(revision)?, self.compact_revision, false);
        loop {
            if let Some(hash) = hasher.step(self, usize::MAX)? {
                return Ok(hash);
            }
        }
    }

    /// The revision up to which a request hashes. A negative one is no error: nothing is hashed then.
    pub(crate) fn hash_revision(&self, revision: i64) -> Result<i64, MvccError> {
        if revision == 0 { Ok(self.revision) } else { self.at(revision).map(|_| revision) }
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

/// A hash that is being computed, step by step.
pub(crate) struct Hasher {
    /// R.
    revision: i64,
    /// C.
    compact_revision: i64,
    /// Whether it is the hash that a compaction at R makes.
    by_compaction: bool,
    /// Keys deleted and put again inside R.
    reborn: BTreeSet<Vec<u8>>,
    next: Next,
    hash: u32,
}

/// What the next step does.
enum Next {
    /// Looks at the changes in R itself.
    Changes,
    /// Looks for a key that lives at R, from this one on.
    Living { from: Vec<u8> },
    /// Hashes the records from this key on; an old one counts if nothing had superseded it at `alive_at`.
    Records { from: Vec<u8>, alive_at: i64 },
}

impl Next {
    fn all_records(alive_at: i64) -> Self {
        Self::Records { from: Vec::new(), alive_at }
    }
}

impl Hasher {
    pub(crate) fn new(revision: i64, compact_revision: i64, by_compaction: bool) -> Self {
        let (reborn, hash) = (BTreeSet::new(), crc32c::crc32c(SEED));
        Self { revision, compact_revision, by_compaction, reborn, next: Next::Changes, hash }
    }

    /// Reads on, for at most about `max_rows` rows or records (the changes of R itself are looked at in one go), and
    /// returns the hash when it has read everything. `reader` may be over another root each time, as long as it holds
    /// everything that a reader at C needs.
    pub(crate) fn step<T: TreeRead>(
        &mut self,
        reader: &Reader<'_, T>,
        max_rows: usize,
    ) -> Result<Option<HashKv>, MvccError> {
        let done = match std::mem::replace(&mut self.next, Next::Changes) {
            Next::Changes if self.revision <= 0 => true,
            Next::Changes => {
                let deleted = self.find_reborn(reader)?;
                // Without a record at or below C there is nothing to select.
                self.next = if self.compact_revision < 0 || (self.by_compaction && deleted) {
                    Next::all_records(self.revision)
                } else {
                    Next::Living { from: Vec::new() }
                };
                false
            }
            Next::Living { from } => {
                self.next = self.find_living(reader, &from, max_rows)?;
                false
            }
            Next::Records { from, alive_at } => {
                let rest = self.hash_records(reader, &from, alive_at, max_rows)?;
                let done = rest.is_none();
                if let Some(from) = rest {
                    self.next = Next::Records { from, alive_at };
                }
                done
            }
        };
        let Self { hash, compact_revision, revision, .. } = *self;
        Ok(done.then_some(HashKv { hash, compact_revision, hash_revision: revision }))
    }

    /// The main revision below which every record has been hashed or left out: nobody needs those for it any more.
    pub(crate) fn passed(&self) -> Option<i64> {
        match &self.next {
            Next::Records { from, .. } => RecordKey::decode(from).map(|key| key.revision.main),
            Next::Changes | Next::Living { .. } => None,
        }
    }

    /// Notes the keys deleted and then put again inside R, and tells whether any was deleted there.
    fn find_reborn<T: TreeRead>(&mut self, reader: &Reader<'_, T>) -> Result<bool, MvccError> {
        let main = self.revision;
        let mut created = BTreeSet::new();
        let mut seen_tombstone = false;
        reader.each_change_in(main, |key, kv| {
            seen_tombstone |= key.tombstone;
            if seen_tombstone && !key.tombstone && kv.create_revision == main {
                created.insert(kv.key.to_vec());
            }
        })?;
        if created.is_empty() {
            return Ok(seen_tombstone);
        }
        reader.each_change_in(main, |key, kv| {
            if key.tombstone && created.contains(kv.key) {
                self.reborn.insert(kv.key.to_vec());
            }
        })?;
        Ok(seen_tombstone)
    }

    /// Looks in a part of the keys for one that counts as living at R. Without any in all parts the selection is that
    /// of C.
    fn find_living<T: TreeRead>(
        &mut self,
        reader: &Reader<'_, T>,
        from: &[u8],
        max_rows: usize,
    ) -> Result<Next, MvccError> {
        let mut found = false;
        let range = KeyRange::all().starting_at(from);
        let rest = reader.ascending_part(range, self.revision, max_rows, |row| {
            found = !self.reborn.contains(&*row.key);
            !found
        })?;
        if found {
            return Ok(Next::all_records(self.revision));
        }
        if let Some(from) = rest {
            return Ok(Next::Living { from });
        }
        self.reborn.clear();
        Ok(Next::all_records(self.compact_revision))
    }

    /// Hashes records, and returns the key of the first that was not looked at.
    fn hash_records<T: TreeRead>(
        &mut self,
        reader: &Reader<'_, T>,
        from: &[u8],
        alive_at: i64,
        max_rows: usize,
    ) -> Result<Option<Vec<u8>>, MvccError> {
        let mut cursor = reader.tree.cursor(RECORDS);
        cursor.seek(from)?;
        let (mut rows, mut bytes) = (0, 0);
        while let Some((key, wire)) = cursor.entry()? {
            let record = decode_record_key(key)?;
            if record.revision.main > self.revision {
                break;
            }
            if rows >= max_rows || (max_rows < usize::MAX && bytes >= STEP_BYTES) {
                if key <= from {
                    return Err(corrupt(RECORDS, key, "the records before it are not in order"));
                }
                return Ok(Some(key.to_vec()));
            }
            if record.revision.main > self.compact_revision || self.keeps(reader, record, wire, alive_at)? {
                self.hash = crc32c::crc32c_append(crc32c::crc32c_append(self.hash, key), wire);
            }
            rows += 1;
            bytes += wire.len();
            cursor.next()?;
        }
        Ok(None)
    }

    /// Whether a record at or below C counts.
    fn keeps<T: TreeRead>(
        &self,
        reader: &Reader<'_, T>,
        record: RecordKey,
        wire: &[u8],
        alive_at: i64,
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
        let alive = superseded.is_none_or(|by| by.main > alive_at);
        Ok(alive && !(record.revision.main == alive_at && self.reborn.contains(kv.key)))
    }
}

fn decode(record: RecordKey, wire: &[u8]) -> Result<KeyValue<'_>, MvccError> {
    KeyValue::decode(wire).ok_or_else(|| corrupt(RECORDS, &record.encode(), "unreadable record"))
}
