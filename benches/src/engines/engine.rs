//! What a contender must be able to do.

use std::path::Path;

use super::data::Key;

/// The cache of those that have one of their own: that of redb's comparison. Larger than what is loaded.
pub(crate) const CACHE_BYTES: usize = 4 << 30;

/// Contenders have errors of their own; here they are only told.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A store of byte strings in order of keys, used as its documentation advises for speed without giving up durability.
pub(crate) trait Engine: Sized + Send + Sync {
    /// A write transaction.
    type Writer<'a>: Writer;
    /// A read transaction.
    type Reader<'a>: Reader;

    /// Opens the database in `folder`, which exists, or creates it.
    fn open(folder: &Path) -> Outcome<Self>;

    /// Runs `work` in a write transaction and commits it: when this returns, it survives a loss of power.
    fn write<T>(&self, work: impl FnOnce(&mut Self::Writer<'_>) -> Outcome<T>) -> Outcome<T>;

    /// Runs `work` in a read transaction.
    fn read<T>(&self, work: impl FnOnce(&Self::Reader<'_>) -> Outcome<T>) -> Outcome<T>;
}

/// A write transaction.
pub(crate) trait Writer {
    /// Inserts or replaces.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Inserts what comes in ascending order of keys, all of it behind what is there, by the way that the engine has
    /// for that.
    fn append<'d>(&mut self, mut entries: impl Iterator<Item = (Key, &'d [u8])>) -> Outcome<()> {
        entries.try_for_each(|(key, value)| self.put(key.bytes(), value))
    }

    /// Removes. Whether there was something may be unknown.
    fn delete(&mut self, key: &[u8]) -> Outcome<()>;
}

/// A read transaction.
pub(crate) trait Reader {
    /// Shows the value of a key, when there is one.
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>>;

    /// Shows entries from `from` on, `limit` at most, and returns how many.
    fn scan(&self, from: &[u8], limit: u64, show: impl FnMut(&[u8], &[u8])) -> Outcome<u64>;
}
