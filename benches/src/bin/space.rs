//! How small a database file gets after nine tenths of its keys were deleted and compacted, while the survivors are
//! overwritten at a fixed rate, and how long the writer is held by each step: `benches/README.md` has the command.
//! One thread applies batches and runs bounded steps between them; another makes checkpoints, as in a member.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use holdfast_engine::file::{MappedFile, PageFile};
use holdfast_engine::mvcc::{CompactProgress, Store, trees};
use holdfast_engine::tree::{Db, DbOptions, Relocation, TurnObserver, TurnUse};
use rustix::time::{ClockId, clock_gettime};

// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY_BYTES: usize = 40;
const VALUE_BYTES: usize = 256;
/// Of so many keys one survives.
const KEEP_EACH: u64 = 10;
/// As in the server.
const CHECKPOINT_BYTES: u64 = 16 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
const CHECKPOINT_PAGE_BYTES: u64 = 256 << 20;
const HURRIED_INTERVAL: Duration = Duration::from_secs(1);
const COMPACTION_ROWS: usize = 1000;
const COMPACTION_PAUSE: Duration = Duration::from_micros(1250);
const RELOCATION_PAGES: u64 = 64;
const RELOCATION_PAUSE: Duration = Duration::from_millis(2);
const RELOCATION_REST: Duration = Duration::from_secs(1);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Options {
    /// Bytes of keys and values that are loaded.
    #[arg(long, default_value_t = 1_000_000_000)]
    bytes: u64,
    /// Which of the keys are deleted.
    #[arg(long, value_enum, default_value = "scattered")]
    pattern: Pattern,
    /// In which order the keys are loaded.
    #[arg(long, value_enum, default_value = "random")]
    order: Order,
    /// How long the file is watched after the compaction.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Puts in a second meanwhile.
    #[arg(long, default_value_t = 1000)]
    puts: u64,
    /// Seconds between two compactions meanwhile.
    #[arg(long, default_value_t = 10)]
    compact_every: u64,
    /// Folder for the file.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pattern {
    /// Nine of ten neighbours.
    Scattered,
    /// Whole ranges of neighbours.
    Ranges,
}

#[derive(Clone, Copy, ValueEnum)]
enum Order {
    Ascending,
    Random,
}

/// Kinds of steps that hold the writer.
const KINDS: [&str; 7] = ["load", "delete", "put", "compaction", "relocation", "checkpoint", "tail cut"];
const LOAD: usize = 0;
const DELETE: usize = 1;
const PUT: usize = 2;
const COMPACTION: usize = 3;
const RELOCATION: usize = 4;
const CHECKPOINT: usize = 5;
const TAIL_CUT: usize = 6;

/// Durations of steps, in doubling buckets from 62.5 µs on: as time that passed, and as time on a processor.
#[derive(Default)]
struct Histogram {
    steps: AtomicU64,
    wall_buckets: [AtomicU64; 12],
    cpu_buckets: [AtomicU64; 12],
    wall_most_ns: AtomicU64,
    cpu_most_ns: AtomicU64,
    wall_sum_ns: AtomicU64,
}

impl Histogram {
    fn note(&self, took: (Duration, Duration)) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        let both = [
            (took.0, &self.wall_buckets, &self.wall_most_ns),
            (took.1, &self.cpu_buckets, &self.cpu_most_ns),
        ];
        for (time, buckets, most) in both {
            let nanos = time.as_nanos() as u64;
            let bucket = (nanos / 62_500 + 1).ilog2().min(11) as usize;
            buckets[bucket].fetch_add(1, Ordering::Relaxed);
            most.fetch_max(nanos, Ordering::Relaxed);
        }
        self.wall_sum_ns.fetch_add(took.0.as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Measures how long a thread takes for something.
struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), on_cpu())
    }

    fn took(&self) -> (Duration, Duration) {
        (self.0.elapsed(), on_cpu().saturating_sub(self.1))
    }
}

fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[derive(Default)]
struct Histograms {
    kinds: [Histogram; KINDS.len()],
    turn: std::sync::Mutex<Option<Watch>>,
}

impl TurnObserver for Histograms {
    fn taken(&self, _: TurnUse) {
        *self.turn.lock().expect("nobody panics with it") = Some(Watch::start());
    }

    fn given_back(&self, by: TurnUse) {
        let kind = match by {
            TurnUse::CheckpointBegin => CHECKPOINT,
            TurnUse::TailCut => TAIL_CUT,
        };
        if let Some(watch) = self.turn.lock().expect("nobody panics with it").take() {
            self.kinds[kind].note(watch.took());
        }
    }
}

/// Spreads numbers over 64 bits without repeating one.
fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = [b'/'; KEY_BYTES];
    key[..20].copy_from_slice(b"/registry/pods/pods-");
    key[24..].copy_from_slice(format!("{number:016x}").as_bytes());
    key
}

/// The database, and where its work stands.
struct Member {
    store: Store,
    histograms: Arc<Histograms>,
    published: Arc<AtomicU64>,
    hurry: Arc<AtomicBool>,
    next_compaction: Option<Instant>,
    next_relocation: Instant,
    steps_moved: u64,
    began: Instant,
}

impl Member {
    fn timed<T>(&self, kind: usize, step: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let watch = Watch::start();
        let done = step();
        self.histograms.kinds[kind].note(watch.took());
        done
    }

    /// A batch of puts, each a revision.
    fn put(&mut self, kind: usize, numbers: &[u64], round: u8) -> Outcome<()> {
        self.timed(kind, || {
            let mut txn = self.store.begin()?;
            for &number in numbers {
                txn.begin_revision();
                txn.put(&key(number), &[b'a' + round % 26; VALUE_BYTES], 0)?;
                txn.end_revision();
            }
            txn.publish()?;
            Ok(())
        })?;
        self.published.fetch_add(numbers.len() as u64 * 350, Ordering::Relaxed);
        self.housekeeping()
    }

    /// A batch of deletions, each a revision.
    fn delete(&mut self, ranges: &[(u64, u64)]) -> Outcome<()> {
        self.timed(DELETE, || {
            let mut txn = self.store.begin()?;
            for &(from, to) in ranges {
                txn.begin_revision();
                txn.delete_range(&key(from), &key(to), false)?;
                txn.end_revision();
            }
            txn.publish()?;
            Ok(())
        })?;
        self.published.fetch_add(ranges.len() as u64 * 100, Ordering::Relaxed);
        self.housekeeping()
    }

    fn compact(&mut self) -> Outcome<()> {
        let mut txn = self.store.begin()?;
        txn.compact(txn.revision())?;
        txn.publish()?;
        self.next_compaction = Some(Instant::now());
        Ok(())
    }

    /// The steps that are due.
    fn housekeeping(&mut self) -> Outcome<()> {
        if self.next_compaction.is_some_and(|due| due <= Instant::now()) {
            let progress = self.timed(COMPACTION, || {
                let mut txn = self.store.begin()?;
                let progress = txn.compact_step(COMPACTION_ROWS)?;
                txn.publish()?;
                Ok(progress)
            })?;
            let more = matches!(progress, CompactProgress::More | CompactProgress::Held { .. });
            self.next_compaction = more.then(|| Instant::now() + COMPACTION_PAUSE);
        }
        if self.next_relocation <= Instant::now() {
            let progress =
                self.timed(RELOCATION, || Ok(self.store.db().relocate_step(RELOCATION_PAGES)?))?;
            let pause = match progress {
                Relocation::More => RELOCATION_PAUSE,
                Relocation::Idle | Relocation::Waiting => RELOCATION_REST,
            };
            self.steps_moved += u64::from(progress == Relocation::More);
            if progress == Relocation::Waiting {
                self.hurry.store(true, Ordering::Relaxed);
            }
            self.next_relocation = Instant::now() + pause;
        }
        Ok(())
    }

    fn report(&self, what: &str, live_keys: u64) {
        let stats = self.store.db().stats();
        let live = live_keys * (KEY_BYTES + VALUE_BYTES) as u64;
        let page = u64::from(stats.page_size);
        println!(
            "{:>7.1} s  {what:<11} file {:>6} MB, {:>5.2} x live ({} MB); up to high water {:>6} MB; in use {:>6} MB; held by durable {:>5} MB, \
             readers {} MB; surplus {:>5} MB; steps moved {}",
            self.began.elapsed().as_secs_f64(),
            stats.file_bytes / 1_000_000,
            stats.file_bytes as f64 / live as f64,
            live / 1_000_000,
            stats.pages * page / 1_000_000,
            stats.pages_in_use * page / 1_000_000,
            stats.pages_held_by_durable * page / 1_000_000,
            stats.pages_held_by_readers * page / 1_000_000,
            stats.surplus_pages * page / 1_000_000,
            self.steps_moved,
        );
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(&options.folder)?;
    let db_options = DbOptions::default();
    let file: Arc<dyn PageFile> =
        Arc::new(MappedFile::open(&folder.path().join("db"), db_options.reserve_bytes)?);
    let store = Store::open(Db::open(file, trees::SPECS, db_options)?)?;
    let histograms = Arc::new(Histograms::default());
    store.db().observe_turns(Arc::clone(&histograms) as _);
    let published = Arc::new(AtomicU64::new(0));
    let (stop, hurry) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let checkpoints = {
        let db = store.db().clone();
        let (published, hurry, stop) = (Arc::clone(&published), Arc::clone(&hurry), Arc::clone(&stop));
        std::thread::spawn(move || checkpoint_beside(&db, &published, &hurry, &stop))
    };
    let now = Instant::now();
    let mut member = Member {
        store,
        histograms,
        published,
        hurry,
        next_compaction: None,
        next_relocation: now,
        steps_moved: 0,
        began: now,
    };
    run(&options, &mut member)?;
    stop.store(true, Ordering::Relaxed);
    checkpoints.join().map_err(|_| "the thread of the checkpoints has panicked")??;
    print_histograms(&member.histograms);
    Ok(())
}

fn checkpoint_beside(db: &Db, published: &AtomicU64, hurry: &AtomicBool, stop: &AtomicBool) -> Outcome<()> {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        let stats = db.stats();
        let part = stats.pages_in_use * u64::from(stats.page_size) / 4;
        let due = published.load(Ordering::Relaxed) >= CHECKPOINT_BYTES
            || last.elapsed() >= CHECKPOINT_INTERVAL
            || stats.published_bytes_since_checkpoint >= CHECKPOINT_PAGE_BYTES.max(part)
            || hurry.swap(false, Ordering::Relaxed) && last.elapsed() >= HURRIED_INTERVAL;
        if !due || stats.published_txn == stats.durable_txn && !stats.wants_checkpoint {
            continue;
        }
        published.store(0, Ordering::Relaxed);
        last = Instant::now();
        db.checkpoint()?;
    }
    Ok(())
}

fn run(options: &Options, member: &mut Member) -> Outcome<()> {
    let keys = options.bytes / (KEY_BYTES + VALUE_BYTES) as u64 / KEEP_EACH * KEEP_EACH;
    // An odd stride visits every key once; a large one is as good as a random order.
    let stride = match options.order {
        Order::Ascending => 1,
        Order::Random => (mix(keys) % keys) | 1,
    };
    let stride = (stride..stride + keys).find(|&stride| gcd(stride, keys) == 1).unwrap_or(1);
    let mut batch = Vec::new();
    for n in 0..keys {
        batch.push(n.wrapping_mul(stride) % keys);
        if batch.len() == 500 {
            member.put(LOAD, &batch, 0)?;
            batch.clear();
        }
    }
    member.put(LOAD, &batch, 0)?;
    member.report("loaded", keys);
    let survivors = keys / KEEP_EACH;
    delete_most(options, member, keys)?;
    member.report("deleted", survivors);
    member.compact()?;
    watch(options, member, survivors)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn delete_most(options: &Options, member: &mut Member, keys: u64) -> Outcome<()> {
    match options.pattern {
        Pattern::Scattered => {
            let ranges: Vec<(u64, u64)> =
                (0..keys / KEEP_EACH).map(|n| (n * KEEP_EACH + 1, (n + 1) * KEEP_EACH)).collect();
            for some in ranges.chunks(50) {
                member.delete(some)?;
            }
        }
        Pattern::Ranges => {
            for from in (0..keys).step_by(5000) {
                for part in (from + 500..(from + 5000).min(keys)).step_by(500) {
                    member.delete(&[(part, (part + 500).min(keys))])?;
                }
            }
        }
    }
    Ok(())
}

/// Overwrites survivors at a fixed rate and tells how the file gets smaller.
fn watch(options: &Options, member: &mut Member, survivors: u64) -> Outcome<()> {
    let survivor = |n: u64| match options.pattern {
        Pattern::Scattered => n * KEEP_EACH,
        Pattern::Ranges => n / 500 * 5000 + n % 500,
    };
    while member.next_compaction.is_some() {
        member.housekeeping()?;
        std::thread::sleep(Duration::from_micros(200));
    }
    member.report("compacted", survivors);
    let (mut puts, mut compactions) = (0_u64, 1);
    let (began, mut told) = (Instant::now(), Instant::now());
    while began.elapsed() < Duration::from_secs(options.seconds) {
        let due = (began.elapsed().as_secs_f64() * options.puts as f64) as u64;
        let some: Vec<u64> = (puts..due.min(puts + 500)).map(|n| survivor(mix(n) % survivors)).collect();
        puts += some.len() as u64;
        if some.is_empty() {
            member.housekeeping()?;
        } else {
            member.put(PUT, &some, (puts >> 10) as u8)?;
        }
        if began.elapsed() > Duration::from_secs(options.compact_every * compactions) {
            compactions += 1;
            member.compact()?;
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            member.report("", survivors);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    member.report("end", survivors);
    println!("{puts} puts meanwhile");
    let report = member.store.db().check();
    match report.faults.first() {
        None => println!("check: clean"),
        Some(fault) => println!("check: {fault}"),
    }
    Ok(())
}

fn print_histograms(histograms: &Histograms) {
    for (name, cpu) in [("time that passed", false), ("time on a processor", true)] {
        println!("\nsteps that held the writer, by {name}");
        print!("{:<11}{:>9}{:>10}", "kind", "steps", "most, ms");
        for n in 0..12_u32 {
            print!(
                "{:>8}",
                if n == 11 { "more".to_owned() } else { format!("<{:.2}", 0.0625 * f64::from((2 << n) - 1)) }
            );
        }
        println!();
        for (kind, histogram) in KINDS.iter().zip(&histograms.kinds) {
            let (buckets, most) = if cpu {
                (&histogram.cpu_buckets, &histogram.cpu_most_ns)
            } else {
                (&histogram.wall_buckets, &histogram.wall_most_ns)
            };
            let most = most.load(Ordering::Relaxed) as f64 / 1e6;
            print!("{kind:<11}{:>9}{most:>10.2}", histogram.steps.load(Ordering::Relaxed));
            for bucket in buckets {
                print!("{:>8}", bucket.load(Ordering::Relaxed));
            }
            println!();
        }
    }
}
