//! A store whose derived trees are damaged is built anew from its records; damaged records are refused by name.

use super::TestStore;
use crate::file::{MemFile, PageFile as _};
use crate::mvcc::repair::{RepairError, Repaired};
use crate::mvcc::trees::{ALARMS, HISTORY, LEASE_KEYS, LEASES, LIVE, META, RECORDS, SPECS};
use crate::mvcc::{MvccError, RangeQuery, Store};
use crate::tree::{Db, DbOptions, TreeId};
use std::sync::Arc;

const PAGE: usize = 512;

/// A history with leases, deletions and a compaction; `steps` of its physical work done, all of it when `None`.
fn sample(steps: Option<usize>) -> TestStore {
    let store = TestStore::new();
    for n in 0..120 {
        store.write(|txn| {
            let value = "v".repeat(if n % 9 == 0 { 900 } else { 10 });
            txn.put(format!("key/{}", n % 37).as_bytes(), value.as_bytes(), n % 4).unwrap();
            txn.delete_range(format!("key/{}", n % 23).as_bytes(), b"", false).unwrap();
        });
    }
    store.compact(60).unwrap();
    match steps {
        None => store.finish_compaction(16),
        Some(steps) => {
            for _ in 0..steps {
                let mut txn = store.store.begin().unwrap();
                txn.compact_step(16).unwrap();
                txn.publish().unwrap();
            }
        }
    }
    let mut txn = store.store.begin().unwrap();
    txn.aux_put(LEASES, &9_u64.to_be_bytes(), b"lease").unwrap();
    txn.aux_put(ALARMS, b"alarm", b"").unwrap();
    txn.aux_put(META, b"consistent_index", &77_u64.to_be_bytes()).unwrap();
    txn.set_mark(77);
    txn.publish().unwrap();
    store.store.db().checkpoint().unwrap();
    store.assert_clean();
    store
}

/// The file with a bit flipped in every page of these trees, by their numbers in the file.
fn damaged(store: &TestStore, trees: &[u8]) -> Db {
    let mut image = store.file.image();
    for page in image.chunks_exact_mut(PAGE).skip(16) {
        if matches!(page[0], 2..=4) && trees.contains(&page[1]) {
            page[100] ^= 1;
        }
    }
    Db::open(Arc::new(MemFile::with_image(image)), SPECS, DbOptions::default()).unwrap()
}

fn number(tree: TreeId) -> u8 {
    tree.0 + 1
}

fn rebuild(db: &Db) -> Result<(Store, Repaired), RepairError> {
    let options = DbOptions { page_size: PAGE as u32, ..DbOptions::default() };
    Store::rebuild(db, Arc::new(MemFile::new()), options)
}

fn assert_same(left: &Store, right: &Store) {
    let (left, right) = (left.view().unwrap(), right.view().unwrap());
    assert_eq!((left.revision(), left.mark()), (right.revision(), right.mark()));
    assert_eq!(left.compact_revision(), right.compact_revision());
    for revision in 60..=left.revision() {
        let query = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
        assert_eq!(left.range(&query).unwrap(), right.range(&query).unwrap());
        assert_eq!(left.hash_kv(revision).unwrap(), right.hash_kv(revision).unwrap());
    }
    for lease in 1..4 {
        assert_eq!(left.lease_keys(lease).unwrap(), right.lease_keys(lease).unwrap());
    }
    for tree in [LEASES, ALARMS] {
        assert_eq!(left.aux_len(tree), right.aux_len(tree));
    }
    assert_eq!(left.aux(META, b"consistent_index").unwrap(), right.aux(META, b"consistent_index").unwrap());
}

#[test]
fn what_follows_from_the_records_is_built_anew() {
    let store = sample(None);
    const FREE: u8 = 0;
    for trees in [
        &[number(LIVE)][..],
        &[number(HISTORY)],
        &[number(LEASE_KEYS)],
        &[FREE],
        &[FREE, number(LIVE), number(HISTORY), number(LEASE_KEYS)],
    ] {
        let db = damaged(&store, trees);
        let faults = db.check().faults;
        assert!(!faults.is_empty(), "trees {trees:?}");
        let (rebuilt, told) = rebuild(&db).unwrap();
        assert_same(&store.store, &rebuilt);
        let view = store.store.view().unwrap();
        assert_eq!((told.records, told.live), (view.aux_len(RECORDS), view.aux_len(LIVE)));
        assert_eq!((told.history, told.mark), (view.aux_len(HISTORY), 77));
        // It can be written to like any other.
        let mut txn = rebuilt.begin().unwrap();
        txn.begin_revision();
        txn.put(b"more", b"1", 0).unwrap();
        txn.end_revision();
        txn.publish().unwrap();
        rebuilt.db().checkpoint().unwrap();
        assert!(rebuilt.db().check().is_clean() && rebuilt.view().unwrap().check().unwrap().is_clean());
    }
}

#[test]
fn a_compaction_under_way_is_begun_again() {
    let store = sample(Some(2));
    let (rebuilt, _) = rebuild(&damaged(&store, &[number(LIVE), number(HISTORY)])).unwrap();
    assert_eq!(rebuilt.view().unwrap().compact_revision(), 60);
    let copy = TestStore { file: Arc::new(MemFile::new()), store: rebuilt };
    copy.finish_compaction(16);
    store.finish_compaction(16);
    copy.assert_clean();
    assert_same(&store.store, &copy.store);
}

#[test]
fn damaged_records_are_refused_by_name() {
    let store = sample(None);
    for tree in [RECORDS, META] {
        let refused = rebuild(&damaged(&store, &[number(tree), number(LIVE)])).err().unwrap();
        let said = refused.to_string();
        assert!(matches!(refused, RepairError::Read(MvccError::Engine(_))), "{said}");
        assert!(said.contains("page") && said.contains("is damaged"), "{said}");
    }
}

#[test]
fn nothing_is_written_over() {
    let store = sample(None);
    let full = Arc::new(MemFile::new());
    full.set_len(4096).unwrap();
    let refused = Store::rebuild(store.store.db(), full, DbOptions::default()).err().unwrap();
    assert!(matches!(refused, RepairError::NotEmpty { .. }), "{refused}");
}
