//! fjall, a log-structured merge tree: a write transaction is a batch, made durable by `PersistMode::SyncAll` of its
//! journal, which is one sync. What the journal holds is sorted into tables in the background.

use std::mem;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot};

use super::data::Key;
use super::engine::{CACHE_BYTES, Engine, Outcome, Reader, Writer};

/// Changes of one batch. A greater transaction goes in several, since a batch stays in memory as a whole, twice; only
/// the last of them is synced.
const BATCH_CHANGES: usize = 100_000;

/// The contender.
pub(crate) struct Fjall {
    db: Database,
    keyspace: Keyspace,
}

/// A batch that is being filled.
pub(crate) struct FjallWriter<'a> {
    of: &'a Fjall,
    batch: OwnedWriteBatch,
}

/// A snapshot and what it is of.
pub(crate) struct FjallReader<'a> {
    snapshot: Snapshot,
    keyspace: &'a Keyspace,
}

impl Engine for Fjall {
    type Writer<'a> = FjallWriter<'a>;
    type Reader<'a> = FjallReader<'a>;

    fn open(folder: &Path) -> Outcome<Self> {
        let db = Database::builder(folder.join("db")).cache_size(CACHE_BYTES as u64).open()?;
        let keyspace = db.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Self { db, keyspace })
    }

    fn write<T>(&self, work: impl FnOnce(&mut FjallWriter<'_>) -> Outcome<T>) -> Outcome<T> {
        let mut writer = FjallWriter { of: self, batch: self.db.batch() };
        let done = work(&mut writer)?;
        writer.batch.commit()?;
        self.db.persist(PersistMode::SyncAll)?;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&FjallReader<'_>) -> Outcome<T>) -> Outcome<T> {
        work(&FjallReader { snapshot: self.db.snapshot(), keyspace: &self.keyspace })
    }
}

impl FjallWriter<'_> {
    fn commit_if_full(&mut self) -> Outcome<()> {
        if self.batch.len() >= BATCH_CHANGES {
            mem::replace(&mut self.batch, self.of.db.batch()).commit()?;
        }
        Ok(())
    }
}

impl Writer for FjallWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.batch.insert(&self.of.keyspace, key, value);
        self.commit_if_full()
    }

    fn append<'d>(&mut self, entries: impl Iterator<Item = (Key, &'d [u8])>) -> Outcome<()> {
        let mut ingestion = self.of.keyspace.start_ingestion()?;
        for (key, value) in entries {
            ingestion.write(key.bytes(), value)?;
        }
        Ok(ingestion.finish()?)
    }

    fn delete(&mut self, key: &[u8]) -> Outcome<()> {
        self.batch.remove(&self.of.keyspace, key);
        self.commit_if_full()
    }
}

impl Reader for FjallReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.snapshot.get(self.keyspace, key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], limit: u64, mut show: impl FnMut(&[u8], &[u8])) -> Outcome<u64> {
        let mut shown = 0;
        for entry in self.snapshot.range(self.keyspace, from..) {
            let (key, value) = entry.into_inner()?;
            show(&key, &value);
            shown += 1;
            if shown == limit {
                break;
            }
        }
        Ok(shown)
    }
}
