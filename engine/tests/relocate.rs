//! Pages move off the end of the file, which is cut; what they hold does not change.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{FIRST, Model, Numbers, SPECS, assert_clean, assert_same, open, open_image};
use holdfast_engine::file::{MemFile, PageFile};
use holdfast_engine::tree::{Db, Relocation, TreeId, TreeRead};

/// Fills the trees with keys and values of all lengths: also such as need runs, for the value, for the key, and for the
/// separators between long keys.
fn fill(db: &Db, model: &mut Model, numbers: &mut Numbers, entries: u64) {
    for batch in 0..entries / 50 {
        let mut txn = db.write();
        for _ in 0..50 {
            let tree = numbers.below(SPECS.len() as u64) as usize;
            let mut key = format!("/key/{:08}", numbers.below(1 << 30)).into_bytes();
            if numbers.below(10) == 0 {
                let long = numbers.below(1500) as usize;
                key.splice(5..5, std::iter::repeat_n(b'l', long));
            }
            let bytes = match numbers.below(20) {
                0 => numbers.below(9000),
                1 => numbers.below(2000),
                _ => numbers.below(80),
            };
            let value = vec![numbers.below(256) as u8; bytes as usize];
            txn.put(TreeId(tree as u8), &key, &value).unwrap();
            model.trees[tree].insert(key, value);
        }
        model.mark += 1;
        txn.set_mark(model.mark);
        txn.publish().unwrap();
        if batch % 8 == 7 {
            db.checkpoint().unwrap();
        }
    }
}

/// Deletes all but every `keep`th entry, scattered.
fn thin_out(db: &Db, model: &mut Model, keep: u64, numbers: &mut Numbers) {
    for tree in 0..SPECS.len() {
        let keys: Vec<Vec<u8>> = model.trees[tree].keys().cloned().collect();
        for some in keys.chunks(100) {
            let mut txn = db.write();
            for key in some {
                if numbers.below(keep) != 0 {
                    assert!(txn.delete(TreeId(tree as u8), key).unwrap());
                    model.trees[tree].remove(key);
                }
            }
            txn.publish().unwrap();
        }
    }
}

/// Runs steps and checkpoints until there is nothing to gain; `between` is called after each step. Returns the number of
/// steps.
fn settle(db: &Db, most_pages: u64, mut between: impl FnMut(&Db)) -> u64 {
    let mut steps = 0;
    for _ in 0..100 {
        loop {
            let before = db.stats().published_txn;
            let progress = db.relocate_step(most_pages).unwrap();
            if db.stats().published_txn != before {
                steps += 1;
                between(db);
            }
            if progress != Relocation::More {
                break;
            }
        }
        let stats = db.stats();
        if stats.published_txn == stats.durable_txn && !stats.wants_checkpoint {
            return steps;
        }
        db.checkpoint().unwrap();
    }
    panic!("it does not come to rest: {:?}", db.stats());
}

#[test]
fn an_idle_database_that_was_thinned_out_gets_small() {
    for (page_size, seed) in [(512, 1), (1024, 2), (4096, 3)] {
        let file = Arc::new(MemFile::new());
        let db = open(&file, page_size);
        let (mut model, mut numbers) = (Model::new(), Numbers(seed));
        fill(&db, &mut model, &mut numbers, 15_000);
        db.checkpoint().unwrap();
        let full = db.stats();
        thin_out(&db, &mut model, 10, &mut numbers);
        db.checkpoint().unwrap();
        let thinned = db.stats();
        let mut looked = 0;
        let steps = settle(&db, 32, |db| {
            looked += 1;
            if looked % 16 == 0 {
                assert_clean(db);
            }
        });
        assert!(steps > 3, "{steps} steps");
        let settled = db.stats();
        assert_same(&db.snapshot(), &model);
        assert_clean(&db);
        assert!(settled.pages < full.pages / 3, "full {full:?}\nthinned {thinned:?}\nsettled {settled:?}");
        let most = settled.pages_in_use + (settled.pages_in_use / 16).max(128) + 64;
        assert!(settled.pages <= most, "{settled:?}");
        assert!(file.len() <= (settled.pages * u64::from(page_size)) * 9 / 8 + (512 << 10), "{settled:?}");
        let (_file, db) = open_image(file.crash_image(|_| false), page_size);
        assert_same(&db.snapshot(), &model);
        assert_clean(&db);
    }
}

/// What is free comes to lie just above what is worth moving for, and what a checkpoint leaves of it just below.
#[test]
fn an_idle_database_comes_to_rest_at_the_limit_of_what_is_worth_it() {
    for seed in [6, 15] {
        let file = Arc::new(MemFile::new());
        let db = open(&file, 512);
        let (mut model, mut numbers) = (Model::new(), Numbers(seed));
        fill(&db, &mut model, &mut numbers, 15_000);
        db.checkpoint().unwrap();
        thin_out(&db, &mut model, 10, &mut numbers);
        db.checkpoint().unwrap();
        settle(&db, 32, |_| {});
        let txn = db.stats().durable_txn;
        assert_eq!(db.checkpoint().unwrap().txn, txn, "there is nothing to write any more");
        assert_clean(&db);
    }
}

#[test]
fn moving_makes_thin_leaves_dense() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 4096);
    let (mut model, mut numbers) = (Model::new(), Numbers(7));
    for batch in 0..400_u32 {
        let mut txn = db.write();
        for n in 0..50 {
            let (key, value) = ((batch * 50 + n).to_be_bytes().to_vec(), vec![1; 250]);
            txn.put(FIRST, &key, &value).unwrap();
            model.trees[0].insert(key, value);
        }
        txn.publish().unwrap();
    }
    db.checkpoint().unwrap();
    thin_out(&db, &mut model, 10, &mut numbers);
    db.checkpoint().unwrap();
    settle(&db, 64, |_| {});
    let stored: u64 = model.trees[0].iter().map(|(k, v)| (k.len() + v.len()) as u64).sum();
    let stats = db.stats();
    assert!(stats.pages_in_use * 4096 < stored * 13 / 10, "{stored} bytes are stored: {stats:?}");
    assert_same(&db.snapshot(), &model);
}

#[test]
fn nothing_moves_in_a_steady_state() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut numbers = Numbers(4);
    let overwrite = |numbers: &mut Numbers, puts: u64| {
        let mut txn = db.write();
        for _ in 0..puts {
            let key = numbers.below(20_000).to_be_bytes();
            txn.put(FIRST, &key, &[numbers.below(256) as u8; 60]).unwrap();
        }
        txn.publish().unwrap();
    };
    let mut moved = 0;
    for round in 0..400 {
        overwrite(&mut numbers, 500);
        for _ in 0..3 {
            overwrite(&mut numbers, 30);
            let before = db.stats().published_txn;
            db.relocate_step(64).unwrap();
            if round > 50 {
                moved += db.stats().published_txn - before;
            }
        }
        if round % 5 == 4 {
            db.checkpoint().unwrap();
        }
    }
    assert!(moved < 10, "{moved} steps have moved something: {:?}", db.stats());
    assert_clean(&db);
}

#[test]
fn while_writes_go_on_and_a_snapshot_is_read() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 1024);
    let (mut model, mut numbers) = (Model::new(), Numbers(5));
    fill(&db, &mut model, &mut numbers, 6000);
    db.checkpoint().unwrap();
    let mut pinned = Some((db.snapshot(), model.clone()));
    thin_out(&db, &mut model, 12, &mut numbers);
    let full = db.stats().pages;
    for round in 0..120 {
        fill(&db, &mut model, &mut numbers, 50);
        thin_out(&db, &mut model, 50, &mut numbers);
        let _ = db.relocate_step(16).unwrap();
        if round % 3 == 2 {
            db.checkpoint().unwrap();
        }
        if round % 20 == 0 {
            assert_same(&db.snapshot(), &model);
            assert_clean(&db);
            if let Some((snapshot, model)) = &pinned {
                assert_same(snapshot, model);
            }
        }
        if round == 60 {
            pinned = None;
        }
    }
    settle(&db, 16, |_| {});
    assert_same(&db.snapshot(), &model);
    assert_clean(&db);
    assert!(db.stats().pages < full / 2, "{full} before, {:?}", db.stats());
}

#[test]
fn a_crash_in_the_middle_loses_nothing() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let (mut model, mut numbers) = (Model::new(), Numbers(6));
    fill(&db, &mut model, &mut numbers, 3000);
    thin_out(&db, &mut model, 8, &mut numbers);
    db.checkpoint().unwrap();
    file.keep_history();
    let first = file.operations();
    db.hurry_relocation();
    settle(&db, 8, |_| {});
    assert_same(&db.snapshot(), &model);
    let last = file.operations();
    assert!(last > first + 20);
    for crash in (first..=last).step_by(3) {
        for keep in [0, 1, 2] {
            let mut choice = Numbers(crash as u64);
            let image = file.crash_image_at(crash, |_| match keep {
                0 => false,
                1 => true,
                _ => choice.below(2) == 0,
            });
            let (_file, db) = open_image(image, 512);
            assert_same(&db.snapshot(), &model);
            assert_clean(&db);
        }
    }
}

#[test]
fn what_a_snapshot_holds_is_told() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let put_all = |value: u8| {
        let mut txn = db.write();
        for n in 0..2000_u32 {
            txn.put(FIRST, &n.to_be_bytes(), &[value; 40]).unwrap();
        }
        txn.publish().unwrap();
    };
    put_all(1);
    db.checkpoint().unwrap();
    let before = db.check();
    put_all(2);
    let stats = db.stats();
    assert_eq!(stats.pages_held_by_durable, before.tree_pages, "the durable root needs all of its pages");
    assert_eq!(stats.pages_held_by_readers, 0);
    let pin = db.snapshot();
    let pinned_pages = db.check().tree_pages;
    put_all(3);
    let grown = db.stats();
    assert_eq!(grown.pages_held_by_readers, pinned_pages);
    // The durable root and the pinned one keep theirs; what comes and goes between is used again at once.
    for value in 0..40 {
        put_all(value);
        let stats = db.stats();
        assert_eq!(stats.pages_held_by_durable, before.tree_pages);
        assert_eq!(stats.pages_held_by_readers, pinned_pages);
        assert!(stats.pages <= grown.pages + pinned_pages, "{grown:?}\n{stats:?}");
    }
    for value in 0..20 {
        db.checkpoint().unwrap();
        put_all(value);
        assert!(db.stats().pages_held_by_readers <= pinned_pages + 16, "{:?}", db.stats());
        assert!(db.stats().pages <= grown.pages + 2 * pinned_pages + 64, "{grown:?}\n{:?}", db.stats());
    }
    drop(pin);
    put_all(9);
    assert_eq!(db.stats().pages_held_by_readers, 0);
    assert_clean(&db);
}

/// The list of free pages itself needs some of them, so the number that is ready goes up and down around the threshold.
#[test]
fn an_idle_database_wants_no_more_checkpoints_after_a_while() {
    for deleted in 60..140_u32 {
        let db = open(&Arc::new(MemFile::new()), 512);
        let mut txn = db.write();
        for n in 0..400_u32 {
            txn.put(FIRST, &n.to_be_bytes(), &[1; 600]).unwrap();
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
        let mut txn = db.write();
        for n in 0..deleted {
            txn.delete(FIRST, &(2 * n).to_be_bytes()).unwrap();
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
        let mut checkpoints = 0;
        while db.stats().wants_checkpoint {
            checkpoints += 1;
            assert!(checkpoints < 12, "{deleted} deleted: {:?}", db.stats());
            db.checkpoint().unwrap();
        }
    }
}

/// Runs steps until there is nothing more to do before a checkpoint, and then one.
fn steps_and_checkpoint(db: &Db) {
    while db.relocate_step(32).unwrap() == Relocation::More {}
    db.checkpoint().unwrap();
}

#[test]
fn a_request_waits_for_what_the_durable_root_holds() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut txn = db.write();
    for n in 0..4000_u32 {
        txn.put(FIRST, &n.to_be_bytes(), &[1; 600]).unwrap();
    }
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    let full = db.stats();
    let mut txn = db.write();
    for n in 0..3500_u32 {
        txn.delete(FIRST, &n.to_be_bytes()).unwrap();
    }
    txn.publish().unwrap();
    db.hurry_relocation();
    assert_eq!(db.relocate_step(32).unwrap(), Relocation::Waiting, "nothing is ready yet: {:?}", db.stats());
    // Fewer checkpoints than it takes to learn what is surplus.
    for _ in 0..3 {
        steps_and_checkpoint(&db);
    }
    assert!(db.stats().pages < full.pages / 2, "{full:?}\n{:?}", db.stats());
    assert_eq!(db.snapshot().len(FIRST), 500);
    assert_clean(&db);
}

#[test]
fn a_request_is_served_though_there_is_always_something_free() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 512);
    let mut numbers = Numbers(9);
    let mut moved = 0;
    for round in 0..60 {
        let mut txn = db.write();
        for _ in 0..4000 {
            txn.put(FIRST, &numbers.below(20_000).to_be_bytes(), &[numbers.below(256) as u8; 60]).unwrap();
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
        if round == 20 {
            db.hurry_relocation();
        }
        while db.relocate_step(64).unwrap() == Relocation::More {
            moved += u64::from(round > 30);
        }
    }
    assert_eq!(moved, 0, "steps long after the request: {:?}", db.stats());
    assert_clean(&db);
}
