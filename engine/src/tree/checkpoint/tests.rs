//! A panic in the middle of a checkpoint is a failure that stays.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::EngineError;
use crate::file::{FileError, MemFile, PageFile};
use crate::tree::{Db, DbOptions, TreeId, TreeRead as _, TreeSpec};

static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp: |_, _| 0 }];
const ONE: TreeId = TreeId(0);

/// A file that panics where it is asked to do something for the so-and-so-manieth time.
struct Fragile {
    file: MemFile,
    /// Operations that still succeed.
    left: AtomicU64,
}

impl Fragile {
    fn operation(&self) {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        assert!(left > 0, "planned");
    }
}

impl PageFile for Fragile {
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> Result<(), FileError> {
        self.operation();
        self.file.set_len(len)
    }
    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        self.file.bytes(offset, len)
    }
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.operation();
        self.file.write_at(offset, parts)
    }
    fn sync(&self) -> Result<(), FileError> {
        self.operation();
        self.file.sync()
    }
}

fn put(db: &Db, numbers: std::ops::Range<u32>) -> Result<u64, EngineError> {
    let mut txn = db.write();
    for n in numbers {
        txn.put(ONE, &n.to_be_bytes(), &[7; 100])?;
    }
    txn.publish()
}

/// A database whose next checkpoint writes pages of the free tree, a meta page, and cuts the file.
fn shrunk() -> (Arc<Fragile>, Db) {
    let file = Arc::new(Fragile { file: MemFile::new(), left: AtomicU64::new(u64::MAX) });
    let options = DbOptions { page_size: 512, reserve_bytes: 1 << 26, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    put(&db, 0..200).unwrap();
    db.checkpoint().unwrap();
    put(&db, 100..300).unwrap();
    file.set_len(file.len() + (8 << 20)).unwrap();
    (file, db)
}

#[test]
fn a_checkpoint_that_a_panic_breaks_off_is_the_last() {
    let (file, db) = shrunk();
    let before = u64::MAX / 2;
    file.left.store(before, Ordering::Relaxed);
    let long = file.len();
    db.checkpoint().unwrap();
    let operations = before - file.left.load(Ordering::Relaxed);
    assert!(
        operations >= 5 && file.len() < long,
        "a page, two syncs, the meta page and the cut: {operations}"
    );

    for survived in 0..operations {
        let (file, db) = shrunk();
        file.left.store(survived, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| db.checkpoint())).is_err(), "{survived}");
        file.left.store(u64::MAX, Ordering::Relaxed);
        let refused = put(&db, 0..1);
        assert!(matches!(refused, Err(EngineError::Poisoned(_))), "{survived}: {refused:?}");
        let refused = db.checkpoint();
        assert!(matches!(refused, Err(EngineError::Poisoned(_))), "{survived}: {refused:?}");
        assert!(refused.unwrap_err().to_string().contains("broken off by a panic"));
        assert_eq!(
            db.snapshot().get(ONE, &299_u32.to_be_bytes()).unwrap(),
            Some(&[7; 100][..]),
            "reads go on"
        );
    }
}

/// Also whoever waits for the turn at that moment must find the database closed to writes.
#[test]
fn a_panic_in_a_turn_counts_before_the_turn_is_given_back() {
    let (_, db) = shrunk();
    let broken = catch_unwind(AssertUnwindSafe(|| {
        let _turn = db.0.take_turn();
        panic!("planned");
    }));
    assert!(broken.is_err());
    let refused = put(&db, 0..1);
    assert!(matches!(refused, Err(EngineError::Poisoned(_))), "{refused:?}");
}
