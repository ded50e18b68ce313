//! A file that nobody vouches for: everything is tried on it, and each step must come back.
//!
//! The input is a script: which sound file to begin with, and how its pages are changed; the checksums are made right
//! again (`seal`), so that the damage is reached. A fuzz target and an ordinary test run the same scripts.

use std::sync::{Arc, OnceLock};

use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{RangeQuery, Store, trees};
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeRead, TreeSpec};

use super::seal::{newest_meta, seal};

/// Bytes of one change in a script.
pub const CHANGE_BYTES: usize = 6;
const CHANGES: usize = 24;
/// A walk over damaged pages is cut after so many steps: they may lead to each other.
const STEPS: usize = 1500;

fn stamp(_: &[u8], value: &[u8]) -> u64 {
    value.len() as u64
}

static SPECS: &[TreeSpec] = &[TreeSpec { name: "a", stamp }, TreeSpec { name: "b", stamp }];

fn open(image: Vec<u8>, specs: &'static [TreeSpec]) -> Option<Db> {
    let options = DbOptions { page_size: 512, reserve_bytes: 1 << 26, min_mark: 0 };
    Db::open(Arc::new(MemFile::with_image(image)), specs, options).ok()
}

fn key(n: u32) -> Vec<u8> {
    if n.is_multiple_of(17) {
        return [vec![b'l'; 200], n.to_be_bytes().to_vec()].concat();
    }
    format!("key/{n:04}").into_bytes()
}

/// A file with several levels, runs, long separators and a free tree.
fn tree_file() -> Vec<u8> {
    let file = Arc::new(MemFile::new());
    let options = DbOptions { page_size: 512, reserve_bytes: 1 << 26, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    for round in 0..3_u8 {
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

/// A store with a history, leases, and a compaction on its way.
fn store_file() -> Vec<u8> {
    let file = Arc::new(MemFile::new());
    let options = DbOptions { page_size: 512, reserve_bytes: 1 << 26, min_mark: 0 };
    let store = Store::open(Db::open(Arc::clone(&file) as _, trees::SPECS, options).unwrap()).unwrap();
    let mut txn = store.begin().unwrap();
    for n in 0..60_u32 {
        txn.begin_revision();
        txn.put(&key(n % 21), &vec![n as u8; 10 + n as usize % 5 * 90], i64::from(n % 3)).unwrap();
        if n % 7 == 6 {
            txn.delete_range(&key(n % 11), &key(n % 11 + 3), false).unwrap();
        }
        txn.end_revision();
    }
    txn.compact(30).unwrap();
    txn.compact_step(7).unwrap();
    txn.publish().unwrap();
    store.db().checkpoint().unwrap();
    file.image()
}

/// The files that scripts begin with.
pub fn sound_files() -> &'static [Vec<u8>; 2] {
    static FILES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    FILES.get_or_init(|| [tree_file(), store_file()])
}

/// Runs a script.
pub fn run(script: &[u8]) {
    let files = sound_files();
    let Some((&how, changes)) = script.split_first() else { return };
    if how % 4 == 3 {
        // The input is the file.
        return try_everything(changes.to_vec());
    }
    let mut image = files[usize::from(how % 2)].clone();
    let meta = newest_meta(&image);
    let used = image.iter().rposition(|&byte| byte != 0).unwrap_or(0) / 512 + 1;
    for change in changes.chunks_exact(CHANGE_BYTES).take(CHANGES) {
        apply(&mut image, change, meta, used);
    }
    if how < 0xf0 {
        seal(&mut image, meta);
    }
    try_everything(image);
}

/// One change: page, place in it, what is done, with what.
fn apply(image: &mut [u8], change: &[u8], meta: usize, used: usize) {
    let page = 16 + usize::from(u16::from_le_bytes([change[0], change[1]])) % (used - 16);
    let at = usize::from(u16::from_le_bytes([change[2], change[3]]));
    let (how, value) = (change[4], change[5]);
    let start = page * 512;
    let write = |image: &mut [u8], at: usize, bytes: &[u8]| {
        let at = start + at.min(512 - bytes.len());
        image[at..at + bytes.len()].copy_from_slice(bytes);
    };
    match how % 10 {
        0 => write(image, at % 512, &[value]),
        1 => image[start + at % 512] ^= 1 << (value % 8),
        2 => write(image, at % 32, &[value]),
        3 => write(image, 32 + at % 96, &[value]),
        4 => write(image, at % 505, &u64::from(value).to_le_bytes()),
        5 => write(image, at % 505, &u64::MAX.to_le_bytes()),
        6 => write(image, at % 511, &[value, value / 64]),
        7 => {
            // Another page, under this one's number.
            let other = (16 + usize::from(value) % (used - 16)) * 512;
            image.copy_within(other..other + 512, start);
            write(image, 8, &(page as u64).to_le_bytes());
        }
        8 => write(image, at % 509, &(u32::from(value) << (at % 25)).to_le_bytes()),
        _ => {
            image[meta + [16, 24, 32, 40, 48, 64 + 23, 256 + 23, 64 + 24, 256 + 24, 256 + 40][at % 10]] =
                value;
        }
    }
}

/// Opens an image and does everything that can be done, without looking at the answers.
fn try_everything(image: Vec<u8>) {
    if let Some(db) = open(image.clone(), SPECS) {
        try_trees(&db);
    }
    if let Some(db) = open(image, trees::SPECS)
        && let Ok(store) = Store::open(db)
    {
        try_store(&store);
    }
}

fn try_trees(db: &Db) {
    {
        let snapshot = db.snapshot();
        for n in (0..130).step_by(3) {
            let _ = snapshot.get(TreeId(0), &key(n));
            let _ = snapshot.count(TreeId(1), &key(n), Some(&key(n + 9)));
        }
        for tree in [TreeId(0), TreeId(1)] {
            let mut cursor = snapshot.cursor(tree);
            let _ = cursor.seek_first();
            let _ = (0..STEPS).try_for_each(|_| cursor.entry().and_then(|_| cursor.next()));
            let _ = cursor.seek_last();
            let _ = (0..STEPS).try_for_each(|_| cursor.entry().and_then(|_| cursor.prev()));
            let _ = cursor.seek(&key(20));
            let _ = (0..STEPS).try_for_each(|_| cursor.next_stamped(25));
        }
    }
    let _ = db.check();
    for round in 0..3 {
        let mut txn = db.write();
        for n in 0..30 {
            let _ = txn.put(TreeId(n as u8 % 2), &key(n * 5 % 130 + round), &[7; 50]);
            let _ = txn.delete(TreeId(n as u8 % 2), &key(n * 3 + round));
        }
        let _ = txn.publish();
        let _ = db.checkpoint();
    }
    let _ = db.check();
}

fn try_store(store: &Store) {
    if let Ok(view) = store.view() {
        for revision in [0, 30, 45, view.revision()] {
            let all =
                RangeQuery { key: b"\0", range_end: b"\0", revision, limit: 200, ..RangeQuery::default() };
            let _ = view.range(&all);
            let _ = view.range(&RangeQuery { count_only: true, ..all });
            let _ = view.range(&RangeQuery { keys_only: true, min_mod_revision: 20, ..all });
            let _ = view.get(&key(3), revision);
            let _ = view.hash_kv(revision);
        }
        let _ = view.changes(31, 40, 1 << 20);
        let _ = view.lease_keys(1);
        let _ = view.check();
        if let Ok(mut stream) =
            store.range_stream(&RangeQuery { key: b"k", range_end: b"\0", ..RangeQuery::default() }, 9)
        {
            let _ = (0..STEPS).try_for_each(|_| stream.next_chunk(100).ok().flatten().map(|_| ()));
        }
    }
    for n in 0..4 {
        let Ok(mut txn) = store.begin() else { return };
        txn.begin_revision();
        let done = txn
            .put(&key(n), b"new", 2)
            .and_then(|()| txn.delete_range(&key(n + 4), &key(n + 6), true).map(|_| ()));
        txn.end_revision();
        // After an error the batch is dropped: that is the contract.
        if done.and_then(|()| txn.compact_step(5)).is_ok() {
            let _ = txn.publish();
        } else {
            drop(txn);
        }
        let _ = store.db().checkpoint();
    }
}
