//! LMDB through heed, in its default mode: no writable map; a commit syncs the pages, then writes the meta page through
//! a descriptor that syncs each write.
#![allow(unsafe_code)]

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, PutFlags, RoTxn, RwTxn, WithTls};

use super::data::Key;
use super::engine::{Engine, Outcome, Reader, Writer};

/// Addresses that are reserved for the file: more than any run needs.
const MAP_BYTES: usize = 1 << 40;

type Table = Database<'static, Bytes, Bytes>;

/// The contender.
pub(crate) struct Lmdb {
    env: Env,
    table: Table,
}

/// A write transaction and the table.
pub(crate) struct LmdbWriter<'a> {
    txn: RwTxn<'a>,
    table: Table,
}

/// A read transaction and the table.
pub(crate) struct LmdbReader<'a> {
    txn: RoTxn<'a, WithTls>,
    table: Table,
}

impl Engine for Lmdb {
    type Writer<'a> = LmdbWriter<'a>;
    type Reader<'a> = LmdbReader<'a>;

    fn open(folder: &Path) -> Outcome<Self> {
        // SAFETY: the file is in a folder of this run, which nobody else opens or changes while it is mapped.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).open(folder)? };
        let table = env
            .create_databases_and_commit(env.write_txn()?, |opener, txn| {
                opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit();
        Ok(Self { env, table })
    }

    fn write<T>(&self, work: impl FnOnce(&mut LmdbWriter<'_>) -> Outcome<T>) -> Outcome<T> {
        let mut writer = LmdbWriter { txn: self.env.write_txn()?, table: self.table };
        let done = work(&mut writer)?;
        writer.txn.commit()?;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&LmdbReader<'_>) -> Outcome<T>) -> Outcome<T> {
        let txn = self.env.read_txn()?;
        work(&LmdbReader { txn, table: self.table })
    }
}

impl Writer for LmdbWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.table.put(&mut self.txn, key, value)?)
    }

    fn append<'d>(&mut self, entries: impl Iterator<Item = (Key, &'d [u8])>) -> Outcome<()> {
        for (key, value) in entries {
            self.table.put_with_flags(&mut self.txn, PutFlags::APPEND, key.bytes(), value)?;
        }
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Outcome<()> {
        self.table.delete(&mut self.txn, key)?;
        Ok(())
    }
}

impl Reader for LmdbReader<'_> {
    #[inline]
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.table.get(&self.txn, key)?.map(show))
    }

    #[inline]
    fn scan(&self, from: &[u8], limit: u64, mut show: impl FnMut(&[u8], &[u8])) -> Outcome<u64> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let mut shown = 0;
        for entry in self.table.range(&self.txn, &range)? {
            let (key, value) = entry?;
            show(key, value);
            shown += 1;
            if shown == limit {
                break;
            }
        }
        Ok(shown)
    }
}
