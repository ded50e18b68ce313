//! Reading leaves and branches.
//!
//! Both are slotted pages: after the header come the slots in key order, at the end of the page the cells in
//! any order. A slot is in two parts: the *head* of its key (the four bytes after the prefix that all keys
//! of the page share), and the place of its cell. All heads stand together, so that a search goes through
//! a few neighbouring cache lines and then, as a rule, looks at one cell. The prefix is only counted; keys
//! are stored whole, so that a cursor can lend them.
//!
//! ```text
//! heads         count × u32 (big-endian value, stored little-endian)
//! places        count × u16
//! … gap …
//! leaf cell     word u16 (key bytes) · value_bytes u16 · key · value
//!   in a run    word u16 (bytes of the key kept here | 0x8000) · 0 u16 · key_bytes u32 · value_bytes u32 ·
//!               run u64 · checksum u64 · txn u64 · stamp u64 · front of the key
//! branch cell   word u16 (bytes of the separator kept here) · page u64 · checksum u64 · count u64 ·
//!               stamp u64 · separator
//!   long        word u16 (… | 0x8000) · the same four · key_bytes u32 · run u64 · checksum u64 · txn u64 ·
//!               front of the separator
//! ```
//!
//! The first child of a branch has no separator: it takes all keys below the second's.

use smallvec::{SmallVec, smallvec};

use super::{
    Checked, Fault, Geometry, HEADER_BYTES, KEY_HEAD_BYTES, Kind, PLACE_BYTES, RunRef, SLOT_BYTES, prefetch,
    prefetch_lines, u16_at, u32_at, u64_at,
};

pub(super) const IN_RUN: u16 = 0x8000;
pub(super) const LEAF_FIXED: usize = 4;
pub(super) const LEAF_RUN_FIXED: usize = 44;
pub(super) const BRANCH_FIXED: usize = 34;
pub(super) const BRANCH_LONG_FIXED: usize = 62;

/// A leaf or a branch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER_BYTES],
}

/// What a branch holds for one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Child {
    pub(crate) page: u64,
    pub(crate) checksum: u64,
    /// Entries below.
    pub(crate) count: u64,
    /// Greatest stamp below.
    pub(crate) stamp: u64,
}

/// The lower bound of a child's keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Separator<'a> {
    /// The separator, or its front when it is long.
    pub(crate) inline: &'a [u8],
    /// Where the whole of a long one is.
    pub(crate) long: Option<RunRef>,
}

/// One entry of a leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeafCell<'a> {
    /// The key, or its front when it is long.
    pub(crate) inline: &'a [u8],
    pub(crate) stored: Stored<'a>,
    /// Bytes of the cell.
    pub(crate) size: usize,
}

/// Where the value of an entry is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stored<'a> {
    /// In the cell.
    Inline(&'a [u8]),
    /// In an overflow run, which holds the whole key too. The stamp is kept here, so that nobody need open
    /// the run for it.
    Run { run: RunRef, stamp: u64 },
}

impl LeafCell<'_> {
    /// Where the whole key is, when the cell holds only its front.
    pub(crate) fn long(&self) -> Option<RunRef> {
        match self.stored {
            Stored::Run { run, .. } if run.key_bytes as usize > self.inline.len() => Some(run),
            _ => None,
        }
    }
}

impl<'a> Node<'a> {
    /// Looks at a page. `bytes` is a whole page, so it has a header.
    pub(crate) fn of(bytes: &'a [u8]) -> Checked<Self> {
        match bytes.first_chunk() {
            Some(header) => Ok(Self { bytes, header }),
            None => Err(Fault::page(0, "the page is shorter than its header")),
        }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn geometry(self) -> Geometry {
        Geometry { size: self.bytes.len() }
    }

    pub(crate) fn tree(self) -> u8 {
        self.header[1]
    }

    pub(crate) fn level(self) -> u8 {
        self.header[2]
    }

    pub(crate) fn is_leaf(self) -> bool {
        self.header[0] == Kind::Leaf as u8
    }

    pub(crate) fn count(self) -> usize {
        let h = self.header;
        u16::from_le_bytes([h[4], h[5]]) as usize
    }

    /// Bytes of the cells that are alive. Pages have been validated, or have never left this process.
    pub(crate) fn used(self) -> Checked<usize> {
        let garbage = u16::from_le_bytes([self.header[6], self.header[7]]) as usize;
        let cells = self.bytes.len().checked_sub(self.cells_start());
        cells.and_then(|cells| cells.checked_sub(garbage)).ok_or_else(|| self.fault("its cells overlap"))
    }

    pub(crate) fn number(self) -> u64 {
        let h = self.header;
        u64::from_le_bytes([h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]])
    }

    pub(crate) fn txn(self) -> u64 {
        let h = self.header;
        u64::from_le_bytes([h[16], h[17], h[18], h[19], h[20], h[21], h[22], h[23]])
    }

    pub(crate) fn cells_start(self) -> usize {
        let h = self.header;
        u32::from_le_bytes([h[24], h[25], h[26], h[27]]) as usize
    }

    pub(crate) fn prefix_bytes(self) -> usize {
        let h = self.header;
        u16::from_le_bytes([h[28], h[29]]) as usize
    }

    /// Where cells came in last: see [`super::PageBuf`].
    pub(super) fn insert_word(self) -> u16 {
        u16::from_le_bytes([self.header[30], self.header[31]])
    }

    /// Whether kind, tree, level and number are what the parent expects.
    #[inline]
    pub(crate) fn expect(self, tree: u8, level: u8, number: u64) -> Checked<()> {
        let want = u32::from_le_bytes([Kind::at_level(level) as u8, tree, level, 0]);
        let h = self.header;
        if u32::from_le_bytes([h[0], h[1], h[2], h[3]]) == want && self.number() == number {
            return Ok(());
        }
        Err(self.unexpected(tree, level, number))
    }

    #[cold]
    fn unexpected(self, tree: u8, level: u8, number: u64) -> Fault {
        let h = self.header;
        Fault::page(
            number,
            format!(
                "its header says kind {}, tree {}, level {}, page {}, where tree {tree}, level {level} is expected",
                h[0],
                h[1],
                h[2],
                self.number()
            ),
        )
    }

    #[cold]
    pub(crate) fn fault(self, what: &'static str) -> Fault {
        Fault::page(self.number(), what)
    }

    /// The first slot whose key counts: all of a leaf, all but the first of a branch.
    pub(crate) fn first_keyed(self) -> usize {
        usize::from(!self.is_leaf())
    }

    /// The heads of all keys, in order.
    #[inline]
    pub(super) fn heads(self) -> Checked<&'a [[u8; KEY_HEAD_BYTES]]> {
        let end = HEADER_BYTES + self.count() * KEY_HEAD_BYTES;
        match self.bytes.get(HEADER_BYTES..end) {
            Some(heads) => Ok(heads.as_chunks().0),
            None => Err(self.fault("its slots lie outside it")),
        }
    }

    /// The head of the key in slot `i`.
    pub(crate) fn head(self, i: usize) -> Checked<u32> {
        let head = self.heads()?.get(i);
        head.map(|head| u32::from_le_bytes(*head)).ok_or_else(|| self.fault("a slot lies outside it"))
    }

    /// Where the cell of slot `i` is.
    #[inline]
    pub(super) fn place(self, i: usize) -> Checked<usize> {
        let count = self.count();
        match u16_at(self.bytes, HEADER_BYTES + count * KEY_HEAD_BYTES + i * PLACE_BYTES) {
            Some(place) if i < count => Ok(place as usize),
            _ => Err(self.fault("a slot lies outside it")),
        }
    }

    /// Asks for the cells, as far as they stand in the slots that a page of the usual size has.
    #[inline]
    pub(crate) fn prefetch_cells(self) {
        const MOST: usize = 128;
        let count = self.count();
        let start = HEADER_BYTES + count * KEY_HEAD_BYTES;
        if let Some(places) = self.bytes.get(start..start + count.min(MOST) * PLACE_BYTES) {
            for place in places.as_chunks::<PLACE_BYTES>().0 {
                prefetch(self.bytes, u16::from_le_bytes(*place) as usize);
            }
        }
    }

    /// Asks for the first lines of the cell in slot `i`, if there is one.
    #[inline]
    pub(crate) fn prefetch_cell(self, i: usize, lines: usize) {
        if let Ok(at) = self.place(i) {
            prefetch_lines(self.bytes.get(at..).unwrap_or_default(), lines);
        }
    }

    #[inline]
    fn cell_from(self, at: usize) -> Checked<&'a [u8]> {
        self.bytes.get(at..).ok_or_else(|| self.fault("a cell lies outside it"))
    }

    /// The entry in slot `i` of a leaf.
    #[inline]
    pub(crate) fn entry(self, i: usize) -> Checked<LeafCell<'a>> {
        let at = self.place(i)?;
        self.entry_at(at)
    }

    #[inline]
    fn entry_at(self, at: usize) -> Checked<LeafCell<'a>> {
        parse_entry(self.cell_from(at)?).ok_or_else(|| self.fault("the cell of an entry is cut short"))
    }

    /// The child in slot `i` of a branch.
    #[inline]
    pub(crate) fn child(self, i: usize) -> Checked<Child> {
        let at = self.place(i)?;
        match self.cell_from(at)?.first_chunk::<BRANCH_FIXED>() {
            Some(c) => Ok(Child {
                page: u64::from_le_bytes([c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]]),
                checksum: u64::from_le_bytes([c[10], c[11], c[12], c[13], c[14], c[15], c[16], c[17]]),
                count: u64::from_le_bytes([c[18], c[19], c[20], c[21], c[22], c[23], c[24], c[25]]),
                stamp: u64::from_le_bytes([c[26], c[27], c[28], c[29], c[30], c[31], c[32], c[33]]),
            }),
            None => Err(self.fault("the cell of a child is cut short")),
        }
    }

    /// The page of the child in slot `i` of a branch.
    #[inline]
    pub(crate) fn child_page(self, i: usize) -> Checked<u64> {
        let at = self.place(i)?;
        u64_at(self.bytes, at + 2).ok_or_else(|| self.fault("the cell of a child is cut short"))
    }

    /// The lower bound of the child in slot `i` of a branch; empty for the first.
    pub(crate) fn separator(self, i: usize) -> Checked<Separator<'a>> {
        let at = self.place(i)?;
        self.separator_at(at)
    }

    fn separator_at(self, at: usize) -> Checked<Separator<'a>> {
        let cell = self.cell_from(at)?;
        parse_separator(cell).map(|(s, _)| s).ok_or_else(|| self.fault("the cell of a child is cut short"))
    }

    /// The key in slot `i`, or its front, and where the whole of it is.
    pub(crate) fn inline_key(self, i: usize) -> Checked<Separator<'a>> {
        let at = self.place(i)?;
        self.inline_key_at(at)
    }

    #[inline]
    pub(super) fn inline_key_at(self, at: usize) -> Checked<Separator<'a>> {
        if self.is_leaf() {
            let cell = self.entry_at(at)?;
            Ok(Separator { inline: cell.inline, long: cell.long() })
        } else {
            self.separator_at(at)
        }
    }

    /// All bytes of the cell in slot `i`.
    pub(crate) fn cell(self, i: usize) -> Checked<&'a [u8]> {
        let at = self.place(i)?;
        let cell = self.cell_from(at)?;
        let size = if self.is_leaf() {
            parse_entry(cell).map(|c| c.size)
        } else {
            parse_separator(cell).map(|(_, size)| size)
        };
        size.and_then(|size| cell.get(..size)).ok_or_else(|| self.fault("a cell is cut short"))
    }

    /// Checks that slots and cells lie inside the page and can be edited in place.
    pub(crate) fn validate(self) -> Checked<()> {
        let slots_end = self.count().checked_mul(SLOT_BYTES).map(|b| b + HEADER_BYTES);
        let cells = self.cells_start();
        if slots_end.is_none_or(|end| end > cells) || cells > self.bytes.len() {
            return Err(self.fault("its slots and cells overlap"));
        }
        if !self.is_leaf() && self.count() == 0 {
            return Err(self.fault("it is a branch without a child"));
        }
        if self.prefix_bytes() > self.geometry().max_prefix() {
            return Err(self.fault("its common prefix is too long"));
        }
        let mut used = 0;
        let mut map = ByteMap::new(self.bytes.len());
        for i in 0..self.count() {
            let at = self.place(i)?;
            if at < cells {
                return Err(self.fault("a cell lies among its slots"));
            }
            let cell = self.pieces(i)?;
            if !map.claim(at, cell.len()) {
                return Err(self.fault("its cells overlap"));
            }
            used += cell.len();
            if i >= self.first_keyed() && cell.key.len() < self.prefix_bytes() {
                return Err(self.fault("a key is shorter than the common prefix"));
            }
        }
        if used != self.used()? {
            return Err(self.fault("its cells are not as long as it says"));
        }
        Ok(())
    }
}

/// Which bytes of a page are taken by cells: one bit each.
struct ByteMap(SmallVec<[u64; 64]>);

impl ByteMap {
    fn new(bytes: usize) -> Self {
        Self(smallvec![0; bytes.div_ceil(64)])
    }

    /// Takes the bytes of a cell, which lie inside the page; false when one of them is taken.
    fn claim(&mut self, start: usize, len: usize) -> bool {
        let end = start + len;
        let mut at = start;
        while at < end {
            let stop = end.min((at / 64 + 1) * 64);
            let mask = (u64::MAX >> (64 - (stop - at))) << (at % 64);
            let word = &mut self.0[at / 64];
            if *word & mask != 0 {
                return false;
            }
            *word |= mask;
            at = stop;
        }
        true
    }
}

/// Reads the leaf cell at the front of `cell`.
#[inline]
fn parse_entry(cell: &[u8]) -> Option<LeafCell<'_>> {
    let fixed = cell.first_chunk::<LEAF_FIXED>()?;
    let word = u16::from_le_bytes([fixed[0], fixed[1]]);
    let key_bytes = (word & !IN_RUN) as usize;
    if word & IN_RUN == 0 {
        let value_bytes = u16::from_le_bytes([fixed[2], fixed[3]]) as usize;
        let body = cell.get(LEAF_FIXED..LEAF_FIXED + key_bytes + value_bytes)?;
        let (inline, value) = body.split_at_checked(key_bytes)?;
        return Some(LeafCell { inline, stored: Stored::Inline(value), size: LEAF_FIXED + body.len() });
    }
    let run = RunRef {
        key_bytes: u32_at(cell, 4)?,
        value_bytes: u32_at(cell, 8)?,
        page: u64_at(cell, 12)?,
        checksum: u64_at(cell, 20)?,
        txn: u64_at(cell, 28)?,
    };
    let stamp = u64_at(cell, 36)?;
    let inline = cell.get(LEAF_RUN_FIXED..LEAF_RUN_FIXED + key_bytes)?;
    Some(LeafCell { inline, stored: Stored::Run { run, stamp }, size: LEAF_RUN_FIXED + key_bytes })
}

/// Reads separator and size of the branch cell at the front of `cell`.
#[inline]
fn parse_separator(cell: &[u8]) -> Option<(Separator<'_>, usize)> {
    let word = u16_at(cell, 0)?;
    let key_bytes = (word & !IN_RUN) as usize;
    if word & IN_RUN == 0 {
        let inline = cell.get(BRANCH_FIXED..BRANCH_FIXED + key_bytes)?;
        return Some((Separator { inline, long: None }, BRANCH_FIXED + key_bytes));
    }
    let run = RunRef {
        key_bytes: u32_at(cell, 34)?,
        value_bytes: 0,
        page: u64_at(cell, 38)?,
        checksum: u64_at(cell, 46)?,
        txn: u64_at(cell, 54)?,
    };
    let inline = cell.get(BRANCH_LONG_FIXED..BRANCH_LONG_FIXED + key_bytes)?;
    Some((Separator { inline, long: Some(run) }, BRANCH_LONG_FIXED + key_bytes))
}
