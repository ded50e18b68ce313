//! Leaves and branches on the heap, where a transaction changes them.
//!
//! A page of the file has been validated when it was first touched, so that in-place editing starts from
//! sound slots and cells. New cells go below the old ones. A cell that goes, or gets another length, moves
//! those below it, so that there is no hole; those that a dropped separator, or an earlier release, has left
//! are closed when the room is needed. The heads in the slots always fit the counted prefix: a key that does not share the
//! prefix shortens it, and all heads are taken anew.

use smallvec::SmallVec;

use super::node::{BRANCH_FIXED, BRANCH_LONG_FIXED, IN_RUN, LEAF_FIXED, LEAF_RUN_FIXED};
use super::{
    Checked, Child, Geometry, HEADER_BYTES, Header, KEY_HEAD_BYTES, Kind, Node, PLACE_BYTES, RunRef,
    SLOT_BYTES, common_prefix, key_head,
};

/// Bits of the word at 30 that hold the slot of the last insertion; the rest holds the streak.
const INSERT_SLOT: u16 = (1 << STREAK_SHIFT) - 1;
const STREAK_SHIFT: u32 = 13;
const STREAK_LIMIT: u16 = u16::MAX >> STREAK_SHIFT;

/// A leaf or a branch that is being changed.
#[derive(Debug, Clone)]
pub(crate) struct PageBuf {
    bytes: Box<[u8]>,
    /// Bytes of live cells; what lies between them is garbage.
    used: usize,
    /// The greatest stamp that the parent holds may be too great.
    pub(crate) loose_stamp: bool,
    /// Some cell refers to a run that has no place in the file yet.
    pub(crate) new_runs: bool,
}

/// A cell in pieces: what stands in front of the key, the key (or its front), and the value, if it is here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) fixed: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl Cell<'_> {
    /// Bytes of the cell, without its slot.
    pub(crate) fn len(&self) -> usize {
        self.fixed.len() + self.key.len() + self.value.len()
    }

    /// What stands in front of the key of an entry whose value is in its cell.
    pub(crate) fn entry(key: &[u8], value: &[u8]) -> [u8; LEAF_FIXED] {
        let (k, v) = ((key.len() as u16).to_le_bytes(), (value.len() as u16).to_le_bytes());
        [k[0], k[1], v[0], v[1]]
    }

    /// What stands in front of the key of an entry whose value is in a run.
    pub(crate) fn entry_in_run(inline: &[u8], run: &RunRef, stamp: u64) -> [u8; LEAF_RUN_FIXED] {
        let mut fixed = [0; LEAF_RUN_FIXED];
        fixed[..2].copy_from_slice(&(inline.len() as u16 | IN_RUN).to_le_bytes());
        fixed[4..8].copy_from_slice(&run.key_bytes.to_le_bytes());
        fixed[8..12].copy_from_slice(&run.value_bytes.to_le_bytes());
        fixed[12..20].copy_from_slice(&run.page.to_le_bytes());
        fixed[20..28].copy_from_slice(&run.checksum.to_le_bytes());
        fixed[28..36].copy_from_slice(&run.txn.to_le_bytes());
        fixed[36..44].copy_from_slice(&stamp.to_le_bytes());
        fixed
    }

    /// What stands in front of the separator of a child.
    pub(crate) fn child(child: &Child, inline: &[u8], long: Option<&RunRef>) -> SmallVec<[u8; 64]> {
        let mut fixed = SmallVec::new();
        let flag = if long.is_some() { IN_RUN } else { 0 };
        fixed.extend_from_slice(&(inline.len() as u16 | flag).to_le_bytes());
        for field in [child.page, child.checksum, child.count, child.stamp] {
            fixed.extend_from_slice(&field.to_le_bytes());
        }
        if let Some(run) = long {
            fixed.extend_from_slice(&run.key_bytes.to_le_bytes());
            for field in [run.page, run.checksum, run.txn] {
                fixed.extend_from_slice(&field.to_le_bytes());
            }
        }
        fixed
    }
}

impl<'a> Node<'a> {
    /// Slot of the last insertion, and how many before it came in one behind the other (no more than 7).
    pub(super) fn last_insert(self) -> (usize, u16) {
        let word = self.insert_word();
        ((word & INSERT_SLOT) as usize, word >> STREAK_SHIFT)
    }

    /// Whether slot `i` is right behind the last insertion.
    pub(super) fn follows_last_insert(self, i: usize) -> bool {
        i > 0 && self.last_insert().0 == i - 1
    }

    /// The cell in slot `i`, in pieces.
    pub(crate) fn pieces(self, i: usize) -> Checked<Cell<'a>> {
        let cell = self.cell(i)?;
        let word = u16::from_le_bytes([cell[0], cell[1]]);
        let fixed = match (self.is_leaf(), word & IN_RUN != 0) {
            (true, false) => LEAF_FIXED,
            (true, true) => LEAF_RUN_FIXED,
            (false, false) => BRANCH_FIXED,
            (false, true) => BRANCH_LONG_FIXED,
        };
        let (fixed, rest) = cell.split_at(fixed);
        let (key, value) = rest.split_at((word & !IN_RUN) as usize);
        Ok(Cell { fixed, key, value })
    }
}

impl PageBuf {
    /// An empty page in `bytes`, which may hold anything.
    pub(crate) fn empty(mut bytes: Box<[u8]>, tree: u8, level: u8) -> Self {
        bytes[..HEADER_BYTES].fill(0);
        Header { kind: Kind::at_level(level), tree, level, count: 0, number: 0, txn: 0 }.write(&mut bytes);
        let mut page = Self { bytes, used: 0, loose_stamp: false, new_runs: false };
        page.set_cells_start(page.bytes.len());
        page
    }

    /// A copy of `node`, which has been validated, in `bytes`, which is a page long.
    pub(crate) fn copy_of(node: Node<'_>, mut bytes: Box<[u8]>) -> Checked<Self> {
        let used = node.used()?;
        bytes.copy_from_slice(node.bytes());
        Ok(Self { bytes, used, loose_stamp: false, new_runs: false })
    }

    pub(crate) fn node(&self) -> Node<'_> {
        Node::of(&self.bytes).expect("the buffer is a page long, and a page is longer than its header")
    }

    pub(crate) fn into_bytes(self) -> Box<[u8]> {
        self.bytes
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn geometry(&self) -> Geometry {
        Geometry { size: self.bytes.len() }
    }

    pub(crate) fn count(&self) -> usize {
        self.node().count()
    }

    /// Bytes taken by slots and live cells.
    pub(crate) fn taken(&self) -> usize {
        self.used + self.count() * SLOT_BYTES
    }

    /// Whether a cell of `bytes` bytes fits, slot included.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.taken() + bytes + SLOT_BYTES <= self.geometry().room()
    }

    /// Puts the page's place into its header, and what is only kept beside it on the heap.
    pub(crate) fn set_place(&mut self, number: u64, txn: u64) {
        let garbage = self.bytes.len() - self.node().cells_start() - self.used;
        self.bytes[6..8].copy_from_slice(&(garbage as u16).to_le_bytes());
        Header::write_place(&mut self.bytes, number, txn);
    }

    fn set_count(&mut self, count: usize) {
        self.bytes[4..6].copy_from_slice(&(count as u16).to_le_bytes());
    }

    fn set_cells_start(&mut self, at: usize) {
        self.bytes[24..28].copy_from_slice(&(at as u32).to_le_bytes());
    }

    fn set_prefix_bytes(&mut self, prefix: usize) {
        self.bytes[28..30].copy_from_slice(&(prefix as u16).to_le_bytes());
    }

    fn set_head(&mut self, i: usize, head: u32) {
        let at = HEADER_BYTES + i * KEY_HEAD_BYTES;
        self.bytes[at..at + KEY_HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
    }

    /// Makes a slot at `i`, in front of those that were there.
    fn open_slot(&mut self, i: usize, head: u32, cell: usize) {
        let count = self.count();
        let places = HEADER_BYTES + count * KEY_HEAD_BYTES;
        let (mine, end) = (places + i * PLACE_BYTES, places + count * PLACE_BYTES);
        self.bytes.copy_within(mine..end, mine + SLOT_BYTES);
        self.bytes.copy_within(places..mine, places + KEY_HEAD_BYTES);
        self.bytes[mine + KEY_HEAD_BYTES..mine + SLOT_BYTES].copy_from_slice(&(cell as u16).to_le_bytes());
        let at = HEADER_BYTES + i * KEY_HEAD_BYTES;
        self.bytes.copy_within(at..places, at + KEY_HEAD_BYTES);
        self.set_head(i, head);
        self.set_count(count + 1);
    }

    /// Takes the slot at `i` away.
    fn close_slot(&mut self, i: usize) {
        let count = self.count();
        let places = HEADER_BYTES + count * KEY_HEAD_BYTES;
        let (mine, end) = (places + i * PLACE_BYTES, places + count * PLACE_BYTES);
        let at = HEADER_BYTES + i * KEY_HEAD_BYTES;
        self.bytes.copy_within(at + KEY_HEAD_BYTES..places, at);
        self.bytes.copy_within(places..mine, places - KEY_HEAD_BYTES);
        self.bytes.copy_within(mine + PLACE_BYTES..end, mine - KEY_HEAD_BYTES);
        self.set_count(count - 1);
    }

    /// Writes a cell into the gap, which is wide enough, and returns where it is.
    fn write_cell(&mut self, cell: &Cell<'_>) -> usize {
        let start = self.node().cells_start() - cell.len();
        let mut at = start;
        for part in [cell.fixed, cell.key, cell.value] {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.used += cell.len();
        self.set_cells_start(start);
        start
    }

    /// Puts a cell into slot `i`; false, and nothing changed, when there is no room for it.
    pub(crate) fn insert(&mut self, i: usize, cell: &Cell<'_>) -> Checked<bool> {
        if !self.fits(cell.len()) {
            return Ok(false);
        }
        let count = self.count();
        let slots_end = HEADER_BYTES + (count + 1) * SLOT_BYTES;
        if self.node().cells_start() < slots_end + cell.len() {
            self.compact()?;
        }
        let head = if i >= self.node().first_keyed() { self.make_head(cell.key)? } else { 0 };
        let at = self.write_cell(cell);
        self.open_slot(i, head, at);
        let streak = if self.node().follows_last_insert(i) { self.node().last_insert().1 + 1 } else { 0 };
        self.set_last_insert(i, streak);
        Ok(true)
    }

    /// Remembers where the last cell came in, and how many before it had come in one behind the other.
    pub(super) fn set_last_insert(&mut self, i: usize, streak: u16) {
        let word = (i as u16 & INSERT_SLOT) | streak.min(STREAK_LIMIT) << STREAK_SHIFT;
        self.bytes[30..32].copy_from_slice(&word.to_le_bytes());
    }

    /// The head of a key that comes in, after the prefix has been shortened to what it shares.
    fn make_head(&mut self, key: &[u8]) -> Checked<u32> {
        let node = self.node();
        let first = node.first_keyed();
        let old = node.prefix_bytes();
        let shared = if node.count() <= first {
            key.len().min(self.geometry().max_prefix())
        } else if key.len() >= old && key[..old] == node.inline_key(first)?.inline[..old] {
            old
        } else {
            common_prefix(&node.inline_key(first)?.inline[..old], key)
        };
        if shared != old {
            self.set_prefix_bytes(shared);
            self.retake_heads()?;
        }
        Ok(key_head(&key[shared..]))
    }

    fn retake_heads(&mut self) -> Checked<()> {
        let prefix = self.node().prefix_bytes();
        for i in self.node().first_keyed()..self.count() {
            let rest = self.node().inline_key(i)?.inline.get(prefix..);
            let head =
                key_head(rest.ok_or_else(|| self.node().fault("its keys are not in ascending order"))?);
            self.set_head(i, head);
        }
        Ok(())
    }

    /// Puts a cell behind the last one, without taking its head: [`PageBuf::settle`] does that for all.
    /// False when there is no room in the gap.
    pub(crate) fn append(&mut self, cell: &Cell<'_>) -> bool {
        let count = self.count();
        let slots_end = HEADER_BYTES + (count + 1) * SLOT_BYTES;
        if self.node().cells_start() < slots_end + cell.len() {
            return false;
        }
        let at = self.write_cell(cell);
        self.open_slot(count, 0, at);
        true
    }

    /// Counts the longest prefix that all keys share, and takes all heads.
    pub(crate) fn settle(&mut self) -> Checked<()> {
        let node = self.node();
        let first = node.first_keyed();
        let shared = match node.count() {
            count if count > first => {
                let (low, high) = (node.inline_key(first)?.inline, node.inline_key(count - 1)?.inline);
                common_prefix(low, high).min(self.geometry().max_prefix())
            }
            _ => 0,
        };
        self.set_prefix_bytes(shared);
        self.retake_heads()
    }

    /// Closes the holes between the cells.
    pub(crate) fn compact(&mut self) -> Checked<()> {
        let old = Self { bytes: self.bytes.clone(), ..*self };
        self.used = 0;
        self.set_count(0);
        self.set_cells_start(self.bytes.len());
        for i in 0..old.count() {
            let fitted = self.append(&old.node().pieces(i)?);
            debug_assert!(fitted, "the cells fitted before");
        }
        self.settle()
    }

    /// Takes slot `i` and its cell out. When it was the first child of a branch, the next one loses its
    /// separator: the caller has taken care of a long one.
    pub(crate) fn remove(&mut self, i: usize) -> Checked<()> {
        let size = self.node().cell(i)?.len();
        let count = self.count();
        self.shift_cells(i, size, 0)?;
        self.used -= size;
        self.close_slot(i);
        if i == 0 && count > 1 && !self.node().is_leaf() {
            self.drop_separator()?;
        }
        Ok(())
    }

    /// Gives the cell of slot `i`, which has `old` bytes, `new` bytes: the cells below it move, so that there
    /// is no hole, and its end stays where it is. The gap is wide enough.
    fn shift_cells(&mut self, i: usize, old: usize, new: usize) -> Checked<()> {
        let (at, low) = (self.node().place(i)?, self.node().cells_start());
        let moved = |place: usize| place + old - new;
        self.bytes.copy_within(low..at, moved(low));
        self.set_cells_start(moved(low));
        let count = self.count();
        let places = HEADER_BYTES + count * KEY_HEAD_BYTES;
        let places = &mut self.bytes[places..places + count * PLACE_BYTES];
        for place in places.as_chunks_mut::<PLACE_BYTES>().0 {
            let old_place = u16::from_le_bytes(*place);
            // At 64 KiB a place is less than that all the same: a cell is never empty.
            let new_place =
                if usize::from(old_place) <= at { moved(old_place.into()) as u16 } else { old_place };
            *place = new_place.to_le_bytes();
        }
        Ok(())
    }

    /// Cuts the separator off the first child's cell.
    pub(crate) fn drop_separator(&mut self) -> Checked<()> {
        let size = self.node().cell(0)?.len();
        let at = self.node().place(0)?;
        self.bytes[at..at + 2].copy_from_slice(&0_u16.to_le_bytes());
        self.used -= size - BRANCH_FIXED;
        self.set_head(0, 0);
        Ok(())
    }

    /// Replaces what a branch holds for child `i`.
    pub(crate) fn set_child(&mut self, i: usize, child: &Child) -> Checked<()> {
        let at = self.node().place(i)?;
        for (n, field) in [child.page, child.checksum, child.count, child.stamp].into_iter().enumerate() {
            let from = at + 2 + n * 8;
            self.bytes[from..from + 8].copy_from_slice(&field.to_le_bytes());
        }
        Ok(())
    }

    /// Tells slot `i` where its run has been placed.
    pub(crate) fn set_run_place(&mut self, i: usize, run: &RunRef) -> Checked<()> {
        let at = self.node().place(i)?;
        let from = at + if self.node().is_leaf() { 12 } else { 38 };
        for (n, field) in [run.page, run.checksum, run.txn].into_iter().enumerate() {
            self.bytes[from + n * 8..from + n * 8 + 8].copy_from_slice(&field.to_le_bytes());
        }
        Ok(())
    }

    /// Replaces the value in the cell of slot `i`, if old and new stand in the cell and the page has room;
    /// false, and nothing changed, otherwise. The new cell is not longer than cells may be.
    pub(crate) fn overwrite(&mut self, i: usize, value: &[u8]) -> Checked<bool> {
        let pieces = self.node().pieces(i)?;
        if pieces.fixed.len() != LEAF_FIXED {
            return Ok(false);
        }
        let (old, new) = (pieces.len(), pieces.len() - pieces.value.len() + value.len());
        let (skip, from) = (new - value.len(), self.node().place(i)?);
        if old != new {
            if self.taken() - old + new > self.geometry().room() {
                return Ok(false);
            }
            if self.node().cells_start() + old < HEADER_BYTES + self.count() * SLOT_BYTES + new {
                self.compact()?;
                return self.overwrite(i, value);
            }
            self.resize_cell(i, from, old, new, skip)?;
        }
        let at = self.node().place(i)?;
        self.bytes[at + 2..at + LEAF_FIXED].copy_from_slice(&(value.len() as u16).to_le_bytes());
        self.bytes[at + skip..at + skip + value.len()].copy_from_slice(value);
        Ok(true)
    }

    /// Gives a cell another length: its first `keep` bytes stay.
    fn resize_cell(&mut self, i: usize, from: usize, old: usize, new: usize, keep: usize) -> Checked<()> {
        let to = from + old - new;
        if new > old {
            self.shift_cells(i, old, new)?;
            self.bytes.copy_within(from..from + keep, to);
        } else {
            self.bytes.copy_within(from..from + keep, to);
            self.shift_cells(i, old, new)?;
        }
        self.used = self.used + new - old;
        Ok(())
    }
}
