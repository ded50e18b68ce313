//! Several named trees of byte strings in one file: one writer, any number of readers.
//!
//! A [`Db`] holds the trees of a table of [`TreeSpec`]s. A [`WriteTxn`] changes any of them and publishes
//! all of it at once; a [`Snapshot`] pins the newest published root and reads it for as long as it lives,
//! without a lock, whatever is written meanwhile. [`Db::checkpoint`] makes the newest published root
//! survive a crash; until then the caller's log is what makes writes durable, and the *mark* (the caller's
//! number, published together with the data) says where in that log a root stands.

mod ahead;
mod checkpoint;
mod cursor;
mod db;
mod dirty;
mod edit;
#[cfg(all(test, loom))]
mod loom_pins;
mod open;
mod pages;
mod place;
mod read;
mod readers;
mod relocate;
mod repack;
mod root;
mod scrub;
mod snapshot;
mod space;
mod stats;
#[cfg(test)]
mod tests;
mod together;
mod verified;
mod write;

pub use cursor::Cursor;
pub use db::{Db, TurnObserver, TurnUse};
pub use relocate::Relocation;
pub use scrub::{ScrubPlace, ScrubStep};
pub use snapshot::Snapshot;
pub use stats::{Checkpoint, DbStats};
pub use write::WriteTxn;

pub(crate) use ahead::stepped as read_ahead;
pub(crate) use db::Shared;
pub(crate) use pages::{Pages, Reader};
pub(crate) use read::TreeView;
pub(crate) use root::TreeRoot;
pub(crate) use space::{Space, free_stamp};

use crate::error::EngineError;

/// One of the trees of a database: its place in the table of specs that the database was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub u8);

/// Computes the stamp of an entry: see [`TreeSpec::stamp`].
pub type StampFn = fn(key: &[u8], value: &[u8]) -> u64;

/// An entry: key and value.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// What the engine must know of a tree.
#[derive(Debug, Clone, Copy)]
pub struct TreeSpec {
    /// Name in the file: 1 to 22 bytes, never changed and never used again for something else.
    pub name: &'static str,
    /// The stamp of an entry, a number such as its revision. Parents keep the greatest stamp below each
    /// child, so that a cursor can skip whole subtrees ([`Cursor::next_stamped`]). Must be a function of
    /// its arguments alone.
    pub stamp: StampFn,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Bytes in a page of a database that is created: a power of two from 512 to 65536. A database that
    /// exists keeps the page size it has.
    pub page_size: u32,
    /// The file will not be grown beyond this many bytes.
    pub reserve_bytes: u64,
    /// When the newest meta page is damaged, the older one is used only if its mark is at least this (what
    /// the caller's log can still replay from), and all of its pages are whole.
    pub min_mark: u64,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self { page_size: 4096, reserve_bytes: 1 << 40, min_mark: 0 }
    }
}

/// Reading, which a [`Snapshot`] and a [`WriteTxn`] (it sees its own writes) have in common.
///
/// # Panics
///
/// The methods that take a [`TreeId`] panic when it is outside the table of specs.
pub trait TreeRead {
    /// The value of `key`, borrowed from the file (or from the transaction).
    fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, EngineError>;

    /// Gives the value of each key to `found`, with the key's place among `keys`, in their order. Faster than as
    /// many calls of [`TreeRead::get`] when the pages are not in the processor's caches, because the look-ups
    /// wait for memory together.
    fn get_each<'s, K: AsRef<[u8]>>(
        &'s self,
        tree: TreeId,
        keys: &[K],
        found: impl FnMut(usize, Option<&'s [u8]>),
    ) -> Result<(), EngineError>;

    /// A cursor before the first entry.
    fn cursor(&self, tree: TreeId) -> Cursor<'_>;

    /// Number of entries. Costs nothing.
    fn len(&self, tree: TreeId) -> u64;

    /// True when the tree has no entries.
    fn is_empty(&self, tree: TreeId) -> bool {
        self.len(tree) == 0
    }

    /// Number of entries in `[from, to)`, without an end when `to` is `None`. Costs two descents.
    fn count(&self, tree: TreeId, from: &[u8], to: Option<&[u8]>) -> Result<u64, EngineError>;

    /// The caller's number that was published with this root.
    fn mark(&self) -> u64;
}
