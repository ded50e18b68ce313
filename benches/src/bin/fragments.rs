//! What free space costs the writer when there is much of it, in many pieces, and when a slow reader holds much of it:
//! `cargo run --release -p holdfast-benches --no-default-features --features space --bin fragments -- --help`
//!
//! A database of small pages, an entry to a page, from which every other entry is deleted: so every other page is a free
//! run of its own. Then entries are overwritten at random, with checkpoints between; once without a reader, once beside
//! one that pins the first state, and once after it has let go. Told is the time on a processor (other processes do not
//! disturb it) of publishing, and of the part of a checkpoint that has the writer's turn.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use holdfast_engine::file::{MappedFile, PageFile};
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeSpec, TurnObserver, TurnUse};
use rustix::time::{ClockId, clock_gettime};

// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static SPECS: &[TreeSpec] = &[TreeSpec { name: "entries", stamp: |_, _| 0 }];
const ENTRIES: TreeId = TreeId(0);
const PAGE_BYTES: u32 = 512;
/// Half a page: two do not fit into one.
const VALUE_BYTES: usize = 220;
const BATCH: u64 = 100;
const BATCHES_PER_CHECKPOINT: u64 = 50;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Options {
    /// Entries at first; half as many free runs come of it.
    #[arg(long, default_value_t = 2_000_000)]
    entries: u64,
    /// Batches of each round.
    #[arg(long, default_value_t = 4000)]
    batches: u64,
    /// Folder for the file.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Times on a processor.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn report(&mut self, what: &str) {
        self.0.sort_unstable();
        let at = |part: f64| self.0.get(((self.0.len() as f64 * part) as usize).min(self.0.len().max(1) - 1));
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        println!(
            "  {what:<32} {:>6} times; p50 {:>7.3} ms, p99 {:>7.3} ms, most {:>7.3} ms",
            self.0.len(),
            ms(at(0.5)),
            ms(at(0.99)),
            ms(self.0.last())
        );
        self.0.clear();
    }
}

#[derive(Default)]
struct Turns(Mutex<(Duration, Times, Times)>);

impl TurnObserver for Turns {
    fn taken(&self, _: TurnUse) {
        self.0.lock().expect("nobody panics with it").0 = on_cpu();
    }

    fn given_back(&self, by: TurnUse) {
        let mut turns = self.0.lock().expect("nobody panics with it");
        let took = on_cpu().saturating_sub(turns.0);
        match by {
            TurnUse::CheckpointBegin => turns.1.0.push(took),
            TurnUse::TailCut => turns.2.0.push(took),
        }
    }
}

fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn put(db: &Db, keys: impl Iterator<Item = u64>) -> Outcome<Duration> {
    let before = on_cpu();
    let mut txn = db.write();
    for key in keys {
        txn.put(ENTRIES, &key.to_be_bytes(), &[key as u8; VALUE_BYTES])?;
    }
    txn.publish()?;
    Ok(on_cpu().saturating_sub(before))
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(&options.folder)?;
    let db_options = DbOptions { page_size: PAGE_BYTES, ..DbOptions::default() };
    let file: Arc<dyn PageFile> =
        Arc::new(MappedFile::open(&folder.path().join("db"), db_options.reserve_bytes)?);
    let db = Db::open(file, SPECS, db_options)?;
    let turns = Arc::new(Turns::default());
    db.observe_turns(Arc::clone(&turns) as _);
    for from in (0..options.entries).step_by(1000) {
        put(&db, from..from + 1000)?;
    }
    db.checkpoint()?;
    for from in (0..options.entries).step_by(1000) {
        let mut txn = db.write();
        for key in (from..from + 1000).step_by(2) {
            txn.delete(ENTRIES, &key.to_be_bytes())?;
        }
        txn.publish()?;
    }
    db.checkpoint()?;
    *turns.0.lock().expect("nobody panics with it") = (Duration::ZERO, Times::default(), Times::default());
    let stats = db.stats();
    println!("{} pages, {} of them free", stats.pages, stats.free_pages);

    let mut seed = 0;
    let mut round = |what: &str| -> Outcome<()> {
        let mut batches = Times::default();
        for batch in 0..options.batches {
            seed += BATCH;
            let keys = (seed..seed + BATCH).map(|n| mix(n) % (options.entries / 2) * 2 + 1);
            batches.0.push(put(&db, keys)?);
            if batch % BATCHES_PER_CHECKPOINT == 0 {
                db.checkpoint()?;
            }
        }
        let stats = db.stats();
        println!(
            "{what}: {} pages, {} free, held by durable {}, by readers {}",
            stats.pages, stats.free_pages, stats.pages_held_by_durable, stats.pages_held_by_readers
        );
        batches.report("a batch of 100 puts");
        let mut turns = turns.0.lock().expect("nobody panics with it");
        turns.1.report("checkpoint, with the turn");
        turns.2.report("end of a checkpoint, with the turn");
        Ok(())
    };
    round("without a reader")?;
    let pinned = db.snapshot();
    round("beside a slow reader")?;
    round("beside it, further on")?;
    drop(pinned);
    round("after it has let go")?;
    let report = db.check();
    println!("check: {}", report.faults.first().map_or("clean".to_owned(), ToString::to_string));
    Ok(())
}
