//! Decay in a database that is open, and pages that have been read before: a round finds it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::file::MemFile;
use crate::tree::{DbOptions, TreeId, TreeSpec};

const PAGE: u64 = 512;

fn no_stamp(_: &[u8], _: &[u8]) -> u64 {
    0
}

static SPECS: &[TreeSpec] =
    &[TreeSpec { name: "one", stamp: no_stamp }, TreeSpec { name: "two", stamp: no_stamp }];

/// Two trees of several levels with long keys and values, and a list of free pages; durable, and all of it read.
fn build() -> (Arc<MemFile>, Db) {
    let file = Arc::new(MemFile::new());
    let options = DbOptions { page_size: PAGE as u32, reserve_bytes: 1 << 30, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    for round in 0..3 {
        let mut txn = db.write();
        for n in 0..400_u32 {
            let n = n * 7919 % 400;
            let mut key = format!("/key/{n:05}").into_bytes();
            if n % 40 == 0 {
                key = [key, vec![b'z'; 300]].concat();
            }
            let value = vec![n as u8; if n % 50 == 7 { 1500 } else { 20 }];
            if round == 1 && n % 3 == 0 {
                txn.delete(TreeId((n % 2) as u8), &key).unwrap();
            } else {
                txn.put(TreeId((n % 2) as u8), &key, &value).unwrap();
            }
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
    }
    assert!(db.check().is_clean());
    (file, db)
}

/// A whole round: all faults, and how many pages were compared.
fn round(db: &Db, max_pages: u64) -> (Vec<Corruption>, u64) {
    let (mut place, mut faults, mut pages) = (ScrubPlace::default(), Vec::new(), 0);
    for _ in 0..100_000 {
        let step = db.scrub_step(&mut place, max_pages);
        pages += step.pages;
        faults.extend(step.faults);
        if step.round_done {
            assert_eq!(place, ScrubPlace::default());
            return (faults, pages);
        }
    }
    panic!("a round does not end");
}

#[test]
fn a_round_compares_every_page_once() {
    let (_file, db) = build();
    let report = db.check();
    let (faults, pages) = round(&db, u64::MAX);
    assert_eq!(faults, []);
    assert!(pages > report.tree_pages + report.free_tree_pages, "with the meta page: {pages}, {report:?}");
    // Runs of long separators are read once for each of their two sides.
    assert!(pages < report.tree_pages + report.free_tree_pages + 60, "{pages}, {report:?}");
    // Small steps go down from the root again and again.
    let (faults, slow) = round(&db, 1);
    assert_eq!(faults, []);
    assert!(slow > pages);
}

#[test]
fn every_flipped_bit_in_use_is_found_though_it_was_read_before() {
    let (file, db) = build();
    let high_water = db.stats().pages;
    let mut found = 0;
    for page in 8192 / PAGE..high_water {
        let (bit, max_pages) = ((page % 8) as u8, [1, 5, 1000][page as usize % 3]);
        file.flip_bit(page * PAGE + (page * 37) % PAGE, bit);
        let (faults, _) = round(&db, max_pages);
        file.flip_bit(page * PAGE + (page * 37) % PAGE, bit);
        if let Some(fault) = faults.first() {
            found += 1;
            // A run is named by its first page.
            assert!(fault.page <= page && page < fault.page + 5, "page {page}: {fault}");
            assert!(!fault.tree.is_empty() && !fault.what.is_empty());
        }
    }
    let report = db.check();
    assert!(report.is_clean());
    assert_eq!(found, report.tree_pages + report.free_tree_pages, "every page in use was found");
}

#[test]
fn a_damaged_durable_meta_page_is_found() {
    let (file, db) = build();
    let durable = db.0.durable.lock().meta;
    file.flip_bit(META_OFFSETS[durable] + 100, 3);
    let (faults, _) = round(&db, 100);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].tree.contains("meta") && faults[0].what.contains("checksum"), "{}", faults[0]);
    // The other one is about to be written over.
    file.flip_bit(META_OFFSETS[durable] + 100, 3);
    file.flip_bit(META_OFFSETS[1 - durable] + 100, 3);
    assert_eq!(round(&db, 100).0, []);
}

#[test]
fn keys_of_a_fault_are_told() {
    let (file, db) = build();
    let snapshot = db.snapshot();
    let key = b"/key/00101";
    let root = snapshot.root().trees[0];
    assert!(root.depth > 2);
    // The leaf of the key, found without comparing.
    let reader = Reader { pages: &db.0.pages, dirty: None };
    let mut node = reader.node(1, root.level().unwrap(), &root.as_child()).unwrap();
    for level in (1..root.depth).rev() {
        let child = node.child(node.child_for(key, &reader).unwrap()).unwrap();
        node = reader.node(1, level - 1, &child).unwrap();
    }
    let page = node.number();
    file.flip_bit(page * PAGE + 200, 0);
    let (faults, _) = round(&db, 3);
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].page, faults[0].tree.as_str()), (page, "one"));
    assert!(
        faults[0].from.as_deref().unwrap() <= key.as_slice()
            && key.as_slice() < faults[0].to.as_deref().unwrap()
    );
}

#[test]
fn writes_between_the_steps_do_no_harm() {
    let (_file, db) = build();
    let mut place = ScrubPlace::default();
    let (mut rounds, mut n) = (0, 0_u32);
    while rounds < 3 {
        let step = db.scrub_step(&mut place, 4);
        assert_eq!(step.faults, []);
        rounds += u32::from(step.round_done);
        let mut txn = db.write();
        for _ in 0..3 {
            n += 1;
            let key = format!("/key/{:05}", n * 7919 % 1000);
            let tree = TreeId((n % 2) as u8);
            if n % 4 == 0 {
                txn.delete(tree, key.as_bytes()).unwrap();
            } else {
                txn.put(tree, key.as_bytes(), &vec![1; if n % 9 == 0 { 1500 } else { 30 }]).unwrap();
            }
        }
        txn.publish().unwrap();
        if n % 5 == 0 {
            db.checkpoint().unwrap();
        }
    }
    assert!(db.check().is_clean());
}
