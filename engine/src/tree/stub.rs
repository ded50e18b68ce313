//! A first body behind the interface: ordered maps in memory, cloned at publish. Nothing reaches the file.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use super::{Checkpoint, DbOptions, DbStats, Entry, TreeId, TreeRead, TreeSpec};
use crate::check::CheckReport;
use crate::error::{EngineError, OpenError};
use crate::file::PageFile;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
struct Root {
    txn: u64,
    mark: u64,
    trees: Vec<Arc<Map>>,
}

struct Shared {
    specs: &'static [TreeSpec],
    root: ArcSwap<Root>,
    durable: Mutex<Checkpoint>,
    writing: Mutex<bool>,
    written: Condvar,
}

/// A database: several trees in one file. Cloning it is cheap and gives the same database.
#[derive(Clone)]
pub struct Db(Arc<Shared>);

/// One published root, pinned for as long as this lives.
pub struct Snapshot {
    shared: Arc<Shared>,
    root: Arc<Root>,
}

/// The one write transaction at a time. Dropping it without [`WriteTxn::publish`] discards its changes.
pub struct WriteTxn {
    shared: Arc<Shared>,
    root: Root,
}

/// A place in a tree: on an entry, before the first, or after the last.
#[derive(Clone)]
pub struct Cursor<'a> {
    map: &'a Map,
    stamp: fn(&[u8], &[u8]) -> u64,
    at: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Start,
    Entry(&'a [u8], &'a [u8]),
    End,
}

impl Db {
    /// Opens the database in `file`, or creates it when the file is empty.
    pub fn open(
        _file: Arc<dyn PageFile>,
        trees: &'static [TreeSpec],
        _options: DbOptions,
    ) -> Result<Self, OpenError> {
        let root = Root { txn: 1, mark: 0, trees: trees.iter().map(|_| Arc::default()).collect() };
        Ok(Self(Arc::new(Shared {
            specs: trees,
            root: ArcSwap::from_pointee(root),
            durable: Mutex::new(Checkpoint { txn: 1, mark: 0 }),
            writing: Mutex::new(false),
            written: Condvar::new(),
        })))
    }

    /// Pins the newest published root.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { shared: Arc::clone(&self.0), root: self.0.root.load_full() }
    }

    /// Begins the write transaction, waiting until the one before it is over.
    pub fn write(&self) -> WriteTxn {
        let mut writing = self.0.writing.lock();
        while *writing {
            self.0.written.wait(&mut writing);
        }
        *writing = true;
        let mut root = Root::clone(&self.0.root.load());
        root.txn += 1;
        WriteTxn { shared: Arc::clone(&self.0), root }
    }

    /// Makes the newest published root durable. May run on any thread beside write transactions.
    pub fn checkpoint(&self) -> Result<Checkpoint, EngineError> {
        let root = self.0.root.load();
        let done = Checkpoint { txn: root.txn, mark: root.mark };
        *self.0.durable.lock() = done;
        Ok(done)
    }

    /// Figures, without a walk.
    pub fn stats(&self) -> DbStats {
        let durable = *self.0.durable.lock();
        DbStats {
            page_size: 4096,
            published_txn: self.0.root.load().txn,
            durable_txn: durable.txn,
            durable_mark: durable.mark,
            ..DbStats::default()
        }
    }

    /// Walks everything and tells what is wrong.
    pub fn check(&self) -> CheckReport {
        let entries = self.0.root.load().trees.iter().map(|t| t.len() as u64).sum();
        CheckReport { entries, ..CheckReport::default() }
    }
}

fn range_count(map: &Map, from: &[u8], to: Option<&[u8]>) -> u64 {
    let end = match to {
        Some(to) if to <= from => return 0,
        Some(to) => Bound::Excluded(to),
        None => Bound::Unbounded,
    };
    map.range::<[u8], _>((Bound::Included(from), end)).count() as u64
}

macro_rules! tree_read {
    ($type:ty) => {
        impl TreeRead for $type {
            fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, EngineError> {
                Ok(self.root.trees[tree.0 as usize].get(key).map(Vec::as_slice))
            }
            fn cursor(&self, tree: TreeId) -> Cursor<'_> {
                let stamp = self.shared.specs[tree.0 as usize].stamp;
                Cursor { map: &self.root.trees[tree.0 as usize], stamp, at: Place::Start }
            }
            fn len(&self, tree: TreeId) -> u64 {
                self.root.trees[tree.0 as usize].len() as u64
            }
            fn count(&self, tree: TreeId, from: &[u8], to: Option<&[u8]>) -> Result<u64, EngineError> {
                Ok(range_count(&self.root.trees[tree.0 as usize], from, to))
            }
            fn mark(&self) -> u64 {
                self.root.mark
            }
        }
    };
}

tree_read!(Snapshot);
tree_read!(WriteTxn);

impl Snapshot {
    /// Number of the pinned transaction.
    pub fn txn(&self) -> u64 {
        self.root.txn
    }
}

impl WriteTxn {
    /// Number that this transaction will be published under.
    pub fn txn(&self) -> u64 {
        self.root.txn
    }

    /// Inserts the entry, or replaces its value.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        Arc::make_mut(&mut self.root.trees[tree.0 as usize]).insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    /// Removes the entry; false when there is none.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<bool, EngineError> {
        Ok(Arc::make_mut(&mut self.root.trees[tree.0 as usize]).remove(key).is_some())
    }

    /// Sets the caller's number that is published with this transaction.
    pub fn set_mark(&mut self, mark: u64) {
        self.root.mark = mark;
    }

    /// Shows the changes to readers, all at once, and returns the transaction's number. They are not
    /// durable before a [`Db::checkpoint`].
    pub fn publish(self) -> Result<u64, EngineError> {
        self.shared.root.store(Arc::new(self.root.clone()));
        Ok(self.root.txn)
    }
}

impl Drop for WriteTxn {
    fn drop(&mut self) {
        *self.shared.writing.lock() = false;
        self.shared.written.notify_one();
    }
}

impl<'a> Cursor<'a> {
    fn forward(&mut self, from: Bound<&[u8]>) {
        let mut range = self.map.range::<[u8], _>((from, Bound::Unbounded));
        self.at = range.next().map_or(Place::End, |(k, v)| Place::Entry(k, v));
    }

    fn backward(&mut self, to: Bound<&[u8]>) {
        let mut range = self.map.range::<[u8], _>((Bound::Unbounded, to));
        self.at = range.next_back().map_or(Place::Start, |(k, v)| Place::Entry(k, v));
    }

    /// Goes to the first entry at or after `key`, or past the end.
    pub fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.forward(Bound::Included(key));
        Ok(())
    }

    /// Goes to the last entry before `key`, or before the first.
    pub fn seek_before(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.backward(Bound::Excluded(key));
        Ok(())
    }

    /// Goes to the first entry, or past the end when there is none.
    pub fn seek_first(&mut self) -> Result<(), EngineError> {
        self.forward(Bound::Unbounded);
        Ok(())
    }

    /// Goes to the last entry, or before the first when there is none.
    pub fn seek_last(&mut self) -> Result<(), EngineError> {
        self.backward(Bound::Unbounded);
        Ok(())
    }

    /// Goes one entry on; from before the first to the first; past the end it stays.
    #[allow(clippy::should_implement_trait)] // fallible, and it yields no item
    pub fn next(&mut self) -> Result<(), EngineError> {
        match self.at {
            Place::Start => self.seek_first(),
            Place::Entry(key, _) => {
                self.forward(Bound::Excluded(key));
                Ok(())
            }
            Place::End => Ok(()),
        }
    }

    /// Goes one entry back; from past the end to the last; before the first it stays.
    pub fn prev(&mut self) -> Result<(), EngineError> {
        match self.at {
            Place::Start => Ok(()),
            Place::Entry(key, _) => {
                self.backward(Bound::Excluded(key));
                Ok(())
            }
            Place::End => self.seek_last(),
        }
    }

    /// The entry the cursor is on; `None` past either end.
    pub fn entry(&self) -> Result<Option<Entry<'a>>, EngineError> {
        match self.at {
            Place::Entry(key, value) => Ok(Some((key, value))),
            Place::Start | Place::End => Ok(None),
        }
    }

    /// Goes on to the next entry whose stamp is at least `min`, skipping whole subtrees that have none.
    /// The entry that the cursor is on does not count; from before the first, the first one does.
    pub fn next_stamped(&mut self, min: u64) -> Result<(), EngineError> {
        self.next()?;
        self.settle_stamped(min)
    }

    /// Like [`Cursor::next_stamped`], but stays where it is when the entry it is on will do.
    pub fn settle_stamped(&mut self, min: u64) -> Result<(), EngineError> {
        if matches!(self.at, Place::Start) {
            self.next()?;
        }
        while let Place::Entry(key, value) = self.at {
            if (self.stamp)(key, value) >= min {
                break;
            }
            self.next()?;
        }
        Ok(())
    }
}
