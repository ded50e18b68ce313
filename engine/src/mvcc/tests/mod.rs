//! Tests of the store as a whole; those of single codecs stand beside them.

#![allow(clippy::unwrap_used)]

mod compaction;
mod damage;
mod golden;
mod loading;
mod model;
mod oracle;
mod random;
mod ranges;

use super::{ApplyTxn, KeyValue, MvccError, RangeQuery, RangeResult, Store, trees};
use crate::file::{MemFile, PageFile};
use crate::tree::{Db, DbOptions};
use std::sync::Arc;

/// A store in a file in memory.
pub(super) struct TestStore {
    pub(super) file: Arc<dyn PageFile>,
    pub(super) store: Store,
}

impl TestStore {
    pub(super) fn new() -> Self {
        let file: Arc<dyn PageFile> = Arc::new(MemFile::new());
        let store = open(&file);
        Self { file, store }
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
        let report = self.store.db().check();
        assert!(report.is_clean(), "{:#?}", report.faults);
    }
}

fn open(file: &Arc<dyn PageFile>) -> Store {
    let options = DbOptions { page_size: 512, ..DbOptions::default() };
    Store::open(Db::open(Arc::clone(file), trees::SPECS, options).unwrap()).unwrap()
}

/// Keys of an answer, as text.
pub(super) fn keys(result: &RangeResult) -> Vec<String> {
    result.kvs.iter().map(|wire| text(KeyValue::decode(wire).unwrap().key)).collect()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
