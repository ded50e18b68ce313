//! Opens an image as a store and compares it with the model.

use std::sync::Arc;

use holdfast_engine::EngineError;
use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{CompactProgress, MvccError, RangeQuery, Store, View, trees};
use holdfast_engine::tree::{Db, DbOptions};

use super::model::Model;
use super::story::{LEASES, Life, write_revision};
use crate::common::{Numbers, options};
use crate::judge::{Wrong, clean};

/// What the store holds after a crash must be what was published with the expected mark.
pub fn survives(image: Vec<u8>, life: &Life, crash: usize) -> Result<(Store, Model), Wrong> {
    let expected = life.history.expected(&image, crash)?;
    let file = Arc::new(MemFile::with_image(image));
    let min_mark = life.history.promised(crash);
    let options = DbOptions { min_mark, ..options(life.history.page_size as u32) };
    let db = Db::open(file, trees::SPECS, options).map_err(|e| format!("refused: {e}"))?;
    let store = Store::open(db).map_err(|e| format!("refused: {e}"))?;
    let view = store.view().map_err(told)?;
    if view.mark() != expected {
        return Err(format!("mark {} was found, and not {expected}", view.mark()));
    }
    let model = life.models.get(&expected).ok_or_else(|| format!("mark {expected} was never published"))?;
    same(&view, model)?;
    sound(&store)?;
    Ok((store, model.clone()))
}

/// The store on a file that has decayed: each answer is right, or an error that says where. Tells whether there was
/// an error.
pub fn decayed(image: Vec<u8>, life: &Life, log_start: u64) -> Result<bool, Wrong> {
    let options = DbOptions { min_mark: log_start, ..options(life.history.page_size as u32) };
    let Ok(db) = Db::open(Arc::new(MemFile::with_image(image)), trees::SPECS, options) else {
        return Ok(true);
    };
    let Ok(store) = Store::open(db) else {
        return Ok(true);
    };
    let Ok(view) = store.view() else {
        return Ok(true);
    };
    let model = life.models.get(&view.mark()).ok_or("a mark that was never published")?;
    let mut refused = false;
    for revision in model.compacted.max(1)..=model.revision {
        let all = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
        let expected = model.range(&all);
        match view.range(&all) {
            Ok(found) if found.kvs == expected.kvs && found.count == expected.count => {}
            Ok(_) => return Err(format!("WRONG DATA at revision {revision}")),
            Err(e) => refused |= named(&e)?,
        }
        match view.hash_kv(revision) {
            Ok(found) if found.hash == model.hash(revision) => {}
            Ok(_) => return Err(format!("WRONG DATA: the hash at revision {revision}")),
            Err(e) => refused |= named(&e)?,
        }
    }
    let clean = store.db().check().is_clean();
    if refused && clean {
        return Err("answers fail, and check finds nothing".to_owned());
    }
    Ok(!clean)
}

/// The error of a damaged page names it.
fn named(e: &MvccError) -> Result<bool, Wrong> {
    match e {
        MvccError::Engine(EngineError::Corrupt(fault)) if !fault.what.is_empty() => Ok(true),
        other => Err(format!("an error that names no page: {other}")),
    }
}

fn told(e: MvccError) -> Wrong {
    format!("an answer fails: {e}")
}

fn sound(store: &Store) -> Result<(), Wrong> {
    let report = store.view().and_then(|view| view.check()).map_err(told)?;
    if !report.is_clean() {
        return Err(format!("the trees contradict each other: {:?}", report.faults));
    }
    clean(store.db())
}

/// Everything that can be read, at every kept revision.
fn same(view: &View, model: &Model) -> Result<(), Wrong> {
    let position = (view.revision(), view.compact_revision());
    if position != (model.revision, model.compacted) {
        return Err(format!("revisions {position:?} instead of {:?}", (model.revision, model.compacted)));
    }
    for revision in model.compacted.max(1)..=model.revision {
        let all = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
        let (found, expected) = (view.range(&all).map_err(told)?, model.range(&all));
        if found.kvs != expected.kvs || found.count != expected.count {
            return Err(format!("WRONG DATA at revision {revision}"));
        }
        let count = view.range(&RangeQuery { count_only: true, ..all }).map_err(told)?.count;
        if count != expected.count {
            return Err(format!(
                "WRONG DATA: {count} keys at revision {revision} instead of {}",
                expected.count
            ));
        }
        let hash = view.hash_kv(revision).map_err(told)?.hash;
        if hash != model.hash(revision) {
            return Err(format!("WRONG DATA: the hash at revision {revision}"));
        }
        if revision > model.compacted
            && view.changes(revision, 1, usize::MAX).map_err(told)?.first() != model.changes(revision).first()
        {
            return Err(format!("WRONG DATA: the changes of revision {revision}"));
        }
    }
    if view.aux_len(trees::LEASES) != view.mark() {
        return Err(format!("WRONG DATA: {} rows of leases", view.aux_len(trees::LEASES)));
    }
    for lease in LEASES.into_iter().filter(|&lease| lease != 0) {
        if view.lease_keys(lease).map_err(told)? != model.lease_keys(lease) {
            return Err(format!("WRONG DATA: the keys of lease {lease}"));
        }
    }
    Ok(())
}

/// Goes on after a restart: the compaction that was cut ends as if nothing had happened, and writes follow.
pub fn finishes(store: &Store, mut model: Model) -> Result<(), Wrong> {
    loop {
        let mut txn = store.begin().map_err(told)?;
        let progress = txn.compact_step(3).map_err(told)?;
        txn.publish().map_err(told)?;
        if progress != CompactProgress::More {
            break;
        }
    }
    let view = store.view().map_err(told)?;
    let entries = view.aux_entries(trees::RECORDS).map_err(told)?;
    let records: Result<Vec<_>, _> = entries.map(|e| e.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect();
    if records.map_err(told)? != model.records() {
        return Err("WRONG DATA: the records that a finished compaction leaves".to_owned());
    }
    same(&view, &model)?;
    let mut numbers = Numbers(model.revision as u64);
    let mut txn = store.begin().map_err(told)?;
    for _ in 0..3 {
        write_revision(&mut txn, &mut model, &mut numbers);
    }
    txn.publish().map_err(told)?;
    store.db().checkpoint().map_err(|e| format!("a checkpoint after the restart: {e}"))?;
    same(&store.view().map_err(told)?, &model)?;
    sound(store)
}
