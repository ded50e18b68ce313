//! Figures of the store on a real file: `cargo run --release -p holdfast-engine --example mvcc_figures [keys] [folder]`.
//!
//! Keys of 32 bytes and values of 256, put in batches of 500 revisions, once in random and once in ascending key order;
//! then reads, a second round of puts, reads of the past, the hash, a compaction, and the deletion of everything.

use holdfast_engine::file::{MappedFile, PageFile};
use holdfast_engine::mvcc::{CompactProgress, RangeQuery, Store, trees};
use holdfast_engine::tree::{Db, DbOptions};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCH: u64 = 500;
/// Versions of one key.
const HOT: u64 = 100_000;
const VALUE_BYTES: usize = 256;
const ALL: RangeQuery<'static> = RangeQuery {
    key: b"\0",
    range_end: b"\0",
    revision: 0,
    limit: 0,
    keys_only: false,
    count_only: false,
    min_mod_revision: 0,
    max_mod_revision: 0,
    min_create_revision: 0,
    max_create_revision: 0,
    order: holdfast_engine::mvcc::SortOrder::None,
    target: holdfast_engine::mvcc::SortTarget::Key,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let keys: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let parent = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    for ascending in [false, true] {
        println!("{keys} keys, {} order", if ascending { "ascending" } else { "random" });
        let folder = tempfile::tempdir_in(&parent)?;
        run(&folder.path().join("db"), keys, ascending)?;
    }
    Ok(())
}

/// Spreads numbers over 64 bits without repeating one.
fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn key(number: u64, ascending: bool) -> String {
    let id = if ascending { number } else { mix(number) };
    format!("/registry/pods/{id:017x}")[..32].to_owned()
}

/// Time that passed, and time that this thread was on a processor: on a busy machine they differ.
struct Watch {
    began: Instant,
    on_cpu: Option<Duration>,
}

impl Watch {
    fn start() -> Self {
        Self { began: Instant::now(), on_cpu: on_cpu() }
    }

    fn elapsed(&self) -> (Duration, Option<Duration>) {
        let cpu = on_cpu().zip(self.on_cpu).map(|(now, then)| now.saturating_sub(then));
        (self.began.elapsed(), cpu)
    }
}

/// What Linux says of this thread.
fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn each(what: &str, (took, on_cpu): (Duration, Option<Duration>), count: u64) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    print!("  {what:<52} {:>9.3} µs each, {:>7.3} s", each(took), took.as_secs_f64());
    println!("{}", on_cpu.map_or(String::new(), |time| format!(", {:>9.3} µs of CPU", each(time))));
}

fn run(path: &Path, keys: u64, ascending: bool) -> Outcome<()> {
    let options = DbOptions::default();
    let file: Arc<dyn PageFile> = Arc::new(MappedFile::open(path, options.reserve_bytes)?);
    let store = Store::open(Db::open(file, trees::SPECS, options)?)?;
    let checkpointer = checkpoint_beside(&store);
    put_round(&store, keys, ascending, "put, new keys")?;
    store.db().checkpoint()?;
    let stats = store.db().stats();
    let stored = keys * (32 + VALUE_BYTES as u64);
    let in_use = stats.pages_in_use * u64::from(stats.page_size);
    println!(
        "  pages in use {:.3} ×, file {:.3} × the bytes stored",
        in_use as f64 / stored as f64,
        stats.file_bytes as f64 / stored as f64
    );
    let loaded = store.view()?.revision();
    read_round(&store, keys, ascending, 0, "now")?;
    put_round(&store, keys / 10, ascending, "put, a tenth again")?;
    read_round(&store, keys, ascending, loaded, "before the second round")?;
    hot_key(&store, loaded)?;
    let start = Watch::start();
    let hash = store.view()?.hash_kv(0)?;
    each("hash_kv, for each record", start.elapsed(), keys + keys / 10 + HOT);
    compact(&store, keys / 10 + HOT)?;
    let start = Watch::start();
    assert_eq!(hash.hash_revision, store.view()?.hash_kv(0)?.hash_revision);
    each("hash_kv after compaction, for each record", start.elapsed(), keys);
    delete_all(&store, keys + 1)?;
    compact(&store, keys + 1)?;
    checkpointer.store(true, std::sync::atomic::Ordering::Relaxed);
    store.db().checkpoint()?;
    let stats = store.db().stats();
    println!("  at the end: {} pages in use of {}", stats.pages_in_use, stats.pages);
    Ok(())
}

/// Checkpoints every 100 ms on another thread, as a member does.
fn checkpoint_beside(store: &Store) -> Arc<std::sync::atomic::AtomicBool> {
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (store, seen) = (store.clone(), Arc::clone(&stop));
    std::thread::spawn(move || {
        while !seen.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            if let Err(error) = store.db().checkpoint() {
                eprintln!("checkpoint: {error}");
                return;
            }
        }
    });
    stop
}

fn put_round(store: &Store, keys: u64, ascending: bool, what: &str) -> Outcome<()> {
    let value = [b'v'; VALUE_BYTES];
    let (start, mut slowest, mut next) = (Watch::start(), Duration::ZERO, 0);
    while next < keys {
        let batch = Instant::now();
        let mut txn = store.begin()?;
        for number in next..keys.min(next + BATCH) {
            txn.begin_revision();
            txn.put(key(number, ascending).as_bytes(), &value, 0)?;
            txn.end_revision();
        }
        txn.publish()?;
        next += BATCH;
        slowest = slowest.max(batch.elapsed());
    }
    each(what, start.elapsed(), keys);
    println!("  {:<52} {:>9.3} ms", "slowest batch of 500", slowest.as_secs_f64() * 1e3);
    Ok(())
}

fn read_round(store: &Store, keys: u64, ascending: bool, revision: i64, what: &str) -> Outcome<()> {
    let gets = 200_000.min(keys);
    let start = Watch::start();
    for number in 0..gets {
        let view = store.view()?;
        let found = view.get(key(mix(number) % keys, ascending).as_bytes(), revision)?;
        assert!(found.is_some());
    }
    each(&format!("view and get, random, {what}"), start.elapsed(), gets);
    let view = store.view()?;
    let limited = RangeQuery { key: b"/registry/pods/04", revision, limit: 10_000, ..ALL };
    let limited = RangeQuery { key: if ascending { b"\0" } else { limited.key }, ..limited };
    view.range(&limited)?;
    let start = Watch::start();
    let found = view.range(&limited)?.kvs.len() as u64;
    each(&format!("range of {found} keys, {what}"), start.elapsed(), found);
    let start = Watch::start();
    let found = view.range(&RangeQuery { keys_only: true, ..limited })?.kvs.len() as u64;
    each(&format!("range of {found} keys, keys only, {what}"), start.elapsed(), found);
    let start = Watch::start();
    let count = view.range(&RangeQuery { count_only: true, revision, ..ALL })?.count;
    assert_eq!(count, keys as i64);
    each(&format!("count of everything, {what}"), start.elapsed(), 1);
    let start = Watch::start();
    let mut stream = store.range_stream(&RangeQuery { revision, ..ALL }, 0)?;
    let mut streamed = 0;
    while let Some(chunk) = stream.next_chunk(1 << 20)? {
        streamed += chunk.len() as u64;
    }
    each(&format!("stream of everything, {what}"), start.elapsed(), streamed);
    Ok(())
}

/// One key with a long history must not slow down reads of the past around it.
fn hot_key(store: &Store, revision: i64) -> Outcome<()> {
    for _ in 0..HOT / BATCH {
        let mut txn = store.begin()?;
        for _ in 0..BATCH {
            txn.begin_revision();
            txn.put(b"/hot", b"again and again", 0)?;
            txn.end_revision();
        }
        txn.publish()?;
    }
    let view = store.view()?;
    let start = Watch::start();
    let found = view.range(&RangeQuery { revision, limit: 1000, ..ALL })?.kvs.len() as u64;
    each("range of the past across a hot key", start.elapsed(), found);
    Ok(())
}

fn compact(store: &Store, rows: u64) -> Outcome<()> {
    let mut txn = store.begin()?;
    txn.compact(txn.revision())?;
    txn.publish()?;
    let (start, mut slowest) = (Watch::start(), Duration::ZERO);
    loop {
        let step = Instant::now();
        let mut txn = store.begin()?;
        let progress = txn.compact_step(1000)?;
        txn.publish()?;
        slowest = slowest.max(step.elapsed());
        if !matches!(progress, CompactProgress::More) {
            break;
        }
    }
    each("compaction, for each superseded row", start.elapsed(), rows);
    println!("  {:<52} {:>9.3} ms", "slowest step of 1000 records", slowest.as_secs_f64() * 1e3);
    Ok(())
}

fn delete_all(store: &Store, keys: u64) -> Outcome<()> {
    let start = Watch::start();
    let mut txn = store.begin()?;
    txn.begin_revision();
    let deleted = txn.delete_range(ALL.key, ALL.range_end, false)?.count;
    let told = txn.end_revision();
    assert_eq!((deleted, told.map(|told| told.changes.len())), (keys as i64, Some(keys as usize)));
    txn.publish()?;
    each("delete everything in one revision", start.elapsed(), keys);
    Ok(())
}
