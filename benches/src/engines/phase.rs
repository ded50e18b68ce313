//! What is measured, and how: the same steps for every contender.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};

use super::data::{Data, Order, mix};
use super::engine::{Engine, Outcome, Reader, Writer};

/// Reads of each thread, when there are as many keys.
const READS: u64 = 1_000_000;
/// Short scans, when there are as many keys.
const SCANS: u64 = 500_000;
/// Entries of a short scan.
const SCAN_ENTRIES: u64 = 10;
/// Commits of one put each.
const COMMITS: u64 = 1_000;
/// Commits of many puts.
const BATCHES: u64 = 100;
/// Puts of each of these.
const BATCH_PUTS: u64 = 1_000;

/// One step of a round. They are run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Phase {
    /// Load of a database of its own, key by key in ascending order, in one transaction.
    LoadAscending,
    /// The same by the engine's way for keys that come in order.
    LoadAppend,
    /// Load in random order, in one transaction. What follows works on this.
    LoadRandom,
    /// Random reads in one transaction.
    Gets,
    /// Random reads of two threads, each in one transaction.
    GetsTwoThreads,
    /// Random reads in a transaction each.
    GetsTxn,
    /// Scans of ten entries from random keys on, in one transaction.
    ShortScans,
    /// One scan over everything.
    FullScan,
    /// Durable commits of one new random key.
    Commits,
    /// Durable commits of a thousand new random keys.
    Batches,
    /// Removal of half of the keys in one transaction.
    Deletes,
}

impl Phase {
    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::LoadAscending => "bulk load, ascending",
            Self::LoadAppend => "bulk load, ascending, by appending",
            Self::LoadRandom => "bulk load, random order",
            Self::Gets => "random reads",
            Self::GetsTwoThreads => "random reads, two threads",
            Self::GetsTxn => "random reads, a transaction each",
            Self::ShortScans => "scans of 10 entries",
            Self::FullScan => "scan of everything, each entry",
            Self::Commits => "durable commit of one put",
            Self::Batches => "durable commit of 1,000 puts, each put",
            Self::Deletes => "removal of half the keys",
        }
    }

    /// Whether it leaves the database as it was.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Gets | Self::GetsTwoThreads | Self::GetsTxn | Self::ShortScans | Self::FullScan)
    }

    /// Whether it works on what [`Phase::LoadRandom`] has loaded.
    pub(crate) fn needs_load(self) -> bool {
        self > Self::LoadRandom
    }
}

/// What a phase has cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of the whole process, threads in the background and all.
    pub(crate) cpu: Duration,
    /// Among how many operations this is shared.
    pub(crate) operations: u64,
}

impl Cost {
    /// Runs `work`, which returns how many operations it was.
    fn of(work: impl FnOnce() -> Outcome<u64>) -> Outcome<Self> {
        let (start, cpu) = (Instant::now(), cpu_time());
        let operations = work()?;
        Ok(Self { wall: start.elapsed(), cpu: cpu_time().saturating_sub(cpu), operations })
    }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// A contender at work.
pub(crate) struct Bench<E> {
    pub(crate) engine: E,
    pub(crate) data: Data,
    pub(crate) folder: PathBuf,
    /// Keys to be loaded.
    pub(crate) keys: u64,
    /// Numbers of the keys that are there.
    pub(crate) there: Range<u64>,
    /// Makes the random choices of each phase others than those before.
    pub(crate) salt: u64,
}

impl<E: Engine> Bench<E> {
    pub(crate) fn run(&mut self, phase: Phase) -> Outcome<Cost> {
        self.salt = mix(self.salt);
        match phase {
            Phase::LoadAscending => self.load_ascending(false),
            Phase::LoadAppend => self.load_ascending(true),
            Phase::LoadRandom => Cost::of(|| self.insert(self.keys)),
            Phase::Gets => Cost::of(|| self.gets(0)),
            Phase::GetsTwoThreads => self.gets_of_threads(2),
            Phase::GetsTxn => Cost::of(|| self.gets_in_transactions()),
            Phase::ShortScans => Cost::of(|| self.short_scans()),
            Phase::FullScan => Cost::of(|| self.full_scan()),
            Phase::Commits => Cost::of(|| (0..COMMITS).try_fold(0, |sum, _| Ok(sum + self.insert(1)?))),
            Phase::Batches => {
                Cost::of(|| (0..BATCHES).try_fold(0, |sum, _| Ok(sum + self.insert(BATCH_PUTS)?)))
            }
            Phase::Deletes => Cost::of(|| self.delete_half()),
        }
    }

    fn load_ascending(&self, append: bool) -> Outcome<Cost> {
        let folder = self.folder.join("ascending");
        std::fs::create_dir_all(&folder)?;
        let engine = E::open(&folder)?;
        let cost = Cost::of(|| {
            engine.write(|writer| {
                for number in 0..self.keys {
                    let (key, value) = (self.data.key(Order::Ascending, number), self.data.value(number));
                    if append {
                        writer.append(key.bytes(), value)?;
                    } else {
                        writer.put(key.bytes(), value)?;
                    }
                }
                Ok(())
            })?;
            Ok(self.keys)
        });
        drop(engine);
        std::fs::remove_dir_all(&folder)?;
        cost
    }

    /// Inserts the next `count` keys in one transaction.
    fn insert(&mut self, count: u64) -> Outcome<u64> {
        let numbers = self.there.end..self.there.end + count;
        self.there.end = numbers.end;
        let data = &self.data;
        self.engine.write(|writer| {
            for number in numbers {
                writer.put(data.key(Order::Random, number).bytes(), data.value(number))?;
            }
            Ok(count)
        })
    }

    /// The number of a random key that is there.
    fn choose(&self, thread: u64, turn: u64) -> u64 {
        self.there.start + mix(self.salt ^ (thread << 56) ^ turn) % (self.there.end - self.there.start)
    }

    fn reads(&self) -> u64 {
        READS.min(self.keys)
    }

    fn gets(&self, thread: u64) -> Outcome<u64> {
        self.engine.read(|reader| {
            for turn in 0..self.reads() {
                self.get(reader, self.choose(thread, turn))?;
            }
            Ok(self.reads())
        })
    }

    fn gets_in_transactions(&self) -> Outcome<u64> {
        for turn in 0..self.reads() {
            self.engine.read(|reader| self.get(reader, self.choose(0, turn)))?;
        }
        Ok(self.reads())
    }

    fn get(&self, reader: &E::Reader<'_>, number: u64) -> Outcome<()> {
        let key = self.data.key(Order::Random, number);
        let expected = self.data.value(number);
        match reader.get(key.bytes(), |value| (value.len(), value[0]))? {
            Some(found) if found == (expected.len(), expected[0]) => Ok(()),
            found => Err(format!("key {number}: {found:?} is not what was put").into()),
        }
    }

    fn gets_of_threads(&self, threads: u64) -> Outcome<Cost> {
        let ready = Barrier::new(threads as usize + 1);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..threads)
                .map(|thread| {
                    let ready = &ready;
                    scope.spawn(move || {
                        ready.wait();
                        self.gets(thread)
                    })
                })
                .collect();
            ready.wait();
            Cost::of(|| {
                readers.into_iter().try_fold(0, |sum, reader| {
                    let reads = reader.join().map_err(|_| "a reading thread panicked")??;
                    Ok(sum + reads)
                })
            })
        })
    }

    fn short_scans(&self) -> Outcome<u64> {
        let scans = SCANS.min(self.keys);
        self.engine.read(|reader| {
            let mut sum = 0_u64;
            for turn in 0..scans {
                let from = self.data.key(Order::Random, self.choose(0, turn));
                let shown = reader.scan(from.bytes(), SCAN_ENTRIES, |_, value| sum += u64::from(value[0]))?;
                if shown == 0 {
                    return Err("a scan from a key that is there shows nothing".into());
                }
            }
            std::hint::black_box(sum);
            Ok(scans)
        })
    }

    fn full_scan(&self) -> Outcome<u64> {
        let there = self.there.end - self.there.start;
        self.engine.read(|reader| {
            let mut sum = 0_u64;
            let shown = reader.scan(&[0], u64::MAX, |_, value| sum += u64::from(value[0]))?;
            std::hint::black_box(sum);
            if shown == there { Ok(shown) } else { Err(format!("{shown} entries instead of {there}").into()) }
        })
    }

    fn delete_half(&mut self) -> Outcome<u64> {
        let numbers = self.there.start..self.there.start + self.keys / 2;
        self.there.start = numbers.end;
        let (data, count) = (&self.data, numbers.end - numbers.start);
        self.engine.write(|writer| {
            for number in numbers {
                writer.delete(data.key(Order::Random, number).bytes())?;
            }
            Ok(count)
        })
    }
}
