//! Decay: every flipped bit in a page that is in use is found and named, and never becomes a wrong answer.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Model, Numbers, assert_clean, open, options};
use holdfast_engine::file::MemFile;
use holdfast_engine::tree::{Db, TreeId, TreeRead};
use holdfast_engine::{EngineError, OpenError};

/// A database with several levels, overflow runs, long separators and a list of free pages.
fn build(page_size: u32) -> (Vec<u8>, Model) {
    let file = Arc::new(MemFile::new());
    let db = open(&file, page_size);
    let mut model = Model::new();
    let mut numbers = Numbers(3);
    for round in 0..6 {
        let mut txn = db.write();
        for n in 0..150_u64 {
            let tree = (n % 2) as usize;
            let mut key = format!("/{:05}", numbers.below(1000)).into_bytes();
            if n % 25 == 0 {
                key = [vec![b'z'; 700], key].concat();
            }
            if round > 2 && n % 3 == 0 {
                let near = model.trees[tree].range(key.clone()..).next().map(|(k, _)| k.clone());
                if let Some(key) = near {
                    txn.delete(TreeId(tree as u8), &key).unwrap();
                    model.trees[tree].remove(&key);
                }
                continue;
            }
            let value = vec![n as u8; if n % 20 == 0 { 2000 } else { 30 }];
            txn.put(TreeId(tree as u8), &key, &value).unwrap();
            model.trees[tree].insert(key, value);
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
    }
    assert_clean(&db);
    (file.image(), model)
}

/// Reads everything in every way. Each answer is right or an error that names a damaged page.
fn read_all(db: &Db, model: &Model) -> Vec<u64> {
    let mut named = Vec::new();
    let mut note = |e: EngineError| match e {
        EngineError::Corrupt(fault) => {
            assert!(!fault.tree.is_empty() && !fault.what.is_empty());
            named.push(fault.page);
        }
        other => panic!("{other}"),
    };
    let snapshot = db.snapshot();
    for (i, map) in model.trees.iter().enumerate() {
        let tree = TreeId(i as u8);
        for (key, value) in map {
            match snapshot.get(tree, key) {
                Ok(found) => assert_eq!(found, Some(value.as_slice())),
                Err(e) => {
                    if let EngineError::Corrupt(fault) = &e {
                        let inside = fault.from.as_ref().is_none_or(|from| from <= key)
                            && fault.to.as_ref().is_none_or(|to| key < to);
                        assert!(inside, "the key that was asked for is among those that the error tells");
                    }
                    note(e);
                }
            }
            match snapshot.count(tree, key, None) {
                Ok(count) => assert_eq!(count, map.range(key.clone()..).count() as u64),
                Err(e) => note(e),
            }
        }
        let mut cursor = snapshot.cursor(tree);
        let mut expected = map.iter();
        let walked: Result<(), EngineError> = (|| {
            cursor.seek_first()?;
            while let Some((key, value)) = cursor.entry()? {
                let (k, v) = expected.next().unwrap();
                assert_eq!((key, value), (k.as_slice(), v.as_slice()));
                cursor.next()?;
            }
            assert!(expected.next().is_none());
            Ok(())
        })();
        if let Err(e) = walked {
            note(e);
        }
    }
    named
}

fn flip_everywhere(page_size: u32, flips: usize) {
    let (image, model) = build(page_size);
    let (file, db) = common::open_image(image.clone(), page_size);
    let report = db.check();
    let page_bytes = u64::from(page_size);
    let high_water = db.stats().pages;
    let first = 8192 / page_bytes;
    drop((file, db));
    let mut numbers = Numbers(9);
    let mut in_use = 0;
    for page in first..high_water {
        let mut found_once = None;
        for flip in 0..flips {
            let byte = if flip < 4 { numbers.below(32) } else { numbers.below(page_bytes) };
            let copy = Arc::new(MemFile::with_image(image.clone()));
            copy.flip_bit(page * page_bytes + byte, numbers.below(8) as u8);
            let db = open(&copy, page_size);
            let report = db.check();
            let found = !report.is_clean();
            assert_eq!(*found_once.get_or_insert(found), found, "page {page}, byte {byte}");
            let named = read_all(&db, &model);
            for fault in report.faults.iter().map(|f| f.page).chain(named) {
                // A run is named by its first page.
                assert!(fault <= page && page < fault + 6, "page {page} is damaged, and {fault} is named");
            }
        }
        in_use += u64::from(found_once.unwrap());
    }
    assert_eq!(in_use, report.tree_pages + report.free_tree_pages, "every page in use was found");
}

#[test]
fn flipped_bits_with_small_pages() {
    flip_everywhere(512, 6);
}

#[test]
fn flipped_bits_with_usual_pages() {
    flip_everywhere(4096, 12);
}

/// Writing over damage answers with an error as well, and publishes nothing.
#[test]
fn writes_over_damage_are_errors() {
    let (image, model) = build(512);
    let high_water = common::open_image(image.clone(), 512).1.stats().pages;
    let mut refused = 0;
    for page in 16..high_water {
        let copy = Arc::new(MemFile::with_image(image.clone()));
        copy.flip_bit(page * 512 + 100, 1);
        let db = open(&copy, 512);
        let mut txn = db.write();
        let mut failed = false;
        for key in model.trees[0].keys() {
            if txn.put(TreeId(0), key, b"new").is_err() || txn.delete(TreeId(0), key).is_err() {
                failed = true;
                break;
            }
        }
        if failed {
            refused += 1;
            assert!(matches!(txn.publish(), Err(EngineError::Corrupt(_))));
            assert_eq!(db.stats().published_txn, db.stats().durable_txn);
        }
    }
    assert!(refused > 10);
}

#[test]
fn files_that_are_something_else() {
    let open =
        |image: Vec<u8>| Db::open(Arc::new(MemFile::with_image(image)), common::SPECS, options(4096)).err();
    assert!(matches!(open(vec![7; 100]), Some(OpenError::NotADatabase { .. })));
    assert!(matches!(open(vec![7; 1 << 20]), Some(OpenError::NotADatabase { .. })));
    let mut go = vec![0; 32768];
    go[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    let e = open(go).unwrap();
    assert!(matches!(e, OpenError::GoEtcd { .. }) && e.to_string().contains("import"), "{e}");
    let (image, _) = build(4096);
    let e = open(image[..image.len() / 2].to_vec()).unwrap();
    assert!(matches!(e, OpenError::Damaged { .. }) && e.to_string().contains("cut"), "{e}");
    assert!(open(Vec::new()).is_none());
    assert!(open(vec![0; 4096]).is_none(), "a creation that was broken off is begun again");
}

#[test]
fn options_that_cannot_be_used() {
    let open = |page_size: u32| Db::open(Arc::new(MemFile::new()), common::SPECS, options(page_size)).err();
    for page_size in [0, 256, 1000, 4097, 131_072] {
        assert!(matches!(open(page_size), Some(OpenError::Options { .. })));
    }
}
