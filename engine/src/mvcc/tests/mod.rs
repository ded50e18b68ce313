//! Tests of the store as a whole; those of single codecs stand beside them.

#![allow(clippy::unwrap_used)]

mod compaction;
mod cost;
mod damage;
mod golden;
mod loading;
mod long;
mod model;
mod ops;
mod oracle;
mod random;
mod ranges;
mod repair;

use super::{ApplyTxn, KeyValue, MvccError, RangeQuery, RangeResult, RangeStream, Store, View, trees};
use crate::file::{MemFile, PageFile};
use crate::tree::{Db, DbOptions};
use std::sync::Arc;

/// A store in a file in memory.
pub(super) struct TestStore {
    pub(super) file: Arc<MemFile>,
    pub(super) store: Store,
}

impl TestStore {
    pub(super) fn new() -> Self {
        let file = Arc::new(MemFile::new());
        let store = open(Arc::<MemFile>::clone(&file));
        Self { file, store }
    }

    /// Opens the store again from an image of its file.
    pub(super) fn reopen(&mut self, image: impl FnOnce(&MemFile) -> Vec<u8>) {
        self.file = Arc::new(MemFile::with_image(image(&self.file)));
        self.store = open(Arc::<MemFile>::clone(&self.file));
    }

    /// Writes one revision.
    pub(super) fn write(&self, write: impl FnOnce(&mut ApplyTxn)) -> i64 {
        let mut txn = self.store.begin().unwrap();
        txn.begin_revision();
        write(&mut txn);
        txn.end_revision();
        let revision = txn.revision();
        txn.publish().unwrap();
        revision
    }

    pub(super) fn put(&self, key: &str, value: &str) -> i64 {
        self.write(|txn| txn.put(key.as_bytes(), value.as_bytes(), 0).unwrap())
    }

    pub(super) fn delete(&self, key: &str) -> i64 {
        self.write(|txn| drop(txn.delete_range(key.as_bytes(), b"", false).unwrap()))
    }

    pub(super) fn compact(&self, revision: i64) -> Result<(), MvccError> {
        let mut txn = self.store.begin().unwrap();
        txn.compact(revision)?;
        txn.publish()
    }

    /// Runs compaction to its end, in steps of `rows`, each in a transaction of its own.
    pub(super) fn finish_compaction(&self, rows: usize) {
        loop {
            let mut txn = self.store.begin().unwrap();
            let progress = txn.compact_step(rows).unwrap();
            txn.publish().unwrap();
            assert!(!matches!(progress, super::CompactProgress::Held { .. }), "a long read is in the way");
            if progress != super::CompactProgress::More {
                return;
            }
        }
    }

    pub(super) fn range(&self, query: &RangeQuery<'_>) -> Result<RangeResult, MvccError> {
        self.store.view().unwrap().range(query)
    }

    pub(super) fn hash(&self, revision: i64) -> u32 {
        self.store.view().unwrap().hash_kv(revision).unwrap().hash
    }

    #[track_caller]
    pub(super) fn assert_clean(&self) {
        let report = self.store.view().unwrap().check().unwrap();
        assert!(report.is_clean(), "{:#?}", report.faults);
        assert_eq!(self.store.check().unwrap(), report, "in chunks");
        let report = self.store.db().check();
        assert!(report.is_clean(), "{:#?}", report.faults);
    }
}

fn open(file: Arc<dyn PageFile>) -> Store {
    let options = DbOptions { page_size: 512, ..DbOptions::default() };
    Store::open(Db::open(file, trees::SPECS, options).unwrap()).unwrap()
}

#[test]
fn handles_can_be_sent_to_other_threads() {
    fn send<T: Send>() {}
    fn share<T: Send + Sync + 'static>() {}
    send::<ApplyTxn>();
    send::<RangeStream>();
    share::<Store>();
    share::<View>();
    share::<MvccError>();
}

/// Keys of an answer, as text.
pub(super) fn keys(result: &RangeResult) -> Vec<String> {
    result.kvs.iter().map(|wire| text(KeyValue::decode(wire).unwrap().key)).collect()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
