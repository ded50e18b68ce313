//! The tree layer: lookups, cursors, batches of puts, and the checksums of pages that are touched for the first time.
//!
//! Small, so that it runs in seconds and stays in a processor's cache; `benches/engines` measures what is not small.
#![allow(missing_docs)] // criterion's macro makes a public function

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdfast_engine::file::MappedFile;
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeRead, TreeSpec};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

const TREE: TreeId = TreeId(0);
const KEYS: u64 = 20_000;
/// Keys that fit into one page, so that a lookup is a search in it and little else.
const KEYS_OF_A_PAGE: u64 = 12;
const BATCH: u64 = 500;
const PAGE_BYTES: usize = 4096;

fn no_stamp(_: &[u8], _: &[u8]) -> u64 {
    0
}

static TREES: &[TreeSpec] = &[TreeSpec { name: "bench", stamp: no_stamp }];

/// A key of 40 bytes with a common start, as those of Kubernetes have.
fn key(number: u64) -> [u8; 40] {
    let mut key = *b"/registry/pods/default/p0000000000000000";
    key[24..].copy_from_slice(format!("{number:016x}").as_bytes());
    key
}

fn open(folder: &TempDir) -> Db {
    let options = DbOptions::default();
    let file = MappedFile::open(&folder.path().join("db"), options.reserve_bytes).expect("a file");
    Db::open(Arc::new(file), TREES, options).expect("a database")
}

fn filled(keys: u64) -> (TempDir, Db) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = open(&folder);
    let mut txn = db.write();
    for number in 0..keys {
        txn.put(TREE, &key(number), &[7; 256]).expect("a put");
    }
    txn.publish().expect("published");
    db.checkpoint().expect("durable");
    (folder, db)
}

fn reads(c: &mut Criterion) {
    let mut numbers = SmallRng::seed_from_u64(1);
    let (_page_folder, page) = filled(KEYS_OF_A_PAGE);
    let snapshot = page.snapshot();
    c.bench_function("tree: get in one page", |b| {
        b.iter_batched(
            || key(numbers.random_range(0..KEYS_OF_A_PAGE)),
            |key| black_box(snapshot.get(TREE, &key).expect("whole pages")),
            BatchSize::SmallInput,
        );
    });
    let (_folder, db) = filled(KEYS);
    let snapshot = db.snapshot();
    c.bench_function("tree: get", |b| {
        b.iter_batched(
            || key(numbers.random_range(0..KEYS)),
            |key| black_box(snapshot.get(TREE, &key).expect("whole pages")),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("tree: seek", |b| {
        b.iter_batched(
            || (snapshot.cursor(TREE), key(numbers.random_range(0..KEYS))),
            |(mut cursor, key)| {
                cursor.seek(&key).expect("whole pages");
                cursor
            },
            BatchSize::SmallInput,
        );
    });
    c.bench_function("tree: pin a snapshot", |b| b.iter(|| black_box(db.snapshot())));
    let mut group = c.benchmark_group("tree: next");
    group.throughput(Throughput::Elements(KEYS));
    group.bench_function("whole tree", |b| {
        b.iter(|| {
            let mut cursor = snapshot.cursor(TREE);
            cursor.seek_first().expect("whole pages");
            while let Some(entry) = cursor.entry().expect("whole pages") {
                black_box(entry);
                cursor.next().expect("whole pages");
            }
        });
    });
    group.finish();
}

fn writes(c: &mut Criterion) {
    let mut numbers = SmallRng::seed_from_u64(2);
    let mut group = c.benchmark_group("tree: publish of 500 puts");
    group.throughput(Throughput::Elements(BATCH));
    for (order, ascending) in [("ascending", true), ("random", false)] {
        let (_folder, db) = filled(KEYS);
        let mut next = KEYS;
        group.bench_function(order, |b| {
            b.iter(|| {
                let mut txn = db.write();
                for _ in 0..BATCH {
                    let number = if ascending { next } else { numbers.random_range(0..KEYS) };
                    next += 1;
                    txn.put(TREE, &key(number), &[8; 256]).expect("a put");
                }
                txn.publish().expect("published");
            });
        });
    }
    group.finish();
}

fn checksums(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree: checksums");
    let page = [9; PAGE_BYTES];
    group.throughput(Throughput::Bytes(PAGE_BYTES as u64));
    group.bench_function("of one page, alone", |b| b.iter(|| xxhash_rust::xxh3::xxh3_64(black_box(&page))));
    let (folder, db) = filled(KEYS);
    let pages = db.stats().pages_in_use;
    drop(db);
    group.throughput(Throughput::Bytes(pages * PAGE_BYTES as u64));
    group.bench_function("first walk after opening", |b| {
        b.iter(|| {
            let db = open(&folder);
            let snapshot = db.snapshot();
            let mut cursor = snapshot.cursor(TREE);
            cursor.seek_first().expect("whole pages");
            while cursor.entry().expect("whole pages").is_some() {
                cursor.next().expect("whole pages");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, reads, writes, checksums);
criterion_main!(benches);
