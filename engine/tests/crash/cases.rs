//! Single cases: torn meta pages, older meta pages, commits during a checkpoint, failed writes.

use std::sync::{Arc, Mutex};

use crate::common::{Model, Numbers, SPECS, assert_clean, assert_same, open, open_image, options};
use holdfast_engine::file::{FileError, MemFile, PageFile};
use holdfast_engine::tree::{Db, TreeId, WriteTxn};

/// A state that a crash may leave: from operation `meta` on it may be found, from `done` on an older one
/// may not.
struct Milestone {
    meta: usize,
    done: usize,
    model: Model,
}

fn change(txn: &mut WriteTxn, model: &mut Model, numbers: &mut Numbers) {
    let tree = numbers.below(SPECS.len() as u64) as usize;
    let mut key = format!("/key/{:04}", numbers.below(400)).into_bytes();
    if numbers.below(10) == 0 {
        key.extend(std::iter::repeat_n(b'l', numbers.below(900) as usize));
    }
    if numbers.below(3) == 0 {
        let near = model.trees[tree].range(key.clone()..).next().map(|(k, _)| k.clone());
        if let Some(key) = near {
            txn.delete(TreeId(tree as u8), &key).unwrap();
            model.trees[tree].remove(&key);
        }
        return;
    }
    let bytes = if numbers.below(8) == 0 { numbers.below(2500) } else { numbers.below(60) };
    let value = vec![numbers.below(256) as u8; bytes as usize];
    txn.put(TreeId(tree as u8), &key, &value).unwrap();
    model.trees[tree].insert(key, value);
}

fn publish_some(db: &Db, model: &mut Model, numbers: &mut Numbers) {
    let mut txn = db.write();
    for _ in 0..=numbers.below(25) {
        change(&mut txn, model, numbers);
    }
    model.mark += 1;
    txn.set_mark(model.mark);
    txn.publish().unwrap();
}

/// Works on a database and tells what states it has been through.
fn work(file: &Arc<MemFile>, page_size: u32, seed: u64, rounds: u64) -> Vec<Milestone> {
    let mut numbers = Numbers(seed);
    let mut model = Model::new();
    let db = open(file, page_size);
    let mut milestones = vec![Milestone { meta: 0, done: 0, model: model.clone() }];
    let mut pins = Vec::new();
    for _ in 0..rounds {
        publish_some(&db, &mut model, &mut numbers);
        if numbers.below(4) == 0 {
            pins.push(db.snapshot());
        }
        if numbers.below(3) == 0 {
            pins.clear();
        }
        if numbers.below(3) == 0 {
            db.checkpoint().unwrap();
            let done = file.operations();
            // The last two operations are the write of the meta page and its sync.
            milestones.push(Milestone { meta: done - 1, done, model: model.clone() });
        }
    }
    milestones
}

/// Opens what a crash has left, compares it, and works on.
fn assert_survives(image: Vec<u8>, page_size: u32, crash: usize, milestones: &[Milestone]) {
    let (_file, db) = open_image(image, page_size);
    let newest = milestones.iter().rposition(|m| m.done <= crash).unwrap();
    let may_be: Vec<&Milestone> = milestones[newest..].iter().filter(|m| m.meta <= crash).collect();
    let mark = db.stats().durable_mark;
    let found = may_be.iter().find(|m| m.model.mark == mark).unwrap_or_else(|| {
        panic!("a crash after operation {crash} leaves mark {mark}, which was no durable state then")
    });
    assert_same(&db.snapshot(), &found.model);
    assert_clean(&db);
    let mut model = found.model.clone();
    let mut numbers = Numbers(crash as u64);
    for _ in 0..3 {
        publish_some(&db, &mut model, &mut numbers);
    }
    db.checkpoint().unwrap();
    publish_some(&db, &mut model, &mut numbers);
    assert_same(&db.snapshot(), &model);
    assert_clean(&db);
}

/// The file grows, is emptied, and is cut; a crash at any of it loses nothing.
#[test]
fn while_the_file_is_cut() {
    let file = Arc::new(MemFile::new());
    file.keep_history();
    let db = open(&file, 4096);
    let mut model = Model::new();
    let mut milestones = vec![Milestone { meta: 0, done: 0, model: model.clone() }];
    let mut lengths = Vec::new();
    for round in 0..12_u32 {
        let mut txn = db.write();
        for n in 0..600_u32 {
            let key = n.to_be_bytes().to_vec();
            if round % 4 == 0 || n < 8 {
                let value = vec![round as u8; 2500];
                txn.put(TreeId(0), &key, &value).unwrap();
                model.trees[0].insert(key, value);
            } else {
                txn.delete(TreeId(0), &key).unwrap();
                model.trees[0].remove(&key);
            }
        }
        model.mark += 1;
        txn.set_mark(model.mark);
        txn.publish().unwrap();
        let before = file.operations();
        db.checkpoint().unwrap();
        // After the sync of the meta page the file may have been cut.
        let cut = usize::from(lengths.last().is_some_and(|&len| file.len() < len));
        let done = file.operations() - cut;
        assert!(done > before);
        lengths.push(file.len());
        milestones.push(Milestone { meta: done - 1, done, model: model.clone() });
    }
    assert!(lengths.windows(2).any(|w| w[1] < w[0]), "the file is cut: {lengths:?}");
    for crash in 0..=file.operations() {
        let mut numbers = Numbers(crash as u64);
        assert_survives(file.crash_image_at(crash, |_| numbers.below(2) == 0), 4096, crash, &milestones);
    }
}

/// A checkpoint broken off while its meta page was written: the torn page is told from a whole one, and the
/// older one, which is the durable state then, is used after a walk.
#[test]
fn a_torn_meta_page() {
    let file = Arc::new(MemFile::new());
    file.keep_history();
    let milestones = work(&file, 512, 5, 40);
    let last = milestones.last().unwrap();
    // Right before the sync: every one of the 8 sectors may be there or not.
    let crash = last.done - 1;
    for sectors in 0..256_u32 {
        let mut n = 0;
        let image = file.crash_image_at(crash, |_| {
            n += 1;
            sectors & (1 << (n - 1)) != 0
        });
        assert_survives(image, 512, crash, &milestones);
    }
}

#[test]
fn an_older_meta_page_that_the_log_does_not_reach_is_refused() {
    let file = Arc::new(MemFile::new());
    let milestones = work(&file, 512, 6, 40);
    let last = milestones.last().unwrap().model.mark;
    drop(milestones);
    let image = file.crash_image(|_| false);
    let open_with = |damage: &[u64], min_mark: u64| {
        let copy = Arc::new(MemFile::with_image(image.clone()));
        for &at in damage {
            copy.flip_bit(at, 3);
        }
        let mut options = options(512);
        options.min_mark = min_mark;
        Db::open(copy, SPECS, options).map(|db| db.stats().durable_mark)
    };
    assert_eq!(open_with(&[], last).unwrap(), last);
    let damaged: Vec<_> = [0, 4096].into_iter().map(|at| open_with(&[at + 16], last)).collect();
    let refused: Vec<_> = damaged.iter().filter_map(|r| r.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "the newer of the two was damaged once: {damaged:?}");
    let text = refused[0].to_string();
    assert!(text.contains("meta page") && text.contains("restore"), "{text}");
    let text = open_with(&[16, 4096 + 16], 0).unwrap_err().to_string();
    assert!(text.contains("both meta pages are damaged"), "{text}");
}

/// With a damaged newest meta page the older one will do only as long as its pages have not been used again.
#[test]
fn an_older_meta_page_is_used_only_with_all_of_its_pages() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let (mut model, mut numbers) = (Model::new(), Numbers(8));
    let mut states = Vec::new();
    for _ in 0..2 {
        for _ in 0..20 {
            publish_some(&db, &mut model, &mut numbers);
        }
        db.checkpoint().unwrap();
        states.push(model.clone());
    }
    let newest_damaged = |image: Vec<u8>| {
        let found: Vec<_> = [0, 4096]
            .into_iter()
            .map(|at| {
                let copy = Arc::new(MemFile::with_image(image.clone()));
                copy.flip_bit(at + 24, 0);
                Db::open(copy, SPECS, options(512))
            })
            .collect();
        found
            .into_iter()
            .find(|db| db.as_ref().map_or(true, |db| db.stats().durable_mark != states[1].mark))
            .unwrap()
    };
    let db_before = newest_damaged(file.image()).unwrap();
    assert_same(&db_before.snapshot(), &states[0]);
    assert_clean(&db_before);
    for _ in 0..20 {
        publish_some(&db, &mut model, &mut numbers);
    }
    let refused = newest_damaged(file.image()).err().unwrap().to_string();
    assert!(refused.contains("so is what the older one leads to"), "{refused}");
}

/// A file on which something happens during each sync.
struct Busy {
    file: Arc<MemFile>,
    during_sync: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl PageFile for Busy {
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> Result<(), FileError> {
        self.file.set_len(len)
    }
    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        self.file.bytes(offset, len)
    }
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.file.write_at(offset, parts)
    }
    fn sync(&self) -> Result<(), FileError> {
        self.file.sync()?;
        if let Some(work) = &mut *self.during_sync.lock().unwrap() {
            work();
        }
        Ok(())
    }
}

/// What is published while a checkpoint syncs does not touch a page that the checkpoint needs, nor one of
/// the checkpoint before.
#[test]
fn publishing_during_a_checkpoint() {
    let inner = Arc::new(MemFile::new());
    let file = Arc::new(Busy { file: Arc::clone(&inner), during_sync: Mutex::new(None) });
    let db = Db::open(Arc::clone(&file) as _, SPECS, options(512)).unwrap();
    let shared = Arc::new(Mutex::new((Model::new(), Numbers(4))));
    let publish = {
        let (db, shared) = (db.clone(), Arc::clone(&shared));
        move || {
            let (model, numbers) = &mut *shared.lock().unwrap();
            for _ in 0..3 {
                publish_some(&db, model, numbers);
            }
        }
    };
    for round in 0..60 {
        publish();
        let began = shared.lock().unwrap().0.clone();
        let images = Arc::new(Mutex::new(Vec::new()));
        *file.during_sync.lock().unwrap() = Some(Box::new({
            let (publish, images, inner) = (publish.clone(), Arc::clone(&images), Arc::clone(&inner));
            move || {
                publish();
                let mut numbers = Numbers(round);
                images.lock().unwrap().push(inner.crash_image(|_| numbers.below(2) == 0));
            }
        }));
        db.checkpoint().unwrap();
        *file.during_sync.lock().unwrap() = None;
        images.lock().unwrap().push(inner.crash_image(|_| true));
        for (n, image) in images.lock().unwrap().drain(..).enumerate() {
            let (_file, db) = open_image(image, 512);
            assert_clean(&db);
            if n > 0 {
                assert_same(&db.snapshot(), &began);
            }
        }
    }
}

/// After a write or a sync has failed, nothing more is written, and what was durable stays so.
#[test]
fn after_a_failure_nothing_more_is_written() {
    for fail in 0..60 {
        let file = Arc::new(MemFile::new());
        let db = open(&file, 512);
        let mut numbers = Numbers(fail);
        let mut model = Model::new();
        for _ in 0..10 {
            publish_some(&db, &mut model, &mut numbers);
        }
        db.checkpoint().unwrap();
        let mark = model.mark;
        file.fail_after(Some(fail));
        let mut last = Model::new();
        let mut failed = None;
        for n in 0..200 {
            last.clone_from(&model);
            let mut txn = db.write();
            let mut next = model.clone();
            for _ in 0..10 {
                change(&mut txn, &mut next, &mut numbers);
            }
            next.mark += 1;
            txn.set_mark(next.mark);
            match txn.publish() {
                Ok(_) => model = next,
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
            if n % 7 == 6
                && let Err(e) = db.checkpoint()
            {
                failed = Some(e);
                break;
            }
        }
        let failed = failed.expect("the planned failure comes").to_string();
        assert!(failed.contains("planned failure"), "{failed}");
        let operations = file.operations();
        assert!(db.checkpoint().unwrap_err().to_string().contains("planned failure"));
        let mut txn = db.write();
        assert!(txn.put(TreeId(0), b"a", b"b").is_err());
        assert!(txn.publish().is_err());
        assert_eq!(file.operations(), operations, "nothing was written after the failure");
        assert_same(&db.snapshot(), &model);
        drop(db);
        let (_file, db) = open_image(file.crash_image(|_| false), 512);
        assert!(db.stats().durable_mark >= mark);
        assert_clean(&db);
    }
}

/// A creation that a crash broke off: the first meta page arrived, and the length of the file did not.
#[test]
fn a_new_file_that_is_shorter_than_it_was_made() {
    let file = Arc::new(MemFile::new());
    drop(open(&file, 65536));
    for bytes in [4096, 7168, 8192, 65536, 100_000] {
        let (_file, db) = open_image(file.image()[..bytes].to_vec(), 65536);
        assert_same(&db.snapshot(), &Model::new());
        assert_clean(&db);
    }
}
