//! Holdfast's engine: one tree in a mapped file. A commit is a publish and a checkpoint, which is two syncs: of the
//! pages, and of the meta page behind them.

use std::path::Path;
use std::sync::Arc;

use holdfast_engine::file::MappedFile;
use holdfast_engine::tree::{Db, DbOptions, Snapshot, TreeId, TreeRead, TreeSpec, WriteTxn};

use super::engine::{Engine, Outcome, Reader, Writer};

const TREE: TreeId = TreeId(0);

fn no_stamp(_: &[u8], _: &[u8]) -> u64 {
    0
}

static TREES: &[TreeSpec] = &[TreeSpec { name: "bench", stamp: no_stamp }];

/// The contender.
pub(crate) struct Holdfast(Db);

impl Engine for Holdfast {
    type Writer<'a> = WriteTxn;
    type Reader<'a> = Snapshot;

    fn open(folder: &Path) -> Outcome<Self> {
        let options = DbOptions::default();
        let file = MappedFile::open(&folder.join("db"), options.reserve_bytes)?;
        Ok(Self(Db::open(Arc::new(file), TREES, options)?))
    }

    fn write<T>(&self, work: impl FnOnce(&mut WriteTxn) -> Outcome<T>) -> Outcome<T> {
        let mut txn = self.0.write();
        let done = work(&mut txn)?;
        txn.publish()?;
        self.0.checkpoint()?;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&Snapshot) -> Outcome<T>) -> Outcome<T> {
        work(&self.0.snapshot())
    }
}

impl Writer for WriteTxn {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(Self::put(self, TREE, key, value)?)
    }

    fn delete(&mut self, key: &[u8]) -> Outcome<()> {
        Self::delete(self, TREE, key)?;
        Ok(())
    }
}

impl Reader for Snapshot {
    #[inline]
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(TreeRead::get(self, TREE, key)?.map(show))
    }

    #[inline]
    fn scan(&self, from: &[u8], limit: u64, mut show: impl FnMut(&[u8], &[u8])) -> Outcome<u64> {
        let mut cursor = self.cursor(TREE);
        cursor.seek(from)?;
        let mut shown = 0;
        while shown < limit {
            let Some((key, value)) = cursor.entry()? else { break };
            show(key, value);
            shown += 1;
            cursor.next()?;
        }
        Ok(shown)
    }
}
