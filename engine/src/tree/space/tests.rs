//! Which pages moving pages looks at.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::file::{FileError, MemFile, PageFile};
use crate::tree::{Db, DbOptions, TreeId, TreeSpec};

const PAGE: u64 = 512;
static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp: |_, _| 0 }];
const ONE: TreeId = TreeId(0);

/// A file that notes which pages are read.
struct Noting {
    file: MemFile,
    read: Mutex<BTreeSet<u64>>,
}

impl PageFile for Noting {
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> Result<(), FileError> {
        self.file.set_len(len)
    }
    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        self.read.lock().extend(offset / PAGE..(offset + len as u64).div_ceil(PAGE));
        self.file.bytes(offset, len)
    }
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.file.write_at(offset, parts)
    }
    fn sync(&self) -> Result<(), FileError> {
        self.file.sync()
    }
}

/// A sector that only an older root needs may be bad without harm to what goes on: the mover reads no page that is free
/// for the newest root, also where that stands in memory alone.
#[test]
fn the_mover_reads_no_page_that_is_held() {
    let file = Arc::new(Noting { file: MemFile::new(), read: Mutex::default() });
    let options = DbOptions { page_size: PAGE as u32, reserve_bytes: 1 << 26, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    let put = |numbers: std::ops::Range<u32>, byte: u8| {
        let mut txn = db.write();
        for n in numbers {
            txn.put(ONE, &n.to_be_bytes(), &[byte; 100]).unwrap();
        }
        txn.publish().unwrap();
    };
    for n in 0..40 {
        put(n * 100..n * 100 + 100, 1);
    }
    db.checkpoint().unwrap();
    let mut txn = db.write();
    for n in 0..2_500_u32 {
        txn.delete(ONE, &n.to_be_bytes()).unwrap();
    }
    txn.publish().unwrap();
    // Now the lower half is free, and is given back to whoever writes next only where nobody holds it.
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    let reader = db.snapshot();
    // The request is noticed before the put, so that it need not wait until what the put frees is durable.
    db.hurry_relocation();
    db.relocate_step(1).unwrap();
    put(3_600..4_000, 2);

    let held: BTreeSet<u64> = {
        let turn = db.0.take_turn();
        turn.space.held.fresh().flat_map(|run| run.start..run.start + run.pages).collect()
    };
    assert!(held.len() > 80, "{held:?}");
    file.read.lock().clear();
    let before = db.stats().published_txn;
    db.relocate_step(500).unwrap();
    assert!(db.stats().published_txn > before, "something was moved");
    let read = std::mem::take(&mut *file.read.lock());
    let lowest = *held.first().unwrap();
    assert!(
        read.iter().any(|page| *page > lowest && !held.contains(page)),
        "others beside them were looked at"
    );
    let both: Vec<&u64> = held.intersection(&read).collect();
    assert_eq!(both, Vec::<&u64>::new());
    drop(reader);
    assert!(db.check().is_clean());
}
