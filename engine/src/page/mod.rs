//! The bytes of a page: headers, slots and cells of leaves and branches, overflow runs, and meta pages.
//!
//! Everything here works on slices and knows nothing of files or transactions. Reading a page that came
//! from the disk checks every bound and answers with a [`Fault`], even when the page's checksum was right:
//! a bug of an earlier release must not become a panic of this one. `FORMAT.md` has the layout in full.

mod buf;
mod header;
mod meta;
mod node;
mod prefetch;
mod run;
mod search;
mod split;

pub(crate) use buf::{Cell, PageBuf};
pub(crate) use header::{Header, Kind};
pub(crate) use meta::{
    FORMAT_VERSION, HEAD_BYTES, META_BYTES, META_OFFSETS, Meta, MetaSlot, NamedRoot, TREE_LIMIT,
    TREE_NAME_BYTES, looks_like_bbolt,
};
pub(crate) use node::{Child, LeafCell, Node, Separator, Stored};
pub(crate) use prefetch::{prefetch, prefetch_lines};
pub(crate) use run::{RunRef, build_run, read_run, run_pages};
pub(crate) use search::LongKeys;

use std::borrow::Cow;

use crate::error::EngineError;

/// Bytes in the header of a page.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes of a key that stand in its slot.
pub(crate) const KEY_HEAD_BYTES: usize = 4;
/// Bytes that say where a cell is.
pub(crate) const PLACE_BYTES: usize = 2;
/// Bytes in a slot.
pub(crate) const SLOT_BYTES: usize = KEY_HEAD_BYTES + PLACE_BYTES;
/// Smallest and largest page.
pub(crate) const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=65536;
/// Longest key. Far above what a request can carry; a length beyond it in a file is damage.
pub(crate) const KEY_LIMIT: usize = 16 << 20;
/// Longest value, for the same reason.
pub(crate) const VALUE_LIMIT: usize = 1 << 30;
/// Number of the tree that holds the free pages; named trees count from 1.
pub(crate) const FREE_TREE: u8 = 0;
/// Marks a page number that is not one yet: the rest is the page's place among the transaction's own pages.
pub(crate) const UNPLACED: u64 = 1 << 63;

/// What follows from the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes in a page.
    pub(crate) size: usize,
}

impl Geometry {
    /// Bytes for slots and cells.
    pub(crate) fn room(self) -> usize {
        self.size - HEADER_BYTES
    }

    /// Bytes of a key that are kept in its cell. What is longer goes on in an overflow run. An eighth of a
    /// page: so that a branch of the longest separators still has three children.
    pub(crate) fn inline_key(self) -> usize {
        self.size / 8
    }

    /// Longest cell, without its slot. Half a page: so that a page that is too full by one cell can always
    /// be split in two.
    pub(crate) fn max_cell(self) -> usize {
        self.room() / 2 - SLOT_BYTES
    }

    /// Most bytes that the common prefix of a page counts. Leaves four real bytes of a cut key for its head.
    pub(crate) fn max_prefix(self) -> usize {
        self.inline_key() - KEY_HEAD_BYTES
    }

    /// The first page after the meta pages.
    pub(crate) fn first_page(self) -> u64 {
        HEAD_BYTES.div_ceil(self.size) as u64
    }
}

/// Why a page could not be used; who knows the tree and the keys makes an [`EngineError`] of it.
#[derive(Debug)]
pub(crate) struct Fault(Box<FaultKind>);

#[derive(Debug)]
pub(crate) enum FaultKind {
    /// The page does not hold what it should.
    Page { page: u64, what: Cow<'static, str> },
    /// Something else, which needs no place.
    Other(EngineError),
}

pub(crate) type Checked<T> = Result<T, Fault>;

impl Fault {
    #[cold]
    pub(crate) fn page(page: u64, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(FaultKind::Page { page, what: what.into() }))
    }

    pub(crate) fn kind(self) -> FaultKind {
        *self.0
    }
}

impl From<EngineError> for Fault {
    fn from(e: EngineError) -> Self {
        Self(Box::new(FaultKind::Other(e)))
    }
}

/// The checksum that a parent keeps of a page or an overflow run: XXH3, 64 bits, seed 0.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Length of what two keys have in common at the front.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// The shortest string above `high` and not above `low`, which comes behind it: what divides two pages. `None` for the
/// empty key, which comes behind nothing.
pub(crate) fn shortest_between(high: &[u8], low: &[u8]) -> Option<Vec<u8>> {
    low.get(..=common_prefix(high, low).min(low.len().checked_sub(1)?)).map(<[u8]>::to_vec)
}

/// The first four bytes of `rest` as a number that sorts as they do; what is missing counts as zero.
pub(crate) fn key_head(rest: &[u8]) -> u32 {
    if let Some(head) = rest.first_chunk::<KEY_HEAD_BYTES>() {
        return u32::from_be_bytes(*head);
    }
    let mut head = [0; KEY_HEAD_BYTES];
    head[..rest.len()].copy_from_slice(rest);
    u32::from_be_bytes(head)
}

/// Little-endian numbers at a place that may lie outside.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// See [`u16_at`].
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// See [`u16_at`].
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
