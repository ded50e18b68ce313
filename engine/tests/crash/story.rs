//! Workloads: what the engine lives through, and what it should hold at each point.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use holdfast_engine::tree::{Db, Snapshot, TreeId, WriteTxn};

use crate::common::{Map, Model, Numbers, SPECS, assert_same, options};
use crate::disk::{Disk, Mutant};
use crate::image::History;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ascending keys.
    Sequential,
    /// Keys all over three trees.
    Random,
    /// A filled tree that is emptied and filled again.
    Deletes,
    /// Few keys, over and over.
    Overwrites,
    /// Values and keys that need overflow runs.
    Large,
    /// Some of everything.
    Mixed,
    /// So much, and then so little, that the file is cut.
    Shrinks,
}

/// A workload.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub kind: Kind,
    pub page_size: u32,
    /// A checkpoint after so many commits.
    pub cadence: u64,
    /// Snapshots are held across commits and checkpoints, and commits go on while a checkpoint syncs.
    pub busy: bool,
    pub commits: u64,
    pub seed: u64,
    pub mutant: Mutant,
}

/// The plans of one round.
pub fn plans(seed: u64) -> Vec<Plan> {
    use Kind::{Deletes, Large, Mixed, Overwrites, Random, Sequential, Shrinks};
    let mut plans = Vec::new();
    for (n, kind) in [Sequential, Random, Deletes, Overwrites, Large, Mixed].into_iter().enumerate() {
        for page_size in [512, 4096] {
            for cadence in [1, 5] {
                let busy = (n + usize::from(page_size == 512) + cadence as usize / 5).is_multiple_of(2);
                let seed = seed.wrapping_mul(1000) + plans.len() as u64;
                let commits = 18;
                plans.push(Plan { kind, page_size, cadence, busy, commits, seed, mutant: Mutant::None });
            }
        }
    }
    let plan = Plan { kind: Shrinks, page_size: 4096, cadence: 1, busy: false, commits: 10, ..plans[0] };
    plans.push(plan);
    plans
}

/// A workload that has been lived through.
pub struct Story {
    pub plan: Plan,
    pub history: History,
    /// What was published, by mark. Every commit has a mark of its own.
    pub models: BTreeMap<u64, Arc<Model>>,
}

/// The engine at work.
struct Teller {
    plan: Plan,
    numbers: Numbers,
    model: Model,
    models: BTreeMap<u64, Arc<Model>>,
    commits: u64,
}

/// Lives through a plan on a new file.
pub fn tell(plan: Plan) -> Story {
    go_on(plan, Vec::new(), Model::new())
}

/// Lives through a plan on a file that holds `model`.
pub fn go_on(plan: Plan, base: Vec<u8>, model: Model) -> Story {
    let disk = Disk::new(base.clone(), plan.mutant);
    let db = Db::open(Arc::clone(&disk) as _, SPECS, options(plan.page_size)).unwrap();
    let base_mark = model.mark;
    let models = BTreeMap::from([(base_mark, Arc::new(model.clone()))]);
    let numbers = Numbers(plan.seed ^ 0x5eed);
    let teller = Arc::new(Mutex::new(Teller { plan, numbers, model, models, commits: 0 }));
    let mut promises = Vec::new();
    let mut pins: Vec<(Snapshot, Arc<Model>)> = Vec::new();
    if plan.busy {
        let (db, teller) = (db.clone(), Arc::clone(&teller));
        disk.during_sync(Some(Box::new(move || {
            let mut teller = teller.lock().unwrap();
            if teller.numbers.below(3) == 0 {
                teller.commit(&db);
            }
        })));
    }
    for round in 1..=plan.commits {
        teller.lock().unwrap().commit(&db);
        if plan.busy {
            if round % 3 == 0 {
                pins.push((db.snapshot(), teller.lock().unwrap().newest()));
            }
            if round % 7 == 0 {
                let (snapshot, model) = pins.remove(0);
                assert_same(&snapshot, &model);
            }
        }
        if round.is_multiple_of(plan.cadence) {
            let mark = db.checkpoint().unwrap().mark;
            if disk.newest_meta_mark() == Some(mark) || plan.mutant != Mutant::ReusesDurable {
                promises.push((disk.operations(), mark));
            }
        }
    }
    disk.during_sync(None);
    for (snapshot, model) in &pins {
        assert_same(snapshot, model);
    }
    let models = std::mem::take(&mut teller.lock().unwrap().models);
    let (ops, page_size) = (disk.take_record(), plan.page_size as usize);
    Story { plan, history: History { base, ops, page_size, base_mark, promises }, models }
}

impl Teller {
    fn newest(&self) -> Arc<Model> {
        Arc::clone(&self.models[&self.model.mark])
    }

    fn commit(&mut self, db: &Db) {
        self.commits += 1;
        let mut txn = db.write();
        self.change(&mut txn);
        self.model.mark += 1;
        txn.set_mark(self.model.mark);
        txn.publish().unwrap();
        self.models.insert(self.model.mark, Arc::new(self.model.clone()));
    }

    fn change(&mut self, txn: &mut WriteTxn) {
        match self.plan.kind {
            Kind::Sequential => {
                for _ in 0..=self.numbers.below(12) {
                    let n = self.model.trees[0].len();
                    let bytes = 20 + self.numbers.below(40);
                    self.put(txn, 0, format!("/seq/{n:08}").into_bytes(), bytes);
                }
            }
            Kind::Random => self.some(txn, 15, 400, 60, 5),
            Kind::Deletes => self.fill_or_empty(txn),
            Kind::Overwrites => self.some(txn, 20, 50, 90, u64::MAX),
            Kind::Large => {
                for _ in 0..=self.numbers.below(3) {
                    let key = self.key(30);
                    let (tree, bytes) = (self.numbers.below(3) as usize, self.numbers.below(6000));
                    self.put(txn, tree, key, bytes);
                }
            }
            Kind::Mixed => {
                self.some(txn, 12, 200, 60, 3);
                let (key, bytes) = (self.key(200), self.numbers.below(2500));
                self.put(txn, 1, key, bytes);
            }
            Kind::Shrinks => self.grow_or_shrink(txn),
        }
    }

    fn key(&mut self, keys: u64) -> Vec<u8> {
        let mut key = format!("/key/{:04}", self.numbers.below(keys)).into_bytes();
        if self.numbers.below(10) == 0 {
            key.extend(std::iter::repeat_n(b'l', self.numbers.below(900) as usize));
        }
        key
    }

    fn put(&mut self, txn: &mut WriteTxn, tree: usize, key: Vec<u8>, bytes: u64) {
        // No two values are the same, so that a stale one is seen.
        let mut value = self.numbers.next().to_be_bytes().to_vec();
        value.resize(bytes as usize, self.numbers.next() as u8);
        txn.put(TreeId(tree as u8), &key, &value).unwrap();
        self.model.trees[tree].insert(key, value);
    }

    fn delete_from(&mut self, txn: &mut WriteTxn, tree: usize, key: &[u8], count: usize) {
        let map: &Map = &self.model.trees[tree];
        let keys: Vec<_> = map.range(key.to_vec()..).take(count).map(|(k, _)| k.clone()).collect();
        for key in keys {
            assert!(txn.delete(TreeId(tree as u8), &key).unwrap());
            self.model.trees[tree].remove(&key);
        }
    }

    /// Up to `most` changes among so many keys; one in `delete_one_in` is a deletion.
    fn some(&mut self, txn: &mut WriteTxn, most: u64, keys: u64, bytes: u64, delete_one_in: u64) {
        for _ in 0..=self.numbers.below(most) {
            let (tree, key) = (self.numbers.below(3) as usize, self.key(keys));
            if self.numbers.next().is_multiple_of(delete_one_in) {
                self.delete_from(txn, tree, &key, 1);
            } else {
                let bytes = self.numbers.below(bytes);
                self.put(txn, tree, key, bytes);
            }
        }
    }

    fn fill_or_empty(&mut self, txn: &mut WriteTxn) {
        if self.commits % 6 == 1 {
            for n in 0..120 {
                let bytes = 10 + self.numbers.below(50);
                self.put(txn, n % 2, format!("/fill/{n:05}").into_bytes(), bytes);
            }
        } else {
            let from = format!("/fill/{:05}", self.numbers.below(120)).into_bytes();
            let (tree, count) = (self.numbers.below(2) as usize, self.numbers.below(40) as usize);
            self.delete_from(txn, tree, &from, count);
            self.some(txn, 3, 50, 50, 2);
        }
    }

    fn grow_or_shrink(&mut self, txn: &mut WriteTxn) {
        if self.commits % 5 == 1 {
            for n in 0..450_u32 {
                self.put(txn, 0, n.to_be_bytes().to_vec(), 2500);
            }
        } else {
            self.delete_from(txn, 0, &8_u32.to_be_bytes(), usize::MAX);
            for n in 0..8_u32 {
                self.put(txn, 0, n.to_be_bytes().to_vec(), 2500);
            }
        }
    }
}
