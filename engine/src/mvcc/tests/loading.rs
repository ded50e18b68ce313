//! Loading a history from its records.

use super::TestStore;
use crate::mvcc::meta::{self, NEVER};
use crate::mvcc::trees::{META, RECORDS};
use crate::mvcc::{MvccError, RangeQuery, Revision, Store};

/// Copies the records of one store into another, as an import does.
fn copy(from: &Store, scheduled: i64, finished: i64) -> TestStore {
    let target = TestStore::new();
    let view = from.view().unwrap();
    let mut txn = target.store.begin().unwrap();
    for entry in view.aux_entries(RECORDS).unwrap() {
        let (key, wire) = entry.unwrap();
        txn.load_record(key, wire).unwrap();
    }
    txn.load_compaction(scheduled, finished).unwrap();
    txn.publish().unwrap();
    target
}

fn sample() -> TestStore {
    let store = TestStore::new();
    for n in 0..30 {
        store.write(|txn| {
            txn.put(format!("k{}", n % 7).as_bytes(), n.to_string().as_bytes(), n % 3).unwrap();
            txn.delete_range(format!("k{}", n % 5).as_bytes(), b"", false).unwrap();
        });
    }
    store
}

fn assert_same_from(left: &TestStore, right: &TestStore, oldest: i64) {
    let (left, right) = (left.store.view().unwrap(), right.store.view().unwrap());
    assert_eq!(left.revision(), right.revision());
    for revision in oldest..=left.revision() {
        let query = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
        assert_eq!(left.range(&query).unwrap(), right.range(&query).unwrap());
        assert_eq!(left.hash_kv(revision).unwrap(), right.hash_kv(revision).unwrap());
    }
    for lease in 1..3 {
        assert_eq!(left.lease_keys(lease).unwrap(), right.lease_keys(lease).unwrap());
    }
}

#[test]
fn a_copy_answers_like_its_original() {
    let original = sample();
    let target = copy(&original.store, NEVER, NEVER);
    target.assert_clean();
    assert_same_from(&original, &target, 2);
}

#[test]
fn a_compacted_history_is_loaded_too() {
    let original = sample();
    original.compact(12).unwrap();
    original.finish_compaction(5);
    let target = copy(&original.store, 12, 12);
    target.assert_clean();
    assert_same_from(&original, &target, 12);
    target.compact(25).unwrap();
    target.finish_compaction(3);
    target.assert_clean();
}

#[test]
fn an_unfinished_compaction_is_finished_after_loading() {
    let original = sample();
    let target = copy(&original.store, 20, NEVER);
    original.compact(20).unwrap();
    assert_same_from(&original, &target, 20);
    target.finish_compaction(4);
    original.finish_compaction(7);
    target.assert_clean();
    assert_same_from(&original, &target, 20);
    let len = |store: &TestStore| store.store.view().unwrap().aux_len(RECORDS);
    assert_eq!(len(&original), len(&target));
}

/// `snapshot restore --bump-revision` of etcd: an empty record far ahead, and everything before it compacted.
#[test]
fn a_jump_over_revisions_is_loaded() {
    let original = sample();
    let target = copy(&original.store, NEVER, NEVER);
    let far = Revision::new(1_000_000, 0);
    let mut txn = target.store.begin().unwrap();
    txn.load_record(&far.to_bytes(), &[]).unwrap();
    txn.load_compaction(far.main, NEVER).unwrap();
    txn.publish().unwrap();
    let hash = target.hash(0);
    target.finish_compaction(10);
    target.assert_clean();
    assert_eq!(target.hash(0), hash);
    let view = target.store.view().unwrap();
    assert_eq!(view.revision(), far.main);
    let all = RangeQuery { key: b"\0", range_end: b"\0", ..RangeQuery::default() };
    let now = original.store.view().unwrap().range(&all).unwrap();
    assert_eq!(view.range(&all).unwrap(), now);
    assert!(view.changes(far.main, 10, 10).unwrap().is_empty());
    assert_eq!(target.put("k", ""), far.main + 1);
    assert_eq!(target.store.view().unwrap().changes(far.main, 10, 10).unwrap().len(), 1);
}

#[test]
fn records_that_do_not_continue_the_history_are_refused() {
    let store = TestStore::new();
    store.put("a", "1");
    let wire = store.store.view().unwrap().get(b"a", 0).unwrap().unwrap();
    let mut txn = store.store.begin().unwrap();
    let at = |main, sub| Revision::new(main, sub).to_bytes();
    let mut refused = |key: &[u8], wire: &[u8]| {
        assert!(matches!(txn.load_record(key, wire), Err(MvccError::Load { .. })));
    };
    refused(b"short", &wire);
    refused(&at(2, 0), &wire);
    refused(&at(1, 9), &wire);
    refused(&at(3, 0), &wire); // says 2 inside
    refused(&at(3, 0), &[0xff]);
    refused(&at(3, 0), &[0x10, 4, 0x18, 3, 0x20, 1]); // created after it was changed
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let store = TestStore::new();
    let db = store.store.db().clone();
    let mut txn = db.write();
    txn.put(META, meta::MVCC_FORMAT, &(meta::FORMAT + 1).to_be_bytes()).unwrap();
    txn.publish().unwrap();
    assert!(matches!(Store::open(db), Err(MvccError::Format { found: 2, supported: 1 })));
}

#[test]
fn a_current_revision_below_the_last_record_is_refused() {
    let store = TestStore::new();
    store.put("a", "1");
    let db = store.store.db().clone();
    let mut txn = db.write();
    txn.delete(META, meta::CURRENT_REVISION).unwrap();
    txn.publish().unwrap();
    assert!(matches!(Store::open(db), Err(MvccError::Corrupt { .. })));
}

#[test]
fn marks_of_compaction_raise_the_revision() {
    let store = TestStore::new();
    let mut txn = store.store.begin().unwrap();
    txn.load_compaction(50, 40).unwrap();
    assert_eq!((txn.revision(), txn.compact_revision()), (50, 50));
    txn.publish().unwrap();
    assert_eq!(store.store.view().unwrap().revision(), 50);
    store.finish_compaction(1);
    assert_eq!(store.put("a", ""), 51);
    store.assert_clean();
}
