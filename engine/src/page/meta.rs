//! The two meta pages: what the file is, and where the newest durable trees are.
//!
//! They stand at fixed offsets, 0 and 4096, whatever the page size, so that the second can be found when
//! the first is unreadable. A checkpoint writes the one that does not hold the newest durable state. Magic
//! number, version, and the place and kind of the checksum will never change, so that any release can tell
//! a newer file from a damaged one.
//!
//! ```text
//!    0  magic           8     "HOLDFAST"
//!    8  version         u32
//!   12  page_bytes      u32
//!   16  txn             u64
//!   24  mark            u64
//!   32  high_water      u64   pages from here on have never been used
//!   40  free_pages      u64   pages in the free tree
//!   48  trees           u32   entries of the table
//!   52  (zero)          12
//!   64  free tree       64    a table entry with the name "free"
//!  128  (zero)          128
//!  256  table           64 × trees
//!       per entry: name_bytes u8 · name 22 · depth u8 · root u64 · checksum u64 · count u64 · stamp u64 · (zero) 8
//! 4088  checksum        u64   XXH3 of bytes 0..4088
//! ```

use super::{Geometry, PAGE_SIZES, checksum, u32_at, u64_at};
use crate::tree::TreeRoot;

/// Version of the format that this release writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Bytes of a meta page, whatever the page size.
pub(crate) const META_BYTES: usize = 4096;
/// Where the two meta pages are.
pub(crate) const META_OFFSETS: [u64; 2] = [0, META_BYTES as u64];
/// Bytes at the front of the file that belong to the meta pages.
pub(crate) const HEAD_BYTES: usize = 2 * META_BYTES;
/// Most named trees: what fits into a meta page.
pub(crate) const TREE_LIMIT: usize = (CHECKSUM_AT - TABLE_AT) / ENTRY_BYTES;
/// Longest name of a tree.
pub(crate) const TREE_NAME_BYTES: usize = 22;

const MAGIC: &[u8; 8] = b"HOLDFAST";
const FREE_AT: usize = 64;
const TABLE_AT: usize = 256;
const ENTRY_BYTES: usize = 64;
const CHECKSUM_AT: usize = META_BYTES - 8;
/// Magic number of bbolt, and where its meta page (after a page header of 16 bytes) has it.
const BBOLT_MAGIC: u32 = 0xED0C_DAED;
const BBOLT_MAGIC_AT: usize = 16;

/// A tree in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedRoot {
    pub(crate) name: String,
    pub(crate) root: TreeRoot,
}

/// What a meta page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) page_size: u32,
    pub(crate) txn: u64,
    pub(crate) mark: u64,
    pub(crate) high_water: u64,
    pub(crate) free_pages: u64,
    pub(crate) free: TreeRoot,
    /// In the order of their numbers, which begin at 1.
    pub(crate) trees: Vec<NamedRoot>,
}

/// What was found where a meta page should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetaSlot {
    Valid(Box<Meta>),
    /// Whole, but of a later format.
    Newer(u32),
    /// It has our magic number, and something is wrong with it.
    Damaged(String),
    /// It has not even our magic number.
    Foreign,
}

/// Whether the front of the file is that of a bbolt database.
pub(crate) fn looks_like_bbolt(head: &[u8]) -> bool {
    u32_at(head, BBOLT_MAGIC_AT) == Some(BBOLT_MAGIC)
}

impl Meta {
    /// The bytes of the page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; META_BYTES];
        page[..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.page_size.to_le_bytes());
        for (n, field) in [self.txn, self.mark, self.high_water, self.free_pages].into_iter().enumerate() {
            page[16 + n * 8..24 + n * 8].copy_from_slice(&field.to_le_bytes());
        }
        page[48..52].copy_from_slice(&(self.trees.len() as u32).to_le_bytes());
        encode_entry(&mut page[FREE_AT..], "free", &self.free);
        for (n, tree) in self.trees.iter().enumerate() {
            encode_entry(&mut page[TABLE_AT + n * ENTRY_BYTES..], &tree.name, &tree.root);
        }
        let sum = checksum(&page[..CHECKSUM_AT]);
        page[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        page
    }

    /// Reads a page of [`META_BYTES`] bytes.
    pub(crate) fn decode(page: &[u8]) -> MetaSlot {
        if page.get(..8) != Some(MAGIC.as_slice()) {
            return MetaSlot::Foreign;
        }
        if page.get(..CHECKSUM_AT).map(checksum) != u64_at(page, CHECKSUM_AT) {
            return MetaSlot::Damaged("its checksum is wrong".to_owned());
        }
        match u32_at(page, 8) {
            Some(version) if version > FORMAT_VERSION => return MetaSlot::Newer(version),
            Some(FORMAT_VERSION) => {}
            _ => return MetaSlot::Damaged("its format version never existed".to_owned()),
        }
        match Self::decode_fields(page) {
            Some(meta) => meta.sound(),
            None => MetaSlot::Damaged("its table of trees cannot be read".to_owned()),
        }
    }

    fn decode_fields(page: &[u8]) -> Option<Self> {
        let count = u32_at(page, 48)? as usize;
        if count > TREE_LIMIT {
            return None;
        }
        let trees = (0..count).map(|n| decode_entry(page.get(TABLE_AT + n * ENTRY_BYTES..)?));
        Some(Self {
            page_size: u32_at(page, 12)?,
            txn: u64_at(page, 16)?,
            mark: u64_at(page, 24)?,
            high_water: u64_at(page, 32)?,
            free_pages: u64_at(page, 40)?,
            free: decode_entry(page.get(FREE_AT..)?)?.root,
            trees: trees.collect::<Option<_>>()?,
        })
    }

    /// Refuses what no checkpoint writes.
    fn sound(self) -> MetaSlot {
        let size = self.page_size;
        if !size.is_power_of_two() || !PAGE_SIZES.contains(&size) {
            return MetaSlot::Damaged(format!("a page size of {size} is impossible"));
        }
        let first = Geometry { size: size as usize }.first_page();
        if self.high_water < first || self.high_water.checked_mul(u64::from(size)).is_none() {
            return MetaSlot::Damaged(format!(
                "a high-water mark of {} pages is impossible",
                self.high_water
            ));
        }
        for (n, tree) in self.trees.iter().enumerate() {
            if tree.name.is_empty() || self.trees[..n].iter().any(|other| other.name == tree.name) {
                return MetaSlot::Damaged(format!("tree {} has no name of its own: {:?}", n + 1, tree.name));
            }
        }
        let roots = self.trees.iter().map(|tree| &tree.root).chain([&self.free]);
        if roots.into_iter().any(|root| root.depth > 0 && !(first..self.high_water).contains(&root.page)) {
            return MetaSlot::Damaged("the root of a tree lies outside the pages in use".to_owned());
        }
        MetaSlot::Valid(Box::new(self))
    }
}

fn encode_entry(entry: &mut [u8], name: &str, root: &TreeRoot) {
    debug_assert!(name.len() <= TREE_NAME_BYTES, "checked when the database was opened");
    entry[0] = name.len() as u8;
    entry[1..=name.len()].copy_from_slice(name.as_bytes());
    entry[23] = root.depth;
    for (n, field) in [root.page, root.checksum, root.count, root.stamp].into_iter().enumerate() {
        entry[24 + n * 8..32 + n * 8].copy_from_slice(&field.to_le_bytes());
    }
}

fn decode_entry(entry: &[u8]) -> Option<NamedRoot> {
    let name = entry.get(1..1 + (*entry.first()? as usize).min(TREE_NAME_BYTES))?;
    let root = TreeRoot {
        depth: *entry.get(23)?,
        page: u64_at(entry, 24)?,
        checksum: u64_at(entry, 32)?,
        count: u64_at(entry, 40)?,
        stamp: u64_at(entry, 48)?,
    };
    Some(NamedRoot { name: std::str::from_utf8(name).ok()?.to_owned(), root })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn example() -> Meta {
        let root = TreeRoot { page: 7, checksum: 8, count: 9, stamp: 10, depth: 2 };
        Meta {
            page_size: 4096,
            txn: 3,
            mark: 44,
            high_water: 100,
            free_pages: 5,
            free: TreeRoot { page: 11, checksum: 12, count: 1, stamp: 1, depth: 1 },
            trees: vec![
                NamedRoot { name: "records".into(), root },
                NamedRoot { name: "a name of 22 bytes....".into(), root: TreeRoot::default() },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Meta::decode(&example().encode()), MetaSlot::Valid(Box::new(example())));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let page = example().encode();
        for bit in 0..page.len() * 8 {
            let mut bad = page.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Meta::decode(&bad), MetaSlot::Damaged(_) | MetaSlot::Foreign), "bit {bit}");
        }
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut page = example().encode();
        page[8] = 9;
        assert!(matches!(Meta::decode(&page), MetaSlot::Damaged(_)));
        let sum = checksum(&page[..CHECKSUM_AT]);
        page[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(Meta::decode(&page), MetaSlot::Newer(9));
    }

    #[test]
    fn impossible_fields_under_a_right_checksum_are_damage() {
        for change in [
            |m: &mut Meta| m.page_size = 4097,
            |m: &mut Meta| m.page_size = 1 << 30,
            |m: &mut Meta| m.high_water = 1,
            |m: &mut Meta| m.high_water = u64::MAX,
            |m: &mut Meta| m.trees[0].root.page = 100,
            |m: &mut Meta| m.free.page = 1,
            |m: &mut Meta| m.trees[1].name = m.trees[0].name.clone(),
            |m: &mut Meta| m.trees[1].name.clear(),
        ] {
            let mut meta = example();
            change(&mut meta);
            assert!(matches!(Meta::decode(&meta.encode()), MetaSlot::Damaged(_)));
        }
    }
}
