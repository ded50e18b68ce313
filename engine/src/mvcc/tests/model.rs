//! The store as one would write it without caring for speed: every version of every key in memory, nothing ever
//! removed. Answers are computed from the rules, each by brute force.

use crate::mvcc::{
    Change, KeyValue, RangeQuery, RecordKey, Revision, RevisionChanges, SortOrder, SortTarget,
};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) at: Revision,
    pub(super) tombstone: bool,
    pub(super) create: i64,
    pub(super) version: i64,
    pub(super) value: Vec<u8>,
    pub(super) lease: i64,
}

impl Written {
    pub(super) fn record(&self, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
        if self.tombstone {
            let kv = KeyValue { key, ..KeyValue::default() };
            (RecordKey::tombstone(self.at).encode().to_vec(), kv.encode())
        } else {
            (RecordKey::put(self.at).encode().to_vec(), self.kv(key).encode())
        }
    }

    fn kv<'a>(&'a self, key: &'a [u8]) -> KeyValue<'a> {
        KeyValue {
            key,
            create_revision: self.create,
            mod_revision: self.at.main,
            version: self.version,
            value: &self.value,
            lease: self.lease,
        }
    }
}

/// An answer of the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ModelRange {
    pub(super) kvs: Vec<Vec<u8>>,
    pub(super) count: i64,
    pub(super) more: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    keys: BTreeMap<Vec<u8>, Vec<Written>>,
    pub(super) revision: i64,
    pub(super) compacted: i64,
    next_sub: i64,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { keys: BTreeMap::new(), revision: 1, compacted: -1, next_sub: 0 }
    }

    /// The revision that reads inside a transaction see.
    pub(super) fn seen(&self) -> i64 {
        self.revision + i64::from(self.next_sub > 0)
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8], lease: i64) {
        let at = self.next();
        let old = self.visible(key, i64::MAX).cloned();
        let version = Written {
            at,
            tombstone: false,
            create: old.as_ref().map_or(at.main, |old| old.create),
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value: value.to_vec(),
            lease,
        };
        self.keys.entry(key.to_vec()).or_default().push(version);
    }

    /// Deletes a range and returns the wire forms of what was there.
    pub(super) fn delete(&mut self, key: &[u8], range_end: &[u8]) -> Vec<Vec<u8>> {
        let doomed: Vec<_> = self
            .keys
            .keys()
            .filter(|candidate| in_range(candidate, key, range_end))
            .filter_map(|candidate| {
                let version = self.visible(candidate, i64::MAX)?;
                Some((candidate.clone(), version.kv(candidate).encode()))
            })
            .collect();
        for (key, _) in &doomed {
            let at = self.next();
            let tombstone =
                Written { at, tombstone: true, create: 0, version: 0, value: Vec::new(), lease: 0 };
            self.keys.get_mut(key).unwrap().push(tombstone);
        }
        doomed.into_iter().map(|(_, kv)| kv).collect()
    }

    pub(super) fn end_revision(&mut self) {
        self.revision = self.seen();
        self.next_sub = 0;
    }

    fn next(&mut self) -> Revision {
        self.next_sub += 1;
        Revision::new(self.revision + 1, self.next_sub - 1)
    }

    /// The newest version by `at`, unless it is a deletion.
    fn visible(&self, key: &[u8], at: i64) -> Option<&Written> {
        self.keys
            .get(key)?
            .iter()
            .rev()
            .find(|version| version.at.main <= at)
            .filter(|version| !version.tombstone)
    }

    /// A range read, step by step as etcd does it.
    pub(super) fn range(&self, query: &RangeQuery<'_>) -> ModelRange {
        let at = if query.revision <= 0 { self.seen() } else { query.revision };
        let all: Vec<_> = self
            .keys
            .keys()
            .filter(|key| in_range(key, query.key, query.range_end))
            .filter_map(|key| Some((key, self.visible(key, at)?)))
            .collect();
        let count = all.len() as i64;
        if query.count_only {
            return ModelRange { kvs: Vec::new(), count, more: false };
        }
        let mut chosen = all;
        let mins_and_maxes = [
            query.min_mod_revision,
            query.max_mod_revision,
            query.min_create_revision,
            query.max_create_revision,
        ];
        let fetch_all = query.order != SortOrder::None || mins_and_maxes != [0; 4];
        if !fetch_all && query.limit > 0 {
            chosen.truncate(query.limit as usize + 1);
        }
        chosen.retain(|(_, version)| {
            (query.min_mod_revision == 0 || version.at.main >= query.min_mod_revision)
                && (query.max_mod_revision == 0 || version.at.main <= query.max_mod_revision)
                && (query.min_create_revision == 0 || version.create >= query.min_create_revision)
                && (query.max_create_revision == 0 || version.create <= query.max_create_revision)
        });
        if query.order != SortOrder::None || query.target != SortTarget::Key {
            chosen.sort_by(|a, b| {
                let ordering = compare(query.target, a, b);
                if query.order == SortOrder::Descend { ordering.reverse() } else { ordering }
            });
        }
        let more = query.limit > 0 && chosen.len() > query.limit as usize;
        if more {
            chosen.truncate(query.limit as usize);
        }
        let kvs = chosen
            .into_iter()
            .map(|(key, version)| {
                let kv = version.kv(key);
                if query.keys_only { kv.without_value().encode() } else { kv.encode() }
            })
            .collect();
        ModelRange { kvs, count, more }
    }

    pub(super) fn lease_keys(&self, lease: i64) -> Vec<Vec<u8>> {
        let attached =
            |key: &&Vec<u8>| self.visible(key, i64::MAX).is_some_and(|version| version.lease == lease);
        self.keys.keys().filter(attached).cloned().collect()
    }

    /// All changes, in the order of history.
    fn history(&self) -> BTreeMap<Revision, (&[u8], &Written)> {
        let changes = self.keys.iter().flat_map(|(key, versions)| {
            versions.iter().map(move |version| (version.at, (key.as_slice(), version)))
        });
        changes.collect()
    }

    /// The changes from a revision on, all of them.
    pub(super) fn changes(&self, from: i64) -> Vec<RevisionChanges> {
        let mut told: Vec<RevisionChanges> = Vec::new();
        for (at, (key, version)) in self.history() {
            if at.main < from {
                continue;
            }
            let kv = if version.tombstone {
                KeyValue { key, mod_revision: at.main, ..KeyValue::default() }
            } else {
                version.kv(key)
            };
            let change = Change {
                key: Bytes::copy_from_slice(key),
                kv: kv.encode().into(),
                deleted: version.tombstone,
                created: !version.tombstone && version.create == at.main,
            };
            match told.last_mut() {
                Some(last) if last.revision == at.main => last.changes.push(change),
                _ => told.push(RevisionChanges { revision: at.main, changes: vec![change] }),
            }
        }
        told
    }

    /// What a finished compaction leaves in RECORDS.
    pub(super) fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.records_compacted_at(self.compacted)
    }

    fn records_compacted_at(&self, compacted: i64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let kept = |at: &Revision, key: &[u8], version: &Written| {
            if at.main > compacted {
                return true;
            }
            if version.tombstone {
                return at.main == compacted;
            }
            self.visible(key, compacted).is_some_and(|newest| newest.at == *at)
        };
        let history = self.history();
        let survivors = history.iter().filter(|(at, (key, version))| kept(at, key, version));
        survivors.map(|(_, (key, version))| version.record(key)).collect()
    }

    /// `HashKV` as the format document tells it, over the bucket that a finished compaction leaves.
    pub(super) fn hash(&self, revision: i64) -> u32 {
        let newest = self.keys.values().filter_map(|versions| newest_of(versions, revision));
        let keep = newest.filter(|newest| !newest.tombstone).map(|newest| newest.at).collect();
        self.hash_of(self.compacted, revision, &keep)
    }

    /// The hash that etcd makes while it compacts from `from` to `to`: what it keeps are the newest versions, be
    /// they deletions or not.
    pub(super) fn compaction_hash(&self, from: i64, to: i64) -> u32 {
        let newest = self.keys.values().filter_map(|versions| newest_of(versions, to));
        self.hash_of(from, to, &newest.map(|newest| newest.at).collect())
    }

    fn hash_of(&self, compacted: i64, revision: i64, keep: &BTreeSet<Revision>) -> u32 {
        let mut hash = crc32c::crc32c(b"key");
        for (key, value) in self.records_compacted_at(compacted) {
            let RecordKey { revision: at, tombstone } = RecordKey::decode(&key).unwrap();
            let is_old = at < Revision::new(compacted + 1, 0);
            if at >= Revision::new(revision + 1, 0)
                || (is_old && !keep.is_empty() && !keep.contains(&at))
                || (at.main == compacted && tombstone)
            {
                continue;
            }
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, &key), &value);
        }
        hash
    }
}

/// The version that etcd's index finds of one key at `revision`: in the first generation whose last revision is at or
/// after it, or else in the last generation, the newest by `revision`. It may be the deletion that ends a generation.
fn newest_of(versions: &[Written], revision: i64) -> Option<&Written> {
    let mut generations = vec![Vec::new()];
    for version in versions {
        generations.last_mut().unwrap().push(version);
        if version.tombstone {
            generations.push(Vec::new());
        }
    }
    let last = generations.pop().unwrap();
    let ends_after = |generation: &&Vec<&Written>| generation.last().unwrap().at.main >= revision;
    let chosen = generations.iter().find(ends_after).unwrap_or(&last);
    chosen.iter().rev().find(|version| version.at.main <= revision).copied()
}

fn in_range(candidate: &[u8], key: &[u8], range_end: &[u8]) -> bool {
    match range_end {
        [] => candidate == key,
        [0] => candidate >= key,
        end => candidate >= key && candidate < end,
    }
}

fn compare(target: SortTarget, a: &(&Vec<u8>, &Written), b: &(&Vec<u8>, &Written)) -> Ordering {
    match target {
        SortTarget::Key => a.0.cmp(b.0),
        SortTarget::Version => a.1.version.cmp(&b.1.version),
        SortTarget::Create => a.1.create.cmp(&b.1.create),
        SortTarget::Mod => a.1.at.main.cmp(&b.1.at.main),
        SortTarget::Value => a.1.value.cmp(&b.1.value),
    }
}
