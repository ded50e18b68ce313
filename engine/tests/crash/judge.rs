//! Opens an image and says what it is worth.

use std::sync::Arc;

use holdfast_engine::file::{MemFile, PageFile};
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeRead};
use holdfast_engine::{EngineError, OpenError};

use crate::common::{Map, Model, Numbers, SPECS, options};
use crate::story::Story;

/// Why an image proves that something is wrong.
pub type Wrong = String;

/// What a restart on the image of a broken disk has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All data of this mark, without a fault.
    Whole { mark: u64 },
    /// The engine refused the file.
    RefusedAtOpen(String),
    /// The caller refused it: its log begins behind the mark.
    RefusedByLog { mark: u64 },
    /// It was opened; so many answers were errors that name a page, and all others were right.
    Faults { mark: u64, faults: usize },
}

/// Opens a file as a server would.
pub fn open(file: &Arc<MemFile>, page_size: usize, min_mark: u64) -> Result<Db, OpenError> {
    let options = DbOptions { min_mark, ..options(page_size as u32) };
    Db::open(Arc::clone(file) as Arc<dyn PageFile>, SPECS, options)
}

/// An image of an honest disk: there is one right answer.
pub fn exact(image: Vec<u8>, story: &Story, crash: usize, deep: bool) -> Result<(Db, Arc<Model>), Wrong> {
    let expected = story.history.expected(&image, crash)?;
    let promised = story.history.promised(crash);
    let file = Arc::new(MemFile::with_image(image));
    let db = open(&file, story.history.page_size, promised).map_err(|e| format!("refused: {e}"))?;
    let found = db.stats().durable_mark;
    if found != expected {
        return Err(format!("mark {found} was found, and not {expected}"));
    }
    let model = story.models.get(&found).ok_or_else(|| format!("mark {found} was never published"))?;
    same(&db, model, deep)?;
    clean(&db)?;
    Ok((db, Arc::clone(model)))
}

/// Nothing is wrong with structure, checksums, counts and free space.
pub fn clean(db: &Db) -> Result<(), Wrong> {
    let report = db.check();
    match report.faults.first() {
        None => Ok(()),
        Some(fault) => Err(format!("check finds {} faults, first: {fault}", report.faults.len())),
    }
}

/// Every entry of every tree is what the model has; `deep` looks at each in more than one way.
pub fn same(db: &Db, model: &Model, deep: bool) -> Result<(), Wrong> {
    let snapshot = db.snapshot();
    if snapshot.mark() != model.mark {
        return Err(format!("mark {} instead of {}", snapshot.mark(), model.mark));
    }
    for (n, map) in model.trees.iter().enumerate() {
        let mut faults = 0;
        compare_tree(&snapshot, n, map, deep, &mut faults)?;
        if faults > 0 {
            return Err(format!("{faults} reads of tree {n} fail"));
        }
    }
    Ok(())
}

/// Takes an answer: a fault that names a page is counted, everything else must be what is expected.
fn take<T: PartialEq + std::fmt::Debug>(
    answer: Result<T, EngineError>,
    expected: T,
    faults: &mut usize,
    what: impl FnOnce() -> String,
) -> Result<bool, Wrong> {
    match answer {
        Ok(found) if found == expected => Ok(true),
        Ok(_) => Err(format!("WRONG DATA: {}", what())),
        Err(EngineError::Corrupt(fault)) if !fault.what.is_empty() && !fault.tree.is_empty() => {
            *faults += 1;
            Ok(false)
        }
        Err(other) => Err(format!("{}: an error that names no page: {other}", what())),
    }
}

fn compare_tree(
    tree: &impl TreeRead,
    n: usize,
    map: &Map,
    deep: bool,
    faults: &mut usize,
) -> Result<(), Wrong> {
    let id = TreeId(n as u8);
    if tree.len(id) != map.len() as u64 {
        return Err(format!("WRONG DATA: tree {n} has {} entries instead of {}", tree.len(id), map.len()));
    }
    let mut cursor = tree.cursor(id);
    let mut expected = map.iter();
    let mut going = take(cursor.seek_first(), (), faults, || format!("seek in tree {n}"))?;
    while going {
        let next = expected.next().map(|(k, v)| (k.as_slice(), v.as_slice()));
        let what = || format!("tree {n}, entry {:?}", next.map(|(k, _)| k.escape_ascii().to_string()));
        take(cursor.entry(), next, faults, what)?;
        going = next.is_some() && take(cursor.next(), (), faults, what)?;
    }
    for (key, value) in map.iter().step_by(if deep { 1 } else { 9 }) {
        let what = || format!("tree {n}, key {}", key.escape_ascii());
        take(tree.get(id, key), Some(value.as_slice()), faults, what)?;
        if deep {
            let after = map.range(key.clone()..).count() as u64;
            take(tree.count(id, key, None), after, faults, || format!("count in {}", what()))?;
        }
    }
    if deep {
        let mut cursor = tree.cursor(id);
        let mut going = take(cursor.seek_last(), (), faults, || format!("seek to the end of tree {n}"))?;
        let mut expected = map.iter().rev();
        while going {
            let next = expected.next().map(|(k, v)| (k.as_slice(), v.as_slice()));
            let what =
                || format!("tree {n} backwards, {:?}", next.map(|(k, _)| k.escape_ascii().to_string()));
            take(cursor.entry(), next, faults, what)?;
            going = next.is_some() && take(cursor.prev(), (), faults, what)?;
        }
    }
    Ok(())
}

/// An image of a disk that has broken its promises: right answers or named faults. `log_start` is the mark from
/// which the caller's log can be replayed.
pub fn tolerant(image: Vec<u8>, story: &Story, log_start: u64) -> Result<Verdict, Wrong> {
    let file = Arc::new(MemFile::with_image(image));
    let db = match open(&file, story.history.page_size, log_start) {
        Ok(db) => db,
        Err(
            e @ (OpenError::Damaged { .. } | OpenError::NotADatabase { .. } | OpenError::NewerFormat { .. }),
        ) => {
            return Ok(Verdict::RefusedAtOpen(e.to_string()));
        }
        Err(other) => return Err(format!("refused for no good reason: {other}")),
    };
    let mark = db.stats().durable_mark;
    let model = story.models.get(&mark).ok_or_else(|| format!("mark {mark} was never published"))?;
    if mark < log_start {
        return Ok(Verdict::RefusedByLog { mark });
    }
    let faults = faults_of(&db, model)?;
    write_over(&db, model)?;
    Ok(if faults == 0 { Verdict::Whole { mark } } else { Verdict::Faults { mark, faults } })
}

fn faults_of(db: &Db, model: &Model) -> Result<usize, Wrong> {
    let snapshot = db.snapshot();
    let mut faults = 0;
    for (n, map) in model.trees.iter().enumerate() {
        compare_tree(&snapshot, n, map, true, &mut faults)?;
    }
    let report = db.check();
    if faults > 0 && report.is_clean() {
        return Err(format!("{faults} reads fail, and check finds nothing"));
    }
    Ok(faults + report.faults.len())
}

/// Writes on a file that may be damaged, until something is refused. What can be read must stay right.
fn write_over(db: &Db, model: &Model) -> Result<(), Wrong> {
    let mut model = model.clone();
    let mut numbers = Numbers(model.mark);
    for _ in 0..3 {
        if change_some(db, &mut model, &mut numbers).is_err() || db.checkpoint().is_err() {
            return Ok(());
        }
        let snapshot = db.snapshot();
        for (n, map) in model.trees.iter().enumerate() {
            compare_tree(&snapshot, n, map, false, &mut 0)?;
        }
    }
    Ok(())
}

/// Some puts and deletes in one transaction; the model follows when it is published.
pub fn change_some(db: &Db, model: &mut Model, numbers: &mut Numbers) -> Result<(), EngineError> {
    let mut next = model.clone();
    let mut txn = db.write();
    for _ in 0..12 {
        let tree = numbers.below(SPECS.len() as u64) as usize;
        let near = format!("/key/{:04}", numbers.below(300)).into_bytes();
        if numbers.below(3) == 0 {
            let key = next.trees[tree].range(near.clone()..).next().map_or(near, |(k, _)| k.clone());
            txn.delete(TreeId(tree as u8), &key)?;
            next.trees[tree].remove(&key);
        } else {
            let bytes = if numbers.below(6) == 0 { 1500 } else { 40 };
            let value = vec![numbers.next() as u8; bytes];
            txn.put(TreeId(tree as u8), &near, &value)?;
            next.trees[tree].insert(near, value);
        }
    }
    next.mark += 1;
    txn.set_mark(next.mark);
    txn.publish()?;
    *model = next;
    Ok(())
}

/// Goes on working after a restart: everything must stay as it should be.
pub fn works_on(db: &Db, model: &Model) -> Result<(), Wrong> {
    let mut model = model.clone();
    let mut numbers = Numbers(model.mark + 77);
    for round in 0..3 {
        change_some(db, &mut model, &mut numbers).map_err(|e| format!("a write after the restart: {e}"))?;
        if round != 1 {
            db.checkpoint().map_err(|e| format!("a checkpoint after the restart: {e}"))?;
        }
    }
    same(db, &model, false)?;
    clean(db)
}
