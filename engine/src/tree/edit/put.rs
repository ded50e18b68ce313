//! Putting an entry: into its leaf when there is room, by a split when there is none.
//!
//! Keys that come in ascending order behind all others are not searched for: the transaction remembers the way to the
//! last leaf of each tree until something changes that way, and comparing with the last key there is enough.

use super::{Edit, Path};
use crate::error::EngineError;
use crate::page::{Cell, Checked, Child, PageBuf, RunRef, Stored, UNPLACED, VALUE_LIMIT, shortest_between};
use crate::tree::dirty::Item;
use crate::tree::edit::insert::Grown;
use crate::tree::root::TreeRoot;

/// The slot behind the last key of a leaf, if `key` is greater than that. A key that goes on in a run is not asked for.
fn behind_all(leaf: &PageBuf, key: &[u8]) -> Checked<Option<usize>> {
    let count = leaf.count();
    let Some(last) = count.checked_sub(1) else {
        return Ok(None);
    };
    let last = leaf.node().inline_key(last)?;
    Ok((last.long.is_none() && key > last.inline).then_some(count))
}

/// The way to a key: where it stands, or would stand.
struct Way {
    path: Path,
    slot: usize,
    found: bool,
    /// It is the way that the transaction remembers.
    remembered: bool,
}

impl Edit<'_> {
    /// Inserts the entry, or replaces its value. Lengths have been checked.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Checked<()> {
        let way = self.place_of(key)?;
        self.put_at(way.as_ref(), key, value)
    }

    /// Inserts the entry, or replaces its value, as `change` says.
    pub(crate) fn update<R, E>(
        &mut self,
        key: &[u8],
        value: &mut Vec<u8>,
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<R, E>,
    ) -> Checked<Result<R, E>> {
        let way = self.place_of(key)?;
        let answer = match &way {
            Some(Way { path, slot, found: true, .. }) => {
                let leaf = self.dirty.page(path.leaf())?;
                change(Some(self.view().value(&leaf.node().entry(*slot)?)?), value)
            }
            _ => change(None, value),
        };
        if answer.is_ok() {
            if value.len() > VALUE_LIMIT {
                return Err(EngineError::ValueTooLong { bytes: value.len(), limit: VALUE_LIMIT }.into());
            }
            self.put_at(way.as_ref(), key, value)?;
        }
        Ok(answer)
    }

    /// The dirty way to where the key is or would be; `None` for an empty tree.
    fn place_of(&mut self, key: &[u8]) -> Checked<Option<Way>> {
        if self.root.depth == 0 {
            return Ok(None);
        }
        if let Some(path) = self.dirty.edge(self.tree)
            && let Some(slot) = behind_all(self.dirty.page(path.leaf())?, key)?
        {
            return Ok(Some(Way { path: *path, slot, found: false, remembered: true }));
        }
        let path = self.path_to(key)?;
        let (slot, found) = self.dirty.page(path.leaf())?.node().lower_bound(key, &self.reader())?;
        Ok(Some(Way { path, slot, found, remembered: false }))
    }

    fn put_at(&mut self, way: Option<&Way>, key: &[u8], value: &[u8]) -> Checked<()> {
        let stamp = (self.stamp)(key, value);
        let Some(Way { path, slot, found, remembered }) = way else {
            let leaf = self.dirty.fresh(self.tree, 0);
            let page = self.dirty.add(Item::Page(leaf));
            *self.root = TreeRoot { page, checksum: 0, count: 0, stamp: 0, depth: 1 };
            let path = self.path_to(key)?;
            return self.put_at(Some(&Way { path, slot: 0, found: false, remembered: false }), key, value);
        };
        if *found && self.replace_in_place(path, *slot, key, value, stamp)? {
            return self.note(path, 0, stamp, None);
        }
        if *found {
            self.remove_entry(path.leaf(), *slot)?;
        }
        let grown = self.insert_entry(path, *slot, key, value, stamp)?;
        if grown.is_some() {
            self.dirty.forget_edge(self.tree);
        } else if path.edge && !remembered {
            self.dirty.set_edge(self.tree, path);
        }
        self.note(path, i64::from(!found), stamp, grown)
    }

    /// Overwrites a value in its cell, where old and new stand there and the leaf has room.
    fn replace_in_place(
        &mut self,
        path: &Path,
        slot: usize,
        key: &[u8],
        value: &[u8],
        stamp: u64,
    ) -> Checked<bool> {
        let bytes = Cell::entry(key, value).len() + key.len() + value.len();
        let fits = bytes <= self.pages.geometry.max_cell();
        let before = self.stamp_in(self.dirty.page(path.leaf())?, slot)?;
        let leaf = self.dirty.page_mut(path.leaf())?;
        leaf.loose_stamp |= before > stamp;
        if fits { leaf.overwrite(slot, value) } else { Ok(false) }
    }

    /// Takes an entry out of its leaf, with its run.
    pub(super) fn remove_entry(&mut self, leaf: u64, slot: usize) -> Checked<()> {
        let stored = self.dirty.page(leaf)?.node().entry(slot)?.stored;
        if let Stored::Run { run, .. } = stored {
            self.free_run(&run)?;
        }
        self.dirty.page_mut(leaf)?.remove(slot)
    }

    /// Puts a new entry into slot `slot` of the leaf.
    fn insert_entry(
        &mut self,
        path: &Path,
        slot: usize,
        key: &[u8],
        value: &[u8],
        stamp: u64,
    ) -> Checked<Option<Grown>> {
        let geometry = self.pages.geometry;
        let plain = Cell::entry(key, value);
        let cell = Cell { fixed: &plain, key, value };
        if key.len() <= geometry.inline_key() && cell.len() <= geometry.max_cell() {
            return self.insert_cell(path, slot, key, &cell);
        }
        let run = self.dirty.add_run(self.tree, key, value);
        let inline = &key[..key.len().min(geometry.inline_key())];
        let fixed = Cell::entry_in_run(inline, &run, stamp);
        self.dirty.page_mut(path.leaf())?.new_runs = true;
        self.insert_cell(path, slot, key, &Cell { fixed: &fixed, key: inline, value: &[] })
    }

    fn insert_cell(
        &mut self,
        path: &Path,
        slot: usize,
        key: &[u8],
        cell: &Cell<'_>,
    ) -> Checked<Option<Grown>> {
        let number = path.leaf();
        if self.dirty.page_mut(number)?.insert(slot, cell)? {
            return Ok(None);
        }
        let (left, right) = self.split_page(number, slot, cell, path.edge)?;
        // The new entry is in one of the halves; its whole key is at hand, the others' must be fetched.
        let separator = {
            let last = left.count() - 1;
            let high = if slot == last { key } else { self.whole_key(&left, last)? };
            let low = if slot == left.count() { key } else { self.whole_key(&right, 0)? };
            let disorder = || right.node().fault("its keys are not in ascending order");
            shortest_between(high, low).ok_or_else(disorder)?
        };
        self.put_halves(number, left, right, &separator).map(Some)
    }

    fn whole_key<'p>(&'p self, page: &'p PageBuf, slot: usize) -> Checked<&'p [u8]> {
        let key = page.node().inline_key(slot)?;
        match &key.long {
            None => Ok(key.inline),
            Some(run) => Ok(self.reader().run(self.tree, run)?.0),
        }
    }

    /// Splits a page around a new cell, as its kind wants it.
    pub(super) fn split_page(
        &mut self,
        number: u64,
        slot: usize,
        cell: &Cell<'_>,
        edge: bool,
    ) -> Checked<(PageBuf, PageBuf)> {
        let (tree, level) = {
            let node = self.dirty.page(number)?.node();
            (node.tree(), node.level())
        };
        let (left, right) = (self.dirty.fresh(tree, level), self.dirty.fresh(tree, level));
        self.dirty.page(number)?.split(slot, cell, edge, left, right)
    }

    /// Puts the left half in the place of the page, and the right half beside it.
    fn put_halves(&mut self, number: u64, left: PageBuf, right: PageBuf, separator: &[u8]) -> Checked<Grown> {
        let (inline, long) = self.separator(separator);
        self.finish_split(number, left, right, inline, long)
    }

    /// What stands of a separator in its cell, and the run of a long one.
    fn separator(&mut self, whole: &[u8]) -> (Vec<u8>, Option<RunRef>) {
        let inline_key = self.pages.geometry.inline_key();
        let long = (whole.len() > inline_key).then(|| self.dirty.add_run(self.tree, whole, &[]));
        (whole[..whole.len().min(inline_key)].to_vec(), long)
    }

    /// Puts the halves of a split page in place and tells what the parent must know.
    pub(super) fn finish_split(
        &mut self,
        number: u64,
        left: PageBuf,
        right: PageBuf,
        inline: Vec<u8>,
        long: Option<RunRef>,
    ) -> Checked<Grown> {
        let old = std::mem::replace(self.dirty.page_mut(number)?, left);
        let loose_stamp = old.loose_stamp;
        self.dirty.recycle(Item::Page(old));
        let right = self.dirty.add(Item::Page(right));
        Ok(Grown { left: self.summary(number)?, right: self.summary(right)?, inline, long, loose_stamp })
    }

    /// Brings the ancestors up to date: counts and stamps, and the new page if there is one.
    fn note(&mut self, path: &Path, more: i64, stamp: u64, mut grown: Option<Grown>) -> Checked<()> {
        for &(number, slot) in path.steps[..path.len - 1].iter().rev() {
            if let Some(split) = grown {
                grown = self.insert_child(number, slot, path.edge, split)?;
                continue;
            }
            let page = self.dirty.page_mut(number)?;
            let child = page.node().child(slot)?;
            let count = child.count.wrapping_add_signed(more);
            page.set_child(slot, &Child { count, stamp: child.stamp.max(stamp), ..child })?;
        }
        if let Some(grown) = grown {
            self.grow_root(grown)?;
        }
        self.root.count = self.root.count.wrapping_add_signed(more);
        self.root.stamp = self.root.stamp.max(stamp);
        debug_assert!(self.root.page & UNPLACED != 0, "a changed tree has a dirty root");
        Ok(())
    }
}
