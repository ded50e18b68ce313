//! The multi-version store: reads of one key and of ranges, and batches of puts.
//!
//! Small, so that it runs in seconds; `benches/engines mvcc` measures with ten million keys.
#![allow(missing_docs)] // criterion's macro makes a public function

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdfast_engine::file::MappedFile;
use holdfast_engine::mvcc::{RangeQuery, Store, trees};
use holdfast_engine::tree::{Db, DbOptions};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

const KEYS: u64 = 20_000;
const BATCH: u64 = 500;
const RANGE_KEYS: i64 = 1000;

const ALL: RangeQuery<'static> = RangeQuery::of(b"\0", b"\0");

fn key(number: u64) -> [u8; 40] {
    let mut key = *b"/registry/pods/default/p0000000000000000";
    key[24..].copy_from_slice(format!("{number:016x}").as_bytes());
    key
}

fn put_batch(store: &Store, mut number: impl FnMut() -> u64) {
    let mut txn = store.begin().expect("a transaction");
    for _ in 0..BATCH {
        txn.begin_revision();
        txn.put(&key(number()), &[7; 256], 0).expect("a put");
        txn.end_revision();
    }
    txn.publish().expect("published");
}

/// A store whose keys were put in ascending order.
fn filled() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = DbOptions::default();
    let file = MappedFile::open(&folder.path().join("db"), options.reserve_bytes).expect("a file");
    let db = Db::open(Arc::new(file), trees::SPECS, options).expect("a database");
    let store = Store::open(db).expect("a store");
    let mut numbers = 0..KEYS;
    for _ in 0..KEYS / BATCH {
        put_batch(&store, || numbers.next().expect("a multiple of the batch"));
    }
    store.db().checkpoint().expect("durable");
    (folder, store)
}

fn reads(c: &mut Criterion) {
    let (_folder, store) = filled();
    let mut numbers = SmallRng::seed_from_u64(1);
    c.bench_function("mvcc: view and get", |b| {
        b.iter_batched(
            || key(numbers.random_range(0..KEYS)),
            |key| black_box(store.view().expect("a view").get(&key, 0).expect("whole pages")),
            BatchSize::SmallInput,
        );
    });
    let mut group = c.benchmark_group("mvcc: range of 1,000 keys");
    group.throughput(Throughput::Elements(RANGE_KEYS.unsigned_abs()));
    let mut range = |what: &str, query: RangeQuery<'_>| {
        let last = KEYS - RANGE_KEYS.unsigned_abs();
        group.bench_function(what, |b| {
            b.iter_batched(
                || key(numbers.random_range(0..last)),
                |from| {
                    let query = RangeQuery { key: &from, limit: RANGE_KEYS, ..query };
                    black_box(store.view().expect("a view").range(&query).expect("whole pages"))
                },
                BatchSize::SmallInput,
            );
        });
    };
    range("now", ALL);
    range("keys only", RangeQuery { keys_only: true, ..ALL });
    range("at a past revision", RangeQuery { revision: KEYS as i64 / 2, ..ALL });
    group.finish();
}

fn writes(c: &mut Criterion) {
    let mut random = SmallRng::seed_from_u64(2);
    let mut group = c.benchmark_group("mvcc: batch of 500 puts");
    group.throughput(Throughput::Elements(BATCH));
    let (_folder, store) = filled();
    let mut next = KEYS..;
    group.bench_function("new keys, ascending", |b| {
        b.iter(|| put_batch(&store, || next.next().expect("numbers without an end")));
    });
    let (_folder, store) = filled();
    group.bench_function("random overwrites", |b| {
        b.iter(|| put_batch(&store, || random.random_range(0..KEYS)));
    });
    group.finish();
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
