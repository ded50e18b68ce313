//! The write transaction, and how it is published.

use std::sync::Arc;

use super::cursor::Cursor;
use super::db::{Shared, Writer};
use super::dirty::Item;
use super::edit::{Edit, Freed};
use super::pages::Reader;
use super::place::{Placer, grow, recycle, write_blocks, write_item};
use super::read::TreeView;
use super::root::Root;
use super::{TreeId, TreeRead};
use crate::error::EngineError;
use crate::page::{Checked, KEY_LIMIT, VALUE_LIMIT};

/// The one write transaction at a time. It sees its own changes, nobody else does until they are
/// published. Dropping it without [`WriteTxn::publish`] discards them.
///
/// After an error of [`WriteTxn::put`] or [`WriteTxn::delete`] (other than for a length) its changes may be
/// half made, and it can only be dropped: publishing answers with the same error.
pub struct WriteTxn {
    pub(super) shared: Arc<Shared>,
    /// Always there until the transaction is dropped.
    pub(super) writer: Option<Box<Writer>>,
    pub(super) base: Arc<Root>,
    pub(super) root: Root,
    pub(super) freed: Vec<Freed>,
    pub(super) failed: Option<EngineError>,
    publishing: bool,
    /// A buffer for values.
    value: Vec<u8>,
}

pub(super) const HAS_WRITER: &str = "a transaction has the writer for as long as it lives";

impl WriteTxn {
    pub(super) fn new(shared: Arc<Shared>, writer: Box<Writer>) -> Self {
        let base = shared.published.load_full();
        let root = Root { txn: base.txn + 1, ..Root::clone(&base) };
        let failed = shared.poisoned();
        let writer = Some(writer);
        Self { shared, writer, base, root, freed: Vec::new(), failed, publishing: false, value: Vec::new() }
    }

    /// Pages of the file that its changes have replaced so far: what it has cost, as far as that does not depend on time.
    pub fn changed_pages(&self) -> usize {
        self.freed.len()
    }

    /// Number that this transaction will be published under.
    pub fn txn(&self) -> u64 {
        self.root.txn
    }

    /// Inserts the entry, or replaces its value.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        if key.len() > KEY_LIMIT {
            return Err(EngineError::KeyTooLong { bytes: key.len(), limit: KEY_LIMIT });
        }
        if value.len() > VALUE_LIMIT {
            return Err(EngineError::ValueTooLong { bytes: value.len(), limit: VALUE_LIMIT });
        }
        self.change(tree, key, |edit| edit.put(key, value))
    }

    /// Inserts the entry or replaces its value by what `change` makes of the value that is there: it is given that
    /// one and writes the new one into an empty buffer. Costs one descent, where a get and a put cost two. An error
    /// of `change` changes nothing.
    pub fn update<R, E: From<EngineError>>(
        &mut self,
        tree: TreeId,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, E> {
        if key.len() > KEY_LIMIT {
            return Err(EngineError::KeyTooLong { bytes: key.len(), limit: KEY_LIMIT }.into());
        }
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        let answer = self.change(tree, key, |edit| edit.update(key, &mut value, change));
        self.value = value;
        answer?
    }

    /// Removes the entry; false when there is none.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<bool, EngineError> {
        self.change(tree, key, |edit| edit.delete(key))
    }

    /// Sets the caller's number that is published with this transaction.
    pub fn set_mark(&mut self, mark: u64) {
        self.root.mark = mark;
    }

    fn change<T>(
        &mut self,
        tree: TreeId,
        key: &[u8],
        step: impl FnOnce(&mut Edit<'_>) -> Checked<T>,
    ) -> Result<T, EngineError> {
        if let Some(e) = &self.failed {
            return Err(e.clone());
        }
        let mut edit = Edit {
            pages: &self.shared.pages,
            dirty: &mut self.writer.as_mut().expect(HAS_WRITER).dirty,
            freed: &mut self.freed,
            root: &mut self.root.trees[self.shared.places[tree.0 as usize]],
            tree: self.shared.number(tree),
            stamp: self.shared.specs[tree.0 as usize].stamp,
        };
        step(&mut edit).map_err(|fault| {
            let e = edit.view().explain(key, fault);
            self.failed = Some(e.clone());
            e
        })
    }

    /// Writes the changes into the file and shows them to readers, all at once. Returns the transaction's
    /// number. They are not durable before a [`Db::checkpoint`](super::Db::checkpoint). Without a change
    /// nothing is published, and the number of the newest transaction is returned.
    pub fn publish(mut self) -> Result<u64, EngineError> {
        if let Some(e) = &self.failed {
            return Err(e.clone());
        }
        if let Some(e) = self.shared.poisoned() {
            return Err(e);
        }
        if self.root.mark == self.base.mark && self.root.trees == self.base.trees {
            return Ok(self.base.txn);
        }
        self.publishing = true;
        match self.write_out() {
            Ok(()) => {
                self.publishing = false;
                Ok(self.root.txn)
            }
            Err(e) => Err(self.shared.set_poison(e)),
        }
    }

    fn write_out(&mut self) -> Result<(), EngineError> {
        let shared = &self.shared;
        let writer = self.writer.as_mut().expect(HAS_WRITER);
        let (mut bytes, mut high_water) = (0, 0);
        let pages = &shared.pages;
        for (place, root) in self.root.trees.iter_mut().enumerate() {
            // A tree without a spec has no changes, and then its stamps are not asked for.
            let stamp = shared.stamp_of_place(place).unwrap_or(|_, _| 0);
            let mut take = |count: u64| {
                let start = writer.space.take(pages, count)?;
                if start + count > high_water {
                    high_water = writer.space.high_water;
                    grow(pages, high_water, shared.limit_bytes)?;
                }
                Ok(start)
            };
            let mut sink = |number, item: Item| {
                bytes += write_item(pages, number, &item)?;
                Ok(Some(item))
            };
            let dirty = &mut writer.dirty;
            let mut placer = Placer { dirty, txn: self.root.txn, stamp, take: &mut take, sink: &mut sink };
            placer.place(root).map_err(|fault| pages.error(place as u8 + 1, fault, None, None))?;
        }
        assert!(writer.dirty.count() == 0, "every changed page can be reached from a root");
        shared.published.store(Arc::new(self.root.clone()));
        let (protected, _) = shared.protected();
        writer.space.release(&shared.pages, &self.freed, self.root.txn, &protected)?;
        writer.space.tidy(&shared.pages, &protected)?;
        let mut ahead = writer.space.write_ahead(&shared.pages, self.root.txn, &protected)?;
        if !ahead.is_empty() {
            grow(&shared.pages, writer.space.high_water, shared.limit_bytes)?;
            write_blocks(&shared.pages, &mut ahead)?;
            recycle(&mut writer.dirty, ahead);
        }
        writer.repacker.note(&self.root.trees);
        shared.tell(writer, bytes)
    }

    fn view(&self, tree: TreeId) -> TreeView<'_> {
        let dirty = &self.writer.as_ref().expect(HAS_WRITER).dirty;
        let reader = Reader { pages: &self.shared.pages, dirty: Some(dirty) };
        let root = self.root.trees[self.shared.places[tree.0 as usize]];
        TreeView { reader, tree: self.shared.number(tree), root }
    }
}

impl Drop for WriteTxn {
    fn drop(&mut self) {
        if self.publishing {
            self.shared.poison_if_panicking("publishing");
        }
        if let Some(mut writer) = self.writer.take() {
            writer.dirty.clear();
            self.shared.give_back(writer);
        }
    }
}

impl TreeRead for WriteTxn {
    fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, EngineError> {
        self.view(tree).get(key)
    }

    fn get_each<'s, K: AsRef<[u8]>>(
        &'s self,
        tree: TreeId,
        keys: &[K],
        found: impl FnMut(usize, Option<&'s [u8]>),
    ) -> Result<(), EngineError> {
        self.view(tree).get_each(keys, found)
    }

    fn cursor(&self, tree: TreeId) -> Cursor<'_> {
        Cursor::new(self.view(tree), self.shared.specs[tree.0 as usize].stamp)
    }

    fn len(&self, tree: TreeId) -> u64 {
        self.view(tree).root.count
    }

    fn count(&self, tree: TreeId, from: &[u8], to: Option<&[u8]>) -> Result<u64, EngineError> {
        self.view(tree).count(from, to)
    }

    fn mark(&self) -> u64 {
        self.root.mark
    }
}
