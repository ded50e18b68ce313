//! A short life with some of everything, small enough for an interpreter: Miri runs it (`.ci/sanitize`).
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{FIRST, Model, Numbers, assert_clean, assert_same, open, open_image};
use holdfast_engine::file::MemFile;
use holdfast_engine::tree::{Db, TreeId};

fn change(db: &Db, model: &mut Model, numbers: &mut Numbers, count: u64) {
    let mut txn = db.write();
    for _ in 0..count {
        let tree = numbers.below(2) as usize;
        let key = format!("/key/{:03}", numbers.below(60)).into_bytes();
        if numbers.below(4) == 0 {
            txn.delete(TreeId(tree as u8), &key).unwrap();
            model.trees[tree].remove(&key);
        } else {
            let value = vec![numbers.next() as u8; if numbers.below(9) == 0 { 700 } else { 30 }];
            txn.put(TreeId(tree as u8), &key, &value).unwrap();
            model.trees[tree].insert(key, value);
        }
    }
    txn.publish().unwrap();
}

#[test]
fn a_short_life() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let (mut model, mut numbers) = (Model::new(), Numbers(1));
    change(&db, &mut model, &mut numbers, 40);
    let pinned = (db.snapshot(), model.clone());
    change(&db, &mut model, &mut numbers, 25);
    db.checkpoint().unwrap();
    let durable = model.clone();
    change(&db, &mut model, &mut numbers, 10);
    assert_same(&pinned.0, &pinned.1);
    assert_same(&db.snapshot(), &model);
    drop(pinned);
    assert_clean(&db);
    drop(db);
    let (_file, db) = open_image(file.crash_image(|_| false), 512);
    assert_same(&db.snapshot(), &durable);
}

#[test]
fn a_reader_on_another_thread() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let (mut model, mut numbers) = (Model::new(), Numbers(2));
    change(&db, &mut model, &mut numbers, 20);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for _ in 0..6 {
                let snapshot = db.snapshot();
                let mut cursor = holdfast_engine::tree::TreeRead::cursor(&snapshot, FIRST);
                cursor.seek_first().unwrap();
                while cursor.entry().unwrap().is_some() {
                    cursor.next().unwrap();
                }
            }
        });
        for _ in 0..4 {
            change(&db, &mut model, &mut numbers, 6);
            db.checkpoint().unwrap();
        }
        reader.join().unwrap();
    });
    assert_same(&db.snapshot(), &model);
}
