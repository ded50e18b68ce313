//! Hashes that real etcd has computed.

use super::TestStore;
use crate::mvcc::{CompactionSpan, MvccError, RecordKey, Revision};

#[test]
fn hashes_of_a_store_that_was_never_compacted() {
    let store = TestStore::new();
    assert_eq!(store.hash(0), 1_084_519_789);
    assert_eq!(store.put("a", "1"), 2);
    assert_eq!(store.hash(0), 2_587_454_935);
    assert_eq!(store.delete("a"), 3);
    assert_eq!(store.hash(0), 3_520_211_144);
    let revision = store.write(|txn| {
        txn.put(b"x", b"", 0).unwrap();
        txn.put(b"b", b"2", 0).unwrap();
    });
    assert_eq!(revision, 4);
    assert_eq!(store.hash(0), 2_280_090_275);
    // Older revisions hash as they did then.
    assert_eq!([1, 2, 3].map(|at| store.hash(at)), [1_084_519_789, 2_587_454_935, 3_520_211_144]);
}

#[test]
fn hash_of_one_put() {
    let store = TestStore::new();
    store.put("a", "b");
    assert_eq!(store.hash(0), 3_628_877_040);
}

/// A key deleted and put again inside one transaction: etcd takes it for dead in a hash at just that revision, and
/// the hash must not depend on how far compaction has come.
#[test]
fn a_key_reborn_in_the_compacted_revision_counts_as_dead_there() {
    for others in [false, true] {
        let store = TestStore::new();
        store.put("z", "1");
        if others {
            store.put("a", "1");
        }
        let reborn = store.write(|txn| {
            txn.delete_range(b"b", b"\0", false).unwrap();
            txn.put(b"z", b"2", 0).unwrap();
        });
        store.compact(reborn).unwrap();
        let at_once = store.hash(reborn);
        store.finish_compaction(1);
        store.assert_clean();
        assert_eq!(store.hash(reborn), at_once);
        let key = [&reborn.to_be_bytes()[..], b"_", &1i64.to_be_bytes()].concat();
        let wire = crate::mvcc::KeyValue {
            key: b"z",
            create_revision: reborn,
            mod_revision: reborn,
            version: 1,
            value: b"2",
            lease: 0,
        };
        let with_it = |seed| crc32c::crc32c_append(crc32c::crc32c_append(seed, &key), &wire.encode());
        let seed = crc32c::crc32c(b"key");
        if others {
            // Only "a" counts: nothing of this transaction does.
            let a = [&3i64.to_be_bytes()[..], b"_", &0i64.to_be_bytes()].concat();
            let value = [0x0a, 1, b'a', 0x10, 3, 0x18, 3, 0x20, 1, 0x2a, 1, b'1'];
            assert_eq!(at_once, crc32c::crc32c_append(crc32c::crc32c_append(seed, &a), &value));
        } else {
            // Nothing is left to choose from, so etcd takes all that is there.
            assert_eq!(at_once, with_it(seed));
        }
    }
}

/// Everything is deleted, and compacted at that very revision. etcd's index still knows the deletions, so the selection
/// is on while it compacts: the versions before count no more. A request at the same revision finds nothing alive, and
/// without a selection they do.
#[test]
fn a_compaction_that_leaves_nothing_alive_hashes_its_deletions_only() {
    let store = TestStore::new();
    store.put("a", "1");
    let first = store.put("b", "1");
    store.compact(first).unwrap();
    store.finish_compaction(1);
    let last = store.write(|txn| drop(txn.delete_range(b"a", b"c", false).unwrap()));
    let with_versions = store.hash(last);
    let mut txn = store.store.begin().unwrap();
    let span = txn.compact(last).unwrap().unwrap();
    txn.publish().unwrap();
    assert_eq!(span, CompactionSpan { from: first, to: last });
    let mut walk = store.store.hash_compaction(span, 0).unwrap();
    let hash = loop {
        if let Some(hash) = walk.step().unwrap() {
            break hash;
        }
    };
    let mut expected = crc32c::crc32c(b"key");
    for (sub, key) in [(0, b'a'), (1, b'b')] {
        let record = RecordKey::tombstone(Revision::new(last, sub)).encode();
        expected = crc32c::crc32c_append(crc32c::crc32c_append(expected, &record), &[0x0a, 1, key]);
    }
    assert_eq!((hash.hash, hash.compact_revision, hash.hash_revision), (expected, first, last));
    assert_ne!(hash.hash, with_versions);
    // It is remembered, and a request for it is answered with it, also when the revision is compacted itself.
    drop(walk);
    store.finish_compaction(1);
    let later = store.put("c", "1");
    store.compact(later).unwrap();
    assert_eq!(store.store.hash_kv(last, 0).unwrap().step().unwrap(), Some(hash));
    assert!(matches!(store.store.hash_kv(first, 0), Err(MvccError::Compacted { .. })));
}

/// The hashes of the last ten compactions are kept; a compaction that comes before the last one is complete has none.
#[test]
fn ten_hashes_of_compactions_are_remembered() {
    let store = TestStore::new();
    let mut expected = Vec::new();
    for n in 0..12 {
        let revision = store.put("a", &n.to_string());
        let mut txn = store.store.begin().unwrap();
        let span = txn.compact(revision).unwrap().unwrap();
        txn.publish().unwrap();
        let mut walk = store.store.hash_compaction(span, 0).unwrap();
        while walk.step().unwrap().is_none() {}
        drop(walk);
        store.finish_compaction(10);
        expected.push(span.to);
    }
    let known = |revision| store.store.hash_kv(revision, 0).map(|mut walk| walk.step().unwrap());
    for revision in &expected[2..] {
        assert_eq!(known(*revision).unwrap().unwrap().hash_revision, *revision);
    }
    for revision in &expected[..2] {
        assert!(matches!(known(*revision), Err(MvccError::Compacted { .. })));
    }
    let (first, second) = (store.put("a", "x"), store.put("a", "y"));
    let mut txn = store.store.begin().unwrap();
    assert!(txn.compact(first).unwrap().is_some());
    assert_eq!(txn.compact(second).unwrap(), None);
}
