//! How each phase goes: the same steps for every contender of ours.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Barrier;

use clap::ValueEnum;

use super::contender::Contest;
use super::cost::Cost;
use super::data::{Data, Order, mix};
use super::engine::{Engine, Outcome, Reader, Writer};
use super::options::Job;
use super::phase::Phase;

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

/// A contender at work.
pub(crate) struct Bench<E> {
    engine: E,
    data: Data,
    folder: PathBuf,
    /// Keys to be loaded.
    keys: u64,
    /// Numbers of the keys that are there.
    there: Range<u64>,
    /// Makes the random choices of each phase others than those before.
    salt: u64,
}

impl<E: Engine> Contest for Bench<E> {
    type Job = Job;

    fn open(job: &Job) -> Outcome<(Self, Cost)> {
        let data = Data::new(job.shape);
        let mut opened = None;
        let cost = Cost::of(|| {
            let engine = E::open(&job.folder)?;
            if job.loaded {
                engine.read(|reader| check::<E>(reader, &data, 0))?;
            }
            opened = Some(engine);
            Ok(1)
        })?;
        let there = if job.loaded { 0..job.keys } else { 0..0 };
        let engine = opened.ok_or("not opened")?;
        let bench = Self { engine, data, folder: job.folder.clone(), keys: job.keys, there, salt: 0 };
        Ok((bench, cost.with_sizes(&job.folder)?))
    }

    fn run(&mut self, phase: &str) -> Outcome<Cost> {
        self.salt = mix(self.salt);
        let cost = match Phase::from_str(phase, false)? {
            Phase::LoadAscending => return self.load_ascending(false),
            Phase::LoadAppend => return self.load_ascending(true),
            Phase::LoadRandom => Cost::of(|| self.insert(self.keys)),
            Phase::Gets => Cost::of(|| self.gets(0)),
            Phase::GetsTwoThreads => self.gets_of_threads(2),
            Phase::GetsTxn => Cost::of(|| self.gets_in_transactions()),
            Phase::ShortScans => Cost::of(|| self.short_scans()),
            Phase::FullScan => Cost::of(|| self.full_scan()),
            Phase::Commits => steps(COMMITS, || self.insert(1)),
            Phase::Batches => steps(BATCHES, || self.insert(BATCH_PUTS)),
            Phase::Reopen => Err("only who has started a contender can kill it".into()),
            Phase::DeleteBatches => steps(BATCHES, || self.delete(BATCH_PUTS.min(self.keys / 4 / BATCHES))),
            Phase::Deletes => Cost::of(|| self.delete(self.keys / 2)),
        };
        Ok(cost?.with_sizes(&self.folder)?)
    }

    fn commit_for_ever(&mut self) -> Outcome<()> {
        loop {
            self.insert(BATCH_PUTS)?;
        }
    }
}

impl<E: Engine> Bench<E> {
    fn load_ascending(&self, append: bool) -> Outcome<Cost> {
        let folder = self.folder.join("ascending");
        fs::create_dir_all(&folder)?;
        let engine = E::open(&folder)?;
        let mut entries =
            (0..self.keys).map(|number| (self.data.key(Order::Ascending, number), self.data.value(number)));
        let cost = Cost::of(|| {
            engine.write(|writer| {
                if append {
                    writer.append(entries)
                } else {
                    entries.try_for_each(|(key, value)| writer.put(key.bytes(), value))
                }
            })?;
            Ok(self.keys)
        })?;
        let cost = cost.with_sizes(&folder)?;
        drop(engine);
        fs::remove_dir_all(&folder)?;
        Ok(cost)
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
                check::<E>(reader, &self.data, self.choose(thread, turn))?;
            }
            Ok(self.reads())
        })
    }

    fn gets_in_transactions(&self) -> Outcome<u64> {
        for turn in 0..self.reads() {
            self.engine.read(|reader| check::<E>(reader, &self.data, self.choose(0, turn)))?;
        }
        Ok(self.reads())
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

    /// Removes the first `count` numbers that are there, in one transaction.
    fn delete(&mut self, count: u64) -> Outcome<u64> {
        let numbers = self.there.start..self.there.start + count;
        self.there.start = numbers.end;
        let data = &self.data;
        self.engine.write(|writer| {
            for number in numbers {
                writer.delete(data.key(Order::Random, number).bytes())?;
            }
            Ok(count)
        })
    }
}

/// Reads a key and looks whether it has its value.
fn check<E: Engine>(reader: &E::Reader<'_>, data: &Data, number: u64) -> Outcome<()> {
    let key = data.key(Order::Random, number);
    let expected = data.value(number);
    match reader.get(key.bytes(), |value| (value.len(), value[0]))? {
        Some(found) if found == (expected.len(), expected[0]) => Ok(()),
        found => Err(format!("key {number}: {found:?} is not what was put").into()),
    }
}

fn steps(times: u64, mut step: impl FnMut() -> Outcome<u64>) -> Outcome<Cost> {
    Cost::of_steps(|turn| if turn < times { step().map(Some) } else { Ok(None) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::data::Shape;
    use super::super::holdfast::Holdfast;
    use super::super::options::{Contender, word};
    use super::*;

    #[test]
    fn every_phase_does_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let job = Job {
            name: Contender::Holdfast,
            folder: folder.path().to_owned(),
            shape: Shape::Random,
            keys: 4000,
            loaded: false,
        };
        let (mut bench, _) = Bench::<Holdfast>::open(&job).unwrap();
        for &phase in Phase::value_variants() {
            if phase != Phase::Reopen {
                let cost = bench.run(&word(&phase)).unwrap();
                assert!(cost.operations > 0 && cost.disk_bytes > 4000, "{phase:?}: {cost:?}");
            }
        }
        assert_eq!(bench.there, 3000..4000 + COMMITS + BATCHES * BATCH_PUTS);
        bench.engine.read(|reader| check::<Holdfast>(reader, &bench.data, 3000)).unwrap();
        assert!(bench.engine.read(|reader| check::<Holdfast>(reader, &bench.data, 2999)).is_err());
    }
}
