//! Making thin leaves dense, from the leaves beside them under the same branch.
//!
//! A leaf takes in all of the next one if both fit; else, if the next is thin too, as much of it as fits, and then it is
//! the next one's turn. What is dense already is left alone.

use super::Edit;
use crate::page::{Cell, Checked, Node, SLOT_BYTES, shortest_between};

/// What became of two leaves.
enum Packed {
    /// The second has gone.
    Merged,
    /// Some of its entries have.
    Shifted,
    /// There was nothing to gain.
    Nothing,
}

impl Edit<'_> {
    /// Makes the leaves dense that stand under the same branch as that of `key`, and changes about `most` of them at
    /// the most. Returns the key to go on from: the same one when there is more to do here; `None` behind the last branch.
    pub(crate) fn pack_around(&mut self, key: &[u8], most: u64) -> Checked<Option<Vec<u8>>> {
        let Some((first, upper)) = self.thin_around(key)? else {
            return Ok(None);
        };
        let Some(mut slot) = first else {
            return Ok(upper);
        };
        self.dirty.forget_edge(self.tree);
        let parent = self.way_to(key, 1)?;
        let (mut left, mut merged) = (most, false);
        while left > 0 && slot + 1 < self.dirty.page(parent)?.count() {
            match self.pack(parent, slot)? {
                Packed::Merged => merged = true,
                Packed::Shifted => slot += 1,
                Packed::Nothing => {
                    slot += 1;
                    continue;
                }
            }
            left -= 1;
        }
        if merged {
            self.shrink_root()?;
        }
        Ok(if left == 0 { Some(key.to_vec()) } else { upper })
    }

    /// Of the branch above the leaf of `key`: the first slot where there is something to gain, and where its keys end.
    /// `None` when there is no branch.
    #[allow(clippy::type_complexity)] // used once, right above
    fn thin_around(&self, key: &[u8]) -> Checked<Option<(Option<usize>, Option<Vec<u8>>)>> {
        let Some(mut level) = self.root.level().filter(|&level| level > 0) else {
            return Ok(None);
        };
        let (mut child, mut upper) = (self.root.as_child(), None);
        loop {
            let node = self.reader().node(self.tree, level, &child)?;
            if level == 1 {
                return Ok(Some((self.first_thin(node)?, upper)));
            }
            let slot = node.child_for(key, &self.reader())?;
            if slot + 1 < node.count() {
                upper = Some(self.key_in(node, slot + 1)?.to_vec());
            }
            child = node.child(slot)?;
            level -= 1;
        }
    }

    /// The first slot whose leaf could be packed with the next.
    fn first_thin(&self, branch: Node<'_>) -> Checked<Option<usize>> {
        let mut before: Option<usize> = None;
        for slot in 0..branch.count() {
            let taken = self.taken(0, &branch.child(slot)?)?;
            if let Some(before) = before
                && (before + taken <= self.dense() || before.max(taken) <= self.thin())
            {
                return Ok(Some(slot - 1));
            }
            before = Some(taken);
        }
        Ok(None)
    }

    /// A leaf with fewer bytes is thin.
    fn thin(&self) -> usize {
        self.pages.geometry.room() / 8 * 7
    }

    /// No leaf is filled further.
    fn dense(&self) -> usize {
        self.pages.geometry.room() / 16 * 15
    }

    /// Packs the leaves in `slot` and behind it.
    fn pack(&mut self, parent: u64, slot: usize) -> Checked<Packed> {
        if self.taken_at(parent, slot)? > self.thin() {
            return Ok(Packed::Nothing);
        }
        if self.merge(parent, slot, self.dense())? {
            return Ok(Packed::Merged);
        }
        if self.taken_at(parent, slot + 1)? <= self.thin() && self.shift(parent, slot, self.dense())? {
            return Ok(Packed::Shifted);
        }
        Ok(Packed::Nothing)
    }

    /// Bytes taken in the leaf in `slot`.
    fn taken_at(&self, parent: u64, slot: usize) -> Checked<usize> {
        let child = self.dirty.page(parent)?.node().child(slot)?;
        self.taken(0, &child)
    }

    /// Moves entries from the leaf behind `slot` into the leaf in `slot`, as long as that takes no more than `most` bytes.
    /// False, and nothing changed, when none fits or the separator between the two would not fit into the parent.
    fn shift(&mut self, parent: u64, slot: usize, most: usize) -> Checked<bool> {
        let branch = self.dirty.page(parent)?.node();
        let (mut left, mut right) = (branch.child(slot)?, branch.child(slot + 1)?);
        let old_cell = branch.cell(slot + 1)?.len();
        if branch.separator(slot + 1)?.long.is_some() {
            return Ok(false);
        }
        let source = self.reader().node(self.tree, 0, &right)?;
        let count = count_that_fits(source, most.saturating_sub(self.taken(0, &left)?))?;
        if count == 0 {
            return Ok(false);
        }
        let separator = {
            let (high, low) = (self.key_in(source, count - 1)?, self.key_in(source, count)?);
            shortest_between(high, low).ok_or_else(|| source.fault("its keys are not in ascending order"))?
        };
        let room = self.pages.geometry.room();
        let cell = Cell::child(&right, &separator, None).len() + separator.len();
        if separator.len() > self.pages.geometry.inline_key()
            || cell > self.pages.geometry.max_cell()
            || self.dirty.page(parent)?.taken() - old_cell + cell > room
        {
            return Ok(false);
        }
        (left.page, right.page) = (self.make_dirty(0, &left)?, self.make_dirty(0, &right)?);
        self.move_front(left.page, right.page, count)?;
        // A parent that is damaged under a right checksum may hold any number.
        left.count = left.count.saturating_add(count as u64);
        right.count = right.count.saturating_sub(count as u64);
        // Upper bounds, until the leaves are written.
        left.stamp = left.stamp.max(right.stamp);
        let page = self.dirty.page_mut(parent)?;
        page.set_child(slot, &left)?;
        page.remove(slot + 1)?;
        let fixed = Cell::child(&right, &separator, None);
        let fitted = page.insert(slot + 1, &Cell { fixed: &fixed, key: &separator, value: &[] })?;
        assert!(fitted, "the room was counted before");
        Ok(true)
    }

    /// Moves the first `count` entries of a leaf behind those of another.
    fn move_front(&mut self, left: u64, right: u64, count: usize) -> Checked<()> {
        let (mut target, mut source) = (self.dirty.take_page(left)?, self.dirty.take_page(right)?);
        target.compact()?;
        for i in 0..count {
            if !target.append(&source.node().pieces(i)?) {
                return Err(source.node().fault("its cells take more room than they say"));
            }
        }
        target.settle()?;
        for _ in 0..count {
            source.remove(0)?;
        }
        source.settle()?;
        target.new_runs |= source.new_runs;
        (target.loose_stamp, source.loose_stamp) = (true, true);
        self.dirty.put_back(left, target)?;
        self.dirty.put_back(right, source)
    }

    /// The whole key, or separator, in slot `i`.
    fn key_in<'p>(&'p self, node: Node<'p>, i: usize) -> Checked<&'p [u8]> {
        let key = node.inline_key(i)?;
        match &key.long {
            None => Ok(key.inline),
            Some(run) => Ok(self.reader().run(self.tree, run)?.0),
        }
    }
}

/// How many entries from the front of a leaf, but not all, take no more than `room` bytes.
fn count_that_fits(leaf: Node<'_>, room: usize) -> Checked<usize> {
    let (mut taken, mut count) = (0, 0);
    while count + 1 < leaf.count() {
        taken += leaf.cell(count)?.len() + SLOT_BYTES;
        if taken > room {
            break;
        }
        count += 1;
    }
    Ok(count)
}
