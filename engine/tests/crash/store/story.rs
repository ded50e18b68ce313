//! What the store lives through.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_engine::mvcc::{ApplyTxn, Store, trees};
use holdfast_engine::tree::Db;

use super::model::Model;
use crate::common::{Numbers, options};
use crate::disk::{Disk, Mutant};
use crate::image::History;

/// A life.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub page_size: u32,
    /// A checkpoint after so many commits.
    pub cadence: u64,
    pub commits: u64,
    pub seed: u64,
    /// It began with a crash.
    pub second: bool,
}

/// A life that was lived.
pub struct Life {
    pub plan: Plan,
    pub history: History,
    /// What was published, by mark.
    pub models: BTreeMap<u64, Model>,
}

pub fn live(plan: Plan) -> Life {
    go_on(plan, Vec::new(), Model::new())
}

/// Lives on from an image that holds `model`.
pub fn go_on(plan: Plan, base: Vec<u8>, mut model: Model) -> Life {
    let disk = Disk::new(base.clone(), Mutant::None);
    let db = Db::open(Arc::clone(&disk) as _, trees::SPECS, options(plan.page_size)).unwrap();
    let store = Store::open(db).unwrap();
    let base_mark = store.view().unwrap().mark();
    let mut numbers = Numbers(plan.seed);
    let mut models = BTreeMap::from([(base_mark, model.clone())]);
    let (mut promises, mut half_compacted) = (Vec::new(), 0);
    for mark in base_mark + 1..=base_mark + plan.commits {
        let mut txn = store.begin().unwrap();
        for _ in 0..numbers.below(3) {
            write_revision(&mut txn, &mut model, &mut numbers);
        }
        let oldest = model.compacted.max(1);
        if numbers.below(4) == 0 && model.revision > oldest + 4 {
            let target = oldest + 1 + numbers.below((model.revision - oldest) as u64) as i64;
            txn.compact(target).unwrap();
            model.compacted = target;
        }
        if numbers.below(2) == 0 {
            let more = txn.compact_step(1 + numbers.below(4) as usize).unwrap();
            half_compacted += usize::from(more == holdfast_engine::mvcc::CompactProgress::More);
        }
        // One row of a small tree for each commit.
        txn.aux_put(trees::LEASES, &mark.to_be_bytes(), b"lease").unwrap();
        txn.set_mark(mark);
        txn.publish().unwrap();
        models.insert(mark, model.clone());
        if mark.is_multiple_of(plan.cadence) {
            let done = store.db().checkpoint().unwrap();
            promises.push((disk.operations(), done.mark));
        }
    }
    assert!(plan.second || half_compacted > 5, "compactions are cut in the middle");
    let (ops, page_size) = (disk.take_record(), plan.page_size as usize);
    Life { plan, history: History { base, ops, page_size, base_mark, promises }, models }
}

pub const LEASES: [i64; 3] = [0, 7, -3];

/// One revision of a few writes, on the store and on the model.
pub fn write_revision(txn: &mut ApplyTxn, model: &mut Model, numbers: &mut Numbers) {
    txn.begin_revision();
    for _ in 0..=numbers.below(4) {
        let key = format!("k{:02}", numbers.below(25)).into_bytes();
        match numbers.below(10) {
            0 => delete(txn, model, &key, &[]),
            1 => {
                let end = format!("k{:02}", numbers.below(25)).into_bytes();
                delete(txn, model, &key, &end);
            }
            n => {
                let bytes = if n == 2 { 900 } else { numbers.below(40) };
                let (value, lease) =
                    (vec![numbers.next() as u8; bytes as usize], LEASES[numbers.below(3) as usize]);
                txn.put(&key, &value, lease).unwrap();
                model.put(&key, &value, lease);
            }
        }
    }
    model.end_revision();
    txn.end_revision();
    assert_eq!(txn.revision(), model.revision);
}

fn delete(txn: &mut ApplyTxn, model: &mut Model, key: &[u8], end: &[u8]) {
    let deleted = txn.delete_range(key, end, true).unwrap();
    assert_eq!(deleted.prev_kvs, model.delete(key, end));
}
