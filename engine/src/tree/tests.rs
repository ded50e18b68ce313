//! What needs a look inside: damage that the checksums do not show.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;

use super::{Db, DbOptions, TreeId, TreeRead, TreeSpec};
use crate::file::{MemFile, PageFile};

fn stamp(_: &[u8], value: &[u8]) -> u64 {
    value.len() as u64
}

static SPECS: &[TreeSpec] = &[TreeSpec { name: "a", stamp }, TreeSpec { name: "b", stamp }];

fn open(file: &Arc<MemFile>) -> Db {
    let options = DbOptions { page_size: 512, reserve_bytes: 1 << 26, min_mark: 0 };
    Db::open(Arc::clone(file) as _, SPECS, options).unwrap()
}

fn key(n: u32) -> Vec<u8> {
    if n.is_multiple_of(17) {
        return [vec![b'l'; 200], n.to_be_bytes().to_vec()].concat();
    }
    format!("key/{n:04}").into_bytes()
}

fn build() -> Vec<u8> {
    let file = Arc::new(MemFile::new());
    let db = open(&file);
    for round in 0..3 {
        let mut txn = db.write();
        for n in 0..120_u32 {
            let bytes = if n.is_multiple_of(13) { 900 } else { 20 };
            txn.put(TreeId(n as u8 % 2), &key(n * 7 % 130), &vec![round; bytes]).unwrap();
        }
        for n in 0..30 {
            txn.delete(TreeId(n as u8 % 2), &key(n * 3 + u32::from(round))).unwrap();
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
    }
    file.image()
}

/// Does everything that can be done, and looks at no answer.
fn do_everything(db: &Db) {
    {
        let snapshot = db.snapshot();
        for n in 0..130 {
            let _ = snapshot.get(TreeId(0), &key(n));
            let _ = snapshot.count(TreeId(1), &key(n), Some(&key(n + 9)));
        }
        let mut cursor = snapshot.cursor(TreeId(1));
        let _ = cursor.seek_first();
        for _ in 0..300 {
            let _ = cursor.entry();
            if cursor.next().is_err() {
                break;
            }
        }
        let _ = cursor.seek_last();
        for _ in 0..300 {
            if cursor.prev().is_err() {
                break;
            }
        }
        let _ = cursor.seek(&key(20));
        for _ in 0..300 {
            if cursor.next_stamped(25).is_err() {
                break;
            }
        }
    }
    let _ = db.check();
    for round in 0..3 {
        let mut txn = db.write();
        for n in 0..40 {
            let _ = txn.put(TreeId(n as u8 % 2), &key(n * 5 % 130 + round), &[7; 50]);
            let _ = txn.delete(TreeId(n as u8 % 2), &key(n * 3 + round));
        }
        let _ = txn.publish();
        let _ = db.checkpoint();
    }
    let _ = db.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// A page whose checksum is right and whose content is not: an error or a wrong answer, never a panic
    /// and never a walk without end.
    #[test]
    fn damage_under_a_right_checksum_is_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..512, any::<u8>()), 1..6),
    ) {
        let file = Arc::new(MemFile::with_image(build()));
        let db = open(&file);
        let pages = db.stats().pages;
        db.0.pages.any_checksum_is_right.store(true, std::sync::atomic::Ordering::Relaxed);
        for (page, byte, value) in changes {
            let page = 16 + page.index(pages as usize - 16);
            // Headers and slots are where damage does most.
            let byte = if value.is_multiple_of(2) { byte % 80 } else { byte };
            file.write_at((page * 512 + byte) as u64, &[&[value]]).unwrap();
        }
        do_everything(&db);
    }
}

#[test]
fn ascending_keys_in_the_middle_fill_their_pages() {
    let file = Arc::new(MemFile::new());
    let db = open(&file);
    let mut txn = db.write();
    for n in 0..100_u32 {
        txn.put(TreeId(0), format!("z{n:05}").as_bytes(), &[1; 30]).unwrap();
        txn.put(TreeId(0), format!("a{n:05}").as_bytes(), &[1; 30]).unwrap();
    }
    txn.publish().unwrap();
    let before = db.stats().pages_in_use;
    for n in 0..2000_u32 {
        // One transaction each: the page itself remembers how its cells came in.
        let mut txn = db.write();
        txn.put(TreeId(0), format!("k{n:05}").as_bytes(), &[1; 30]).unwrap();
        txn.publish().unwrap();
    }
    // 46 bytes each, and 10 fit into a page.
    let leaves = db.stats().pages_in_use - before;
    assert!(leaves < 2000 / 10 * 5 / 4, "{leaves} pages");
}

#[test]
fn few_ready_runs_stay_in_memory_after_a_large_transaction() {
    let db = open(&Arc::new(MemFile::new()));
    let mut txn = db.write();
    for n in 0..6000_u32 {
        txn.put(TreeId(0), &n.to_be_bytes(), &[1; 600]).unwrap();
    }
    txn.publish().unwrap();
    // Nothing is durable yet, so that what is freed is ready at once; and no two of the runs touch.
    let mut txn = db.write();
    for n in (0..6000_u32).step_by(2) {
        txn.delete(TreeId(0), &n.to_be_bytes()).unwrap();
    }
    txn.publish().unwrap();
    let (runs, limit) = db.0.take_turn().space.ready_runs();
    assert!(runs > 0 && runs <= limit, "{runs} runs");
    assert!(db.check().is_clean());
}
