//! An image is one state, whatever is written and compacted while it is walked over.

use std::sync::Arc;

use holdfast_bbolt::Database;
use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::CompactProgress;
use holdfast_engine::tree::{Db, DbOptions};

use super::*;

type Pair = (Vec<u8>, Vec<u8>);

/// Bucket by bucket, its entries.
#[derive(Default, Debug, PartialEq)]
struct Everything(Vec<(String, Vec<Pair>)>);

impl Sink for Everything {
    fn bucket(&mut self, name: &str) -> Result<(), ImageError> {
        self.0.push((name.to_owned(), Vec::new()));
        Ok(())
    }
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        self.0.last_mut().unwrap().1.push((key.to_vec(), value.to_vec()));
        Ok(())
    }
}

/// The same entries, with something done beside every hundredth.
struct Disturbed<'a> {
    everything: Everything,
    entries: usize,
    disturb: &'a mut dyn FnMut(),
}

impl Sink for Disturbed<'_> {
    fn bucket(&mut self, name: &str) -> Result<(), ImageError> {
        self.everything.bucket(name)
    }
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        self.entries += 1;
        if self.entries.is_multiple_of(100) {
            (self.disturb)();
        }
        self.everything.entry(key, value)
    }
}

fn store() -> Store {
    let db = Db::open(Arc::new(MemFile::new()), trees::SPECS, DbOptions::default()).unwrap();
    let store = Store::open(db).unwrap();
    let mut txn = store.begin().unwrap();
    for id in 0..1000_u64 {
        txn.aux_put(trees::LEASES, &id.to_be_bytes(), &[id as u8; 20]).unwrap();
    }
    txn.aux_put(trees::CLUSTER, b"clusterVersion", b"3.7.0").unwrap();
    txn.set_mark(7);
    txn.publish().unwrap();
    for n in 0..3000 {
        put(&store, n % 300, n);
    }
    store
}

fn put(store: &Store, key: usize, value: usize) {
    let mut txn = store.begin().unwrap();
    txn.begin_revision();
    txn.put(format!("k{key}").as_bytes(), format!("{value}").repeat(300).as_bytes(), 0).unwrap();
    txn.end_revision();
    txn.publish().unwrap();
}

/// What a pinned root holds, without any of the ways of an image.
fn pinned(view: &View) -> Everything {
    let mut everything = Everything::default();
    for (name, tree) in BUCKETS {
        everything.bucket(name).unwrap();
        entries(view, tree, |key, value| everything.entry(key, value)).unwrap();
    }
    everything
}

#[test]
fn both_walks_give_the_state_at_the_begin() {
    let folder = tempfile::tempdir().unwrap();
    for bound in [0, SMALL_TREE_BYTES] {
        let store = store();
        let expected = pinned(&store.view().unwrap());
        let mut image = Image::with_bound(&store, folder.path(), 1, bound).unwrap();
        assert_eq!(store.db().stats().readers, 0, "no root is pinned");
        assert_eq!((image.revision(), image.mark()), (3001, 7));
        let mut round = 0;
        let mut removed = false;
        let mut disturb = || {
            round += 1;
            put(&store, round % 7, round);
            let mut txn = store.begin().unwrap();
            let revision = txn.revision();
            let _ = txn.compact(revision).unwrap();
            txn.aux_delete(trees::LEASES, &(round as u64).to_be_bytes()).unwrap();
            txn.publish().unwrap();
            let mut txn = store.begin().unwrap();
            while txn.compact_step(100).unwrap() == CompactProgress::More {}
            txn.publish().unwrap();
            removed |= store.view().unwrap().aux_len(trees::RECORDS) < 2000;
        };
        let mut first = Disturbed { everything: Everything::default(), entries: 0, disturb: &mut disturb };
        image.walk(&mut first).unwrap();
        assert!(first.everything == expected);
        let mut second = Disturbed { everything: Everything::default(), entries: 0, disturb: &mut disturb };
        image.last_walk(&mut second).unwrap();
        assert!(second.everything == expected);
        assert!(removed, "compaction goes on behind the last walk");
    }
}

#[test]
fn an_image_that_takes_too_long_ends() {
    let store = store();
    let folder = tempfile::tempdir().unwrap();
    let mut image = Image::take(&store, folder.path(), 0).unwrap();
    store.tick_holds();
    let ended = image.walk(&mut Everything::default()).unwrap_err();
    assert!(matches!(ended, ImageError::Store(MvccError::Outlived { revision: 3001 })), "{ended}");
}

#[test]
fn the_image_is_a_sound_database_with_the_same_entries() {
    let store = store();
    let folder = tempfile::tempdir().unwrap();
    let mut file = Vec::new();
    let keep = |blob: holdfast_bbolt::snapshot::Blob| {
        file.extend_from_slice(&blob.data);
        Ok(())
    };
    super::super::snapshot::write_image(&store, folder.path(), 0, keep).unwrap();
    file.truncate(file.len() - 32);
    let database = Database::open(file).unwrap();
    assert!(database.check().unwrap().is_sound());
    for (name, expected) in pinned(&store.view().unwrap()).0 {
        let bucket = database.bucket(name.as_bytes()).unwrap().unwrap();
        let mut found = bucket.entries();
        for (key, value) in &expected {
            let entry = found.next().unwrap().unwrap();
            assert!(entry.key == *key && entry.value == *value, "{name}");
        }
        assert!(found.next().unwrap().is_none(), "{name}");
    }
}
