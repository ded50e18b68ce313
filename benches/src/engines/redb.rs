//! redb with `Durability::Immediate`, which is its default: a commit is one sync; which pages were whole is told by
//! checksums after a crash, by reading everything.

use std::path::Path;

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};

use super::data::Key;
use super::engine::{CACHE_BYTES, Engine, Outcome, Reader, Writer};

type Bytes = &'static [u8];

const TABLE: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("bench");

/// The contender.
pub(crate) struct Redb(Database);

impl Engine for Redb {
    type Writer<'a> = Table<'a, Bytes, Bytes>;
    type Reader<'a> = ReadOnlyTable<Bytes, Bytes>;

    fn open(folder: &Path) -> Outcome<Self> {
        let db = Database::builder().set_cache_size(CACHE_BYTES).create(folder.join("db"))?;
        Ok(Self(db))
    }

    fn write<T>(&self, work: impl FnOnce(&mut Self::Writer<'_>) -> Outcome<T>) -> Outcome<T> {
        let txn = self.0.begin_write()?;
        let done = work(&mut txn.open_table(TABLE)?)?;
        txn.commit()?;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&Self::Reader<'_>) -> Outcome<T>) -> Outcome<T> {
        work(&self.0.begin_read()?.open_table(TABLE)?)
    }
}

impl Writer for Table<'_, Bytes, Bytes> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.insert(key, value)?;
        Ok(())
    }

    fn append<'d>(&mut self, entries: impl Iterator<Item = (Key, &'d [u8])>) -> Outcome<()> {
        let mut cursor = self.upper_bound_mut(std::ops::Bound::<&[u8]>::Unbounded)?;
        for (key, value) in entries {
            cursor.insert_before(key.bytes(), value)?;
        }
        Ok(cursor.close()?)
    }

    fn delete(&mut self, key: &[u8]) -> Outcome<()> {
        self.remove(key)?;
        Ok(())
    }
}

impl Reader for ReadOnlyTable<Bytes, Bytes> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        // The trait's method, as redb's own comparison does: it borrows where the type's own counts references.
        Ok(ReadableTable::get(self, key)?.map(|value| show(value.value())))
    }

    fn scan(&self, from: &[u8], limit: u64, mut show: impl FnMut(&[u8], &[u8])) -> Outcome<u64> {
        let mut shown = 0;
        for entry in ReadableTable::range(self, from..)? {
            let (key, value) = entry?;
            show(key.value(), value.value());
            shown += 1;
            if shown == limit {
                break;
            }
        }
        Ok(shown)
    }
}
