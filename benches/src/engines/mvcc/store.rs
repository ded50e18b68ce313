//! How each phase of the multi-version store goes.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use holdfast_engine::file::MappedFile;
use holdfast_engine::mvcc::{CompactProgress, RangeQuery, Store, trees};
use holdfast_engine::tree::{Db, DbOptions};

use super::super::contender::{self, Contest};
use super::super::cost::Cost;
use super::super::data::{Data, Key, Order, Shape, mix};
use super::super::engine::Outcome;
use super::super::options::MvccJob;
use super::checkpointer::Checkpointer;
use super::phase::MvccPhase;

/// Revisions of a batch, which is published whole.
const BATCH: u64 = 500;
/// Reads, when there are as many keys.
const GETS: u64 = 1_000_000;
/// Keys of a range.
const RANGE_KEYS: i64 = 10_000;
/// Ranges of a pass.
const RANGES: u64 = 100;
/// Revisions of a key with a long history.
const HOT: u64 = 100_000;
/// Rows of a step of compaction: as a member takes them.
const COMPACTION_ROWS: usize = 1000;
/// So much of the keys is put again, and as many new ones, and as many are removed.
const PART: u64 = 10;
/// Where keys end that a removal takes from the beginning of all, in a random order: [`PART`] of all keys.
const RANDOM_PART_END: u64 = u64::MAX / PART;

const ALL: RangeQuery<'static> = RangeQuery::of(b"\0", b"\0");

/// Runs the process of the store.
pub(crate) fn serve(job: &MvccJob) -> Outcome<()> {
    contender::serve::<MvccBench>(job)
}

/// The store under phases.
struct MvccBench {
    store: Store,
    checkpointer: Checkpointer,
    data: Data,
    folder: PathBuf,
    order: Order,
    /// Keys of the load; they have the numbers below this.
    keys: u64,
    /// The revision before the first overwrite.
    loaded: i64,
    /// Keys that were removed.
    deleted: u64,
    salt: u64,
}

impl Contest for MvccBench {
    type Job = MvccJob;

    fn open(job: &MvccJob) -> Outcome<(Self, Cost)> {
        let data = Data::new(Shape::Registry);
        let mut opened = None;
        let cost = Cost::of(|| {
            let options = DbOptions::default();
            let file = MappedFile::open(&job.folder.join("db"), options.reserve_bytes)?;
            let store = Store::open(Db::open(Arc::new(file), trees::SPECS, options)?)?;
            let found = store.view()?.get(data.key(job.order, 0).bytes(), 0)?;
            if found.is_some() != job.loaded {
                return Err("the first key is not as it should be".into());
            }
            opened = Some(store);
            Ok(1)
        })?;
        let store = opened.ok_or("not opened")?;
        let bench = Self {
            checkpointer: Checkpointer::start(store.db().clone())?,
            loaded: store.view()?.revision(),
            store,
            data,
            folder: job.folder.clone(),
            order: job.order,
            keys: job.keys,
            deleted: 0,
            salt: 0,
        };
        Ok((bench, cost.with_sizes(&job.folder)?))
    }

    fn run(&mut self, phase: &str) -> Outcome<Cost> {
        self.salt = mix(self.salt);
        let cost = match MvccPhase::from_str(phase, false)? {
            MvccPhase::Load => self.load(),
            MvccPhase::Gets => self.gets(),
            MvccPhase::Ranges => self.ranges(0, |turn| self.random_key(turn)),
            MvccPhase::Count => self.count(),
            MvccPhase::Appends => self.appends(),
            MvccPhase::Overwrites => self.overwrites(),
            MvccPhase::PastRanges => self.ranges(self.loaded, |turn| self.random_key(turn)),
            MvccPhase::HotRanges => self.hot_ranges(),
            MvccPhase::Hash => self.hash(),
            MvccPhase::Reopen => Err("only who has started the store can kill it".into()),
            MvccPhase::Compact => self.compact(self.superseded()?),
            MvccPhase::DeleteRange => self.delete_range(),
            MvccPhase::CompactDeleted => self.compact(self.deleted),
        };
        Ok(cost?.with_sizes(&self.folder)?)
    }

    fn commit_for_ever(&mut self) -> Outcome<()> {
        for turn in 0.. {
            self.put_batch(turn, u64::MAX, Self::random_key)?;
        }
        Ok(())
    }
}

impl MvccBench {
    /// Puts what is left of `total` in the batch of this turn; nothing when there is nothing left.
    fn put_batch(&mut self, turn: u64, total: u64, key: impl Fn(&Self, u64) -> Key) -> Outcome<Option<u64>> {
        let numbers = turn * BATCH..total.min((turn + 1) * BATCH);
        if numbers.is_empty() {
            return Ok(None);
        }
        let puts = numbers.end - numbers.start;
        let mut txn = self.store.begin()?;
        for number in numbers {
            txn.begin_revision();
            txn.put(key(self, number).bytes(), self.data.value(number), 0)?;
            txn.end_revision();
        }
        txn.publish()?;
        let bytes = (Shape::Registry.key_bytes() + Shape::Registry.value_bytes()) as u64;
        self.checkpointer.published(puts * bytes)?;
        Ok(Some(puts))
    }

    fn load(&mut self) -> Outcome<Cost> {
        let (keys, order) = (self.keys, self.order);
        let cost =
            Cost::of_steps(|turn| self.put_batch(turn, keys, |bench, number| bench.data.key(order, number)))?;
        self.loaded = self.store.view()?.revision();
        Ok(cost)
    }

    fn appends(&mut self) -> Outcome<Cost> {
        let first = match self.order {
            Order::Ascending => self.keys,
            // Mixed numbers leave this much room at the end.
            Order::Random => u64::MAX - self.keys,
        };
        let count = self.keys / PART;
        let cost = Cost::of_steps(|turn| {
            self.put_batch(turn, count, |bench, number| bench.data.key(Order::Ascending, first + number))
        })?;
        self.loaded = self.store.view()?.revision();
        Ok(cost)
    }

    fn overwrites(&mut self) -> Outcome<Cost> {
        let count = self.keys / PART;
        Cost::of_steps(|turn| self.put_batch(turn, count, Self::random_key))
    }

    /// A random key of the load.
    fn random_key(&self, turn: u64) -> Key {
        self.data.key(self.order, mix(self.salt ^ turn) % self.keys)
    }

    fn gets(&self) -> Outcome<Cost> {
        let gets = GETS.min(self.keys);
        Cost::of(|| {
            for turn in 0..gets {
                if self.store.view()?.get(self.random_key(turn).bytes(), 0)?.is_none() {
                    return Err("a key of the load is not there".into());
                }
            }
            Ok(gets)
        })
    }

    fn ranges(&self, revision: i64, from: impl Fn(u64) -> Key) -> Outcome<Cost> {
        Cost::of(|| {
            let (mut keys, mut bytes) = (0, 0);
            for turn in 0..RANGES {
                let from = from(turn);
                let query = RangeQuery { key: from.bytes(), revision, limit: RANGE_KEYS, ..ALL };
                let found = self.store.view()?.range(&query)?;
                keys += found.kvs.len() as u64;
                bytes += found.kvs.iter().fold(0, |sum, kv| sum + kv.len());
            }
            std::hint::black_box(bytes);
            if keys == 0 { Err("ranges from keys that are there show nothing".into()) } else { Ok(keys) }
        })
    }

    fn hot_ranges(&mut self) -> Outcome<Cost> {
        let hot = self.random_key(0);
        let mut turn = 0;
        while self.put_batch(turn, HOT, |_, _| hot)?.is_some() {
            turn += 1;
        }
        self.ranges(self.loaded, |_| hot)
    }

    fn count(&self) -> Outcome<Cost> {
        Cost::of(|| {
            let count = self.store.view()?.range(&RangeQuery { count_only: true, ..ALL })?.count;
            if count < self.keys as i64 { Err(format!("{count} keys").into()) } else { Ok(1) }
        })
    }

    fn hash(&self) -> Outcome<Cost> {
        Cost::of(|| {
            let view = self.store.view()?;
            std::hint::black_box(view.hash_kv(0)?);
            // Nothing has been compacted or removed before: each revision is a record.
            Ok(view.revision() as u64 - 1)
        })
    }

    /// Revisions that newer ones of their keys have superseded; nothing has been removed yet.
    fn superseded(&self) -> Outcome<u64> {
        let view = self.store.view()?;
        let count = view.range(&RangeQuery { count_only: true, ..ALL })?.count;
        Ok((view.revision() - 1 - count).unsigned_abs())
    }

    /// Compacts at the newest revision; `rows` is what goes.
    fn compact(&self, rows: u64) -> Outcome<Cost> {
        let mut txn = self.store.begin()?;
        let newest = txn.revision();
        txn.compact(newest)?;
        txn.publish()?;
        let mut more = true;
        let cost = Cost::of_steps(|_| {
            if !more {
                return Ok(None);
            }
            let mut txn = self.store.begin()?;
            more = txn.compact_step(COMPACTION_ROWS)? == CompactProgress::More;
            txn.publish()?;
            Ok(Some(0))
        })?;
        Ok(Cost { operations: rows, ..cost })
    }

    fn delete_range(&mut self) -> Outcome<Cost> {
        let from = self.data.key(Order::Ascending, 0);
        let to = self.data.key(
            Order::Ascending,
            match self.order {
                Order::Ascending => self.keys / PART,
                Order::Random => RANDOM_PART_END,
            },
        );
        Cost::of_steps(|turn| {
            if turn > 0 {
                return Ok(None);
            }
            let mut txn = self.store.begin()?;
            txn.begin_revision();
            let deleted = txn.delete_range(from.bytes(), to.bytes(), false)?.count;
            txn.end_revision();
            txn.publish()?;
            self.deleted = deleted.unsigned_abs();
            Ok(Some(self.deleted))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::options::word;
    use super::*;

    #[test]
    fn every_phase_does_what_it_says() {
        for order in [Order::Ascending, Order::Random] {
            let folder = tempfile::tempdir().unwrap();
            let mut job = MvccJob { folder: folder.path().to_owned(), order, keys: 3000, loaded: false };
            let (mut bench, _) = MvccBench::open(&job).unwrap();
            for &phase in MvccPhase::value_variants() {
                let cost = match phase {
                    MvccPhase::Reopen => {
                        job.loaded = true;
                        drop(bench);
                        let (again, cost) = MvccBench::open(&job).unwrap();
                        bench = again;
                        cost
                    }
                    phase => bench.run(&word(&phase)).unwrap(),
                };
                let expected = match phase {
                    MvccPhase::Load | MvccPhase::Gets => 3000..=3000,
                    MvccPhase::Appends | MvccPhase::Overwrites => 300..=300,
                    MvccPhase::Compact => 300 + HOT..=300 + HOT,
                    MvccPhase::DeleteRange | MvccPhase::CompactDeleted => 200..=400,
                    _ => 1..=u64::MAX,
                };
                assert!(expected.contains(&cost.operations), "{order:?}, {phase:?}: {cost:?}");
            }
            assert!(bench.store.view().unwrap().check().unwrap().faults.is_empty());
        }
    }
}
