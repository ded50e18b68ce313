//! Free pages: they are used again, no earlier than they may be; a full disk costs nothing that was there.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{FIRST, Model, Numbers, assert_clean, assert_same, open, open_image};
use holdfast_engine::file::{MemFile, PageFile};
use holdfast_engine::tree::{Db, TreeRead};

fn overwrite(db: &Db, numbers: &mut Numbers, keys: u64, puts: u64) {
    let mut txn = db.write();
    for _ in 0..puts {
        let key = numbers.below(keys).to_be_bytes();
        let value = vec![numbers.below(256) as u8; numbers.below(200) as usize];
        txn.put(FIRST, &key, &value).unwrap();
    }
    txn.publish().unwrap();
}

#[test]
fn overwriting_does_not_grow_the_file_without_bound() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut numbers = Numbers(1);
    for _ in 0..200 {
        overwrite(&db, &mut numbers, 2000, 50);
    }
    db.checkpoint().unwrap();
    let before = db.stats();
    for round in 0..3000 {
        overwrite(&db, &mut numbers, 2000, 50);
        if round % 20 == 19 {
            db.checkpoint().unwrap();
        }
    }
    let after = db.stats();
    assert!(after.pages < before.pages * 3, "before: {before:?}\nafter: {after:?}");
    assert!(after.pages_in_use < before.pages_in_use * 3 / 2, "before: {before:?}\nafter: {after:?}");
    assert_clean(&db);
}

#[test]
fn pages_written_and_freed_between_checkpoints_are_used_again_at_once() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut numbers = Numbers(2);
    overwrite(&db, &mut numbers, 100, 1000);
    db.checkpoint().unwrap();
    overwrite(&db, &mut numbers, 100, 10);
    overwrite(&db, &mut numbers, 100, 10);
    for _ in 0..50 {
        // A reader of the newest root, as there nearly always is one.
        let pin = db.snapshot();
        overwrite(&db, &mut numbers, 100, 10);
        drop(pin);
    }
    let before = db.stats();
    for _ in 0..2000 {
        let pin = db.snapshot();
        overwrite(&db, &mut numbers, 100, 10);
        drop(pin);
    }
    let after = db.stats();
    assert!(after.pages < before.pages + 200, "before: {before:?}\nafter: {after:?}");
    assert_clean(&db);
}

#[test]
fn a_pinned_root_keeps_its_pages_and_gives_them_back() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut model = Model::new();
    let put = |model: &mut Model, round: u32| {
        let mut txn = db.write();
        for n in 0..300_u32 {
            let (key, value) = (n.to_be_bytes().to_vec(), round.to_be_bytes().repeat(8));
            txn.put(FIRST, &key, &value).unwrap();
            model.trees[0].insert(key, value);
        }
        txn.publish().unwrap();
    };
    put(&mut model, 0);
    let pinned = (db.snapshot(), model.clone());
    for round in 1..40 {
        put(&mut model, round);
        db.checkpoint().unwrap();
        assert_same(&pinned.0, &pinned.1);
    }
    assert_eq!(db.stats().readers, 1);
    assert_eq!(db.stats().oldest_reader_txn, Some(pinned.0.txn()));
    let grown = db.stats().pages;
    drop(pinned);
    assert_eq!(db.stats().readers, 0);
    for round in 40..80 {
        put(&mut model, round);
        db.checkpoint().unwrap();
    }
    assert!(db.stats().pages <= grown, "the pages of the dropped snapshot are used before the file grows");
    assert_same(&db.snapshot(), &model);
    assert_clean(&db);
}

#[test]
fn free_pages_survive_a_restart_and_are_used_lowest_first() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut txn = db.write();
    for n in 0..5000_u32 {
        txn.put(FIRST, &n.to_be_bytes(), &[1; 60]).unwrap();
    }
    txn.publish().unwrap();
    let mut txn = db.write();
    for n in 0..4900_u32 {
        txn.delete(FIRST, &n.to_be_bytes()).unwrap();
    }
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    let before = db.stats();
    assert!(before.free_pages > 800);
    drop(db);
    let (file, db) = open_image(file.image(), 512);
    assert_eq!(db.stats().free_pages, before.free_pages);
    let length = file.len();
    let mut txn = db.write();
    for n in 0..3000_u32 {
        txn.put(FIRST, &n.to_be_bytes(), &[2; 60]).unwrap();
    }
    txn.put(FIRST, b"large", &vec![3; 20_000]).unwrap();
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    assert_eq!((db.stats().pages, file.len()), (before.pages, length), "nothing came from behind the end");
    assert_eq!(db.snapshot().get(FIRST, b"large").unwrap(), Some(vec![3; 20_000].as_slice()));
    assert_clean(&db);
}

#[test]
fn free_pages_at_the_end_go_back_to_the_file_system() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 4096);
    let mut txn = db.write();
    for n in 0..40_000_u32 {
        txn.put(FIRST, &n.to_be_bytes(), &[1; 200]).unwrap();
    }
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    let full = file.len();
    let pinned = db.snapshot();
    let mut txn = db.write();
    for n in 100..40_000_u32 {
        txn.delete(FIRST, &n.to_be_bytes()).unwrap();
    }
    txn.publish().unwrap();
    let more = |times: u32| {
        for n in 0..times {
            // All that is left is written anew, so nothing stays at the end.
            let mut txn = db.write();
            for key in 0..100_u32 {
                txn.put(FIRST, &key.to_be_bytes(), &[n as u8; 200]).unwrap();
            }
            txn.publish().unwrap();
            db.checkpoint().unwrap();
            assert_clean(&db);
        }
    };
    more(4);
    assert!(file.len() >= full, "a snapshot still needs the pages");
    assert_eq!(pinned.get(FIRST, &39_999_u32.to_be_bytes()).unwrap(), Some([1; 200].as_slice()));
    drop(pinned);
    more(4);
    assert!(file.len() < full / 8, "{} of {full} bytes are left: {:?}", file.len(), db.stats());
    assert_eq!(db.snapshot().len(FIRST), 100);
    let (_file, db) = open_image(file.crash_image(|_| false), 4096);
    assert_eq!(db.snapshot().len(FIRST), 100);
    assert_clean(&db);
}

#[test]
fn a_full_disk_is_an_error_and_costs_nothing_that_was_there() {
    for capacity_pages in [600, 700, 800, 1000] {
        let file = Arc::new(MemFile::new());
        let db = open(&file, 512);
        let mut numbers = Numbers(capacity_pages);
        let mut model = Model::new();
        file.set_capacity(Some(capacity_pages * 512));
        let mut durable = model.clone();
        let failed = loop {
            let mut txn = db.write();
            let mut next = model.clone();
            for _ in 0..20 {
                let (key, value) =
                    (numbers.next().to_be_bytes().to_vec(), vec![5; numbers.below(1500) as usize]);
                txn.put(FIRST, &key, &value).unwrap();
                next.trees[0].insert(key, value);
            }
            if let Err(e) = txn.publish() {
                break e;
            }
            model = next;
            assert_same(&db.snapshot(), &model);
            match db.checkpoint() {
                Ok(_) => durable = model.clone(),
                Err(e) => break e,
            }
        };
        assert!(failed.to_string().contains("grow"), "{failed}");
        assert_same(&db.snapshot(), &model);
        assert!(db.write().publish().is_err());
        drop(db);
        file.set_capacity(None);
        let (_file, db) = open_image(file.crash_image(|_| true), 512);
        assert_same(&db.snapshot(), &durable);
        assert_clean(&db);
    }
}

/// Snapshots on other threads read what was published while a writer overwrites and checkpoints go on.
#[test]
fn readers_beside_a_writer_and_checkpoints() {
    const ROUNDS: u64 = 1500;
    let dir = tempfile::tempdir().unwrap();
    let file = holdfast_engine::file::MappedFile::open(&dir.path().join("db"), 1 << 30).unwrap();
    let db = Db::open(Arc::new(file), common::SPECS, common::options(512)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let snapshot = db.snapshot();
                let mark = snapshot.mark();
                assert!(mark >= last);
                last = mark;
                let mut cursor = snapshot.cursor(FIRST);
                cursor.seek_first().unwrap();
                let mut entries = 0;
                while let Some((_, value)) = cursor.entry().unwrap() {
                    assert_eq!(value.first_chunk(), Some(&mark.to_be_bytes()), "one root, one state");
                    entries += 1;
                    cursor.next().unwrap();
                }
                assert_eq!(entries, snapshot.len(FIRST));
            }
        };
        scope.spawn(reader);
        scope.spawn(reader);
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                db.checkpoint().unwrap();
                assert_clean_while_busy(&db);
            }
        });
        for mark in 1..ROUNDS {
            let mut txn = db.write();
            for n in 0..(20 + mark % 60) {
                txn.put(FIRST, &n.to_be_bytes(), &mark.to_be_bytes().repeat(3 + (n % 9) as usize)).unwrap();
            }
            for n in (20 + mark % 60)..80 {
                txn.delete(FIRST, &n.to_be_bytes()).unwrap();
            }
            txn.set_mark(mark);
            txn.publish().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_clean(&db);
    assert!(db.stats().file_bytes < 8 << 20, "{:?}", db.stats());
}

fn assert_clean_while_busy(db: &Db) {
    let report = db.check();
    assert!(report.is_clean(), "{}", report.faults[0]);
}
