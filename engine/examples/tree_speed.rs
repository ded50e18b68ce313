//! How fast the tree layer is: `cargo run --release -p holdfast-engine --example tree_speed -- [keys] [dir]`.
//!
//! Loads entries as the store above does (a record per revision at the right edge, a row per key at random
//! places), then reads, overwrites, publishes and checkpoints, and prints the time of each.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_engine::file::MappedFile;
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeRead, TreeSpec};

const RECORDS: TreeId = TreeId(0);
const LIVE: TreeId = TreeId(1);
const BATCH: u64 = 500;

fn stamp(_: &[u8], value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

static SPECS: &[TreeSpec] = &[TreeSpec { name: "records", stamp }, TreeSpec { name: "live", stamp }];

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 20) % limit
    }
}

fn live_key(n: u64) -> [u8; 32] {
    let mut key = *b"/registry/things/00000000000/key";
    let text = format!("{:011}", n.wrapping_mul(2_654_435_761) % 100_000_000_000);
    key[17..28].copy_from_slice(text.as_bytes());
    key
}

fn record_key(n: u64) -> [u8; 17] {
    let mut key = [b'_'; 17];
    key[..8].copy_from_slice(&n.to_be_bytes());
    key[9..].fill(0);
    key
}

/// Wall clock, and processor time of this thread where the system tells it: the machine may be busy.
struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), Self::on_cpu())
    }

    fn on_cpu() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    }

    fn report(&self, what: &str, operations: u64) {
        let (wall, cpu) = (self.0.elapsed(), Self::on_cpu().saturating_sub(self.1));
        let each = |took: Duration| took.as_secs_f64() * 1e6 / operations as f64;
        println!("{what:<42} {:>9.3} µs wall {:>9.3} µs cpu  × {operations}", each(wall), each(cpu));
    }
}

fn put_both(
    db: &Db,
    from: u64,
    batch: u64,
    mut key: impl FnMut(u64) -> u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut txn = db.write();
    for n in from..from + batch {
        let mut row = [7; 48];
        row[..8].copy_from_slice(&n.to_le_bytes());
        txn.put(RECORDS, &record_key(n), &[3; 310])?;
        txn.put(LIVE, &live_key(key(n)), &row)?;
    }
    txn.publish()?;
    Ok(())
}

/// How long a publish takes while another thread makes one checkpoint after the other.
fn publish_beside_checkpoints(
    db: &Db,
    numbers: &mut Numbers,
    keys: u64,
    first: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    const ROUNDS: u64 = 10_000;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let checkpoints = scope.spawn(|| {
            let mut count = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) && db.checkpoint().is_ok() {
                count += 1;
            }
            count
        });
        let mut took = Vec::new();
        for round in 0..ROUNDS {
            let start = Instant::now();
            put_both(db, first + round * 10, 10, |_| numbers.below(keys))?;
            took.push(start.elapsed());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        took.sort_unstable();
        let at = |part: usize| took[took.len() * part / 1000 - 1];
        println!(
            "publish of 10 beside {} checkpoints: p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {:.1?}",
            checkpoints.join().unwrap_or(0),
            at(500),
            at(990),
            at(999),
            at(1000)
        );
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let keys: u64 = args.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let path = dir.join(format!("tree-speed-{}.db", std::process::id()));
    let result = run(&path, keys);
    std::fs::remove_file(&path)?;
    result
}

fn run(path: &std::path::Path, keys: u64) -> Result<(), Box<dyn std::error::Error>> {
    let file = Arc::new(MappedFile::open(path, 1 << 40)?);
    let db = Db::open(file, SPECS, DbOptions::default())?;
    let mut numbers = Numbers(1);

    let start = Watch::start();
    for from in (0..keys).step_by(BATCH as usize) {
        put_both(&db, from, BATCH.min(keys - from), |n| n)?;
    }
    start.report("load, batches of 500, two puts each", keys * 2);
    let start = Watch::start();
    db.checkpoint()?;
    start.report("checkpoint after the load", 1);
    let stats = db.stats();
    let bytes = keys * (17 + 310 + 32 + 48);
    println!(
        "pages in use {} = {:.3} of the {bytes} bytes put, file {}",
        stats.pages_in_use,
        (stats.pages_in_use * 4096) as f64 / bytes as f64,
        stats.file_bytes
    );

    let snapshot = db.snapshot();
    for round in ["cold", "warm"] {
        let start = Watch::start();
        for _ in 0..keys {
            black_box(snapshot.get(LIVE, &live_key(numbers.below(keys)))?);
        }
        start.report(&format!("get live, random, {round}"), keys);
    }
    let start = Watch::start();
    for _ in 0..keys {
        black_box(snapshot.get(RECORDS, &record_key(numbers.below(keys)))?);
    }
    start.report("get record, random", keys);
    let start = Watch::start();
    for n in 0..keys {
        black_box(live_key(black_box(n)));
    }
    start.report("(making such a key)", keys);
    let start = Watch::start();
    for _ in 0..keys {
        black_box(db.snapshot());
    }
    start.report("snapshot, pinned and dropped", keys);
    let start = Watch::start();
    let mut cursor = snapshot.cursor(LIVE);
    cursor.seek_first()?;
    while let Some(entry) = cursor.entry()? {
        black_box(entry);
        cursor.next()?;
    }
    start.report("cursor step over live", keys);
    let start = Watch::start();
    for _ in 0..keys / 10 {
        let key = live_key(numbers.below(keys));
        black_box(snapshot.count(LIVE, &key, Some(b"/registry/things/9"))?);
    }
    start.report("count to the end of live", keys / 10);
    drop(snapshot);

    let mut next = keys;
    for (batch, rounds) in [(1, 20_000), (10, 5000), (100, 2000), (500, 600)] {
        let start = Watch::start();
        for round in 0..rounds {
            put_both(&db, next, batch, |_| numbers.below(keys))?;
            next += batch;
            if round % (rounds / 4) == rounds / 4 - 1 {
                let start = Watch::start();
                db.checkpoint()?;
                start.report("  checkpoint", 1);
            }
        }
        start.report(&format!("overwrite, batches of {batch}, per publish"), rounds);
    }
    publish_beside_checkpoints(&db, &mut numbers, keys, next)?;
    println!("{:#?}", db.stats());
    let start = Watch::start();
    let checked = db.check();
    start.report("check", 1);
    println!("{} faults", checked.faults.len());
    let start = Watch::start();
    let mut deleted = 0;
    for from in (0..keys).step_by(1000) {
        let mut txn = db.write();
        for n in from..(from + 1000).min(keys) {
            deleted += u64::from(txn.delete(LIVE, &live_key(n))?);
        }
        txn.publish()?;
    }
    start.report("delete all of live, batches of 1000", deleted);
    let start = Watch::start();
    db.checkpoint()?;
    start.report("checkpoint after that", 1);
    drop(db);
    let start = Watch::start();
    let db = Db::open(Arc::new(MappedFile::open(path, 1 << 40)?), SPECS, DbOptions::default())?;
    start.report("open", 1);
    println!("{:?}", db.stats());
    Ok(())
}
