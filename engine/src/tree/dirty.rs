//! The pages and overflow runs that a transaction has changed and not yet written.
//!
//! While it has no place in the file, a page is known by a number with the bit [`UNPLACED`] set and its
//! index in here below it; parents hold that number where they will hold the page's own.

use super::edit::Path;
use crate::page::{Checked, Fault, Geometry, HEADER_BYTES, Kind, Node, PageBuf, RunRef, UNPLACED, build_run};

/// Buffers that are kept for the next transaction.
const SPARE_LIMIT: usize = 1024;

/// Something that has no place yet.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Vacant,
    /// Taken out for a moment.
    Lent,
    Page(PageBuf),
    /// The bytes of a run, padded to whole pages.
    Run {
        bytes: Vec<u8>,
        key_bytes: usize,
        value_bytes: usize,
    },
}

impl Item {
    /// The bytes of the page or run.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Page(page) => page.bytes(),
            Self::Run { bytes, .. } => bytes,
            Self::Vacant | Self::Lent => &[],
        }
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub(crate) struct Dirty {
    geometry: Geometry,
    items: Vec<Item>,
    vacant: Vec<u32>,
    spare: Vec<Box<[u8]>>,
    /// By tree, the way to its last leaf, for as long as it is known to be the way.
    edges: Vec<Option<Path>>,
}

impl Dirty {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, items: Vec::new(), vacant: Vec::new(), spare: Vec::new(), edges: Vec::new() }
    }

    /// Pages and runs in here.
    pub(super) fn count(&self) -> usize {
        self.items.len() - self.vacant.len()
    }

    /// Forgets everything but the buffers.
    pub(super) fn clear(&mut self) {
        while let Some(item) = self.items.pop() {
            self.keep_buffer(item);
        }
        self.vacant.clear();
        self.edges.clear();
    }

    /// The way to the last leaf of a tree, if it is known.
    #[inline]
    pub(super) fn edge(&self, tree: u8) -> Option<&Path> {
        self.edges.get(usize::from(tree))?.as_ref()
    }

    /// Remembers the way to the last leaf of a tree. Whoever changes which pages are on it, or their slots, forgets it.
    pub(super) fn set_edge(&mut self, tree: u8, path: &Path) {
        let index = usize::from(tree);
        if self.edges.len() <= index {
            self.edges.resize(index + 1, None);
        }
        self.edges[index] = Some(*path);
    }

    /// Ends [`Dirty::set_edge`].
    #[inline]
    pub(super) fn forget_edge(&mut self, tree: u8) {
        if let Some(edge) = self.edges.get_mut(usize::from(tree)) {
            *edge = None;
        }
    }

    fn keep_buffer(&mut self, item: Item) {
        if let Item::Page(page) = item
            && self.spare.len() < SPARE_LIMIT
        {
            self.spare.push(page.into_bytes());
        }
    }

    fn buffer(&mut self) -> Box<[u8]> {
        self.spare.pop().unwrap_or_else(|| vec![0; self.geometry.size].into_boxed_slice())
    }

    /// An empty page, not yet in here.
    pub(super) fn fresh(&mut self, tree: u8, level: u8) -> PageBuf {
        PageBuf::empty(self.buffer(), tree, level)
    }

    /// A copy of a page of the file, not yet in here.
    pub(super) fn copy(&mut self, node: Node<'_>) -> Checked<PageBuf> {
        PageBuf::copy_of(node, self.buffer())
    }

    /// Takes an item in and returns its unplaced number.
    pub(super) fn add(&mut self, item: Item) -> u64 {
        let index = if let Some(index) = self.vacant.pop() {
            self.items[index as usize] = item;
            u64::from(index)
        } else {
            self.items.push(item);
            self.items.len() as u64 - 1
        };
        index | UNPLACED
    }

    /// Takes in a run for this key and value.
    pub(super) fn add_run(&mut self, tree: u8, key: &[u8], value: &[u8]) -> RunRef {
        let bytes = build_run(self.geometry, tree, key, value);
        let page = self.add(Item::Run { bytes, key_bytes: key.len(), value_bytes: value.len() });
        RunRef { page, checksum: 0, txn: 0, key_bytes: key.len() as u32, value_bytes: value.len() as u32 }
    }

    fn item(&self, number: u64) -> Option<&Item> {
        self.items.get((number & !UNPLACED) as usize)
    }

    #[inline]
    pub(super) fn page(&self, number: u64) -> Checked<&PageBuf> {
        match self.item(number) {
            Some(Item::Page(page)) => Ok(page),
            _ => Err(Fault::page(number, "its number is not one of this transaction's pages")),
        }
    }

    #[inline]
    pub(super) fn page_mut(&mut self, number: u64) -> Checked<&mut PageBuf> {
        match self.items.get_mut((number & !UNPLACED) as usize) {
            Some(Item::Page(page)) => Ok(page),
            _ => Err(Fault::page(number, "its number is not one of this transaction's pages")),
        }
    }

    /// Key and value of a run in here.
    pub(super) fn run(&self, run: &RunRef) -> Checked<(&[u8], &[u8])> {
        match self.item(run.page) {
            Some(Item::Run { bytes, key_bytes, value_bytes }) => {
                debug_assert_eq!(bytes[0], Kind::Run as u8, "built as a run");
                let (key, rest) = bytes[HEADER_BYTES..].split_at(*key_bytes);
                Ok((key, &rest[..*value_bytes]))
            }
            _ => Err(Fault::page(run.page, "its number is not one of this transaction's runs")),
        }
    }

    /// Takes an item out; its number may be given to another.
    pub(super) fn take(&mut self, number: u64) -> Checked<Item> {
        self.edges.clear();
        let index = (number & !UNPLACED) as usize;
        match self.items.get_mut(index) {
            Some(Item::Vacant) | None => {
                Err(Fault::page(number, "its number is not one of this transaction's pages"))
            }
            Some(item) => {
                let item = std::mem::replace(item, Item::Vacant);
                self.vacant.push(index as u32);
                Ok(item)
            }
        }
    }

    /// Takes a page out for a moment; [`Dirty::put_back`] ends it.
    pub(super) fn take_page(&mut self, number: u64) -> Checked<PageBuf> {
        match self.items.get_mut((number & !UNPLACED) as usize) {
            Some(item @ Item::Page(_)) => match std::mem::replace(item, Item::Lent) {
                Item::Page(page) => Ok(page),
                other => {
                    *item = other;
                    Err(Fault::page(number, "its number is not one of this transaction's pages"))
                }
            },
            _ => Err(Fault::page(number, "its number is not one of this transaction's pages")),
        }
    }

    /// Ends [`Dirty::take_page`].
    pub(super) fn put_back(&mut self, number: u64, page: PageBuf) -> Checked<()> {
        match self.items.get_mut((number & !UNPLACED) as usize) {
            Some(item @ Item::Lent) => {
                *item = Item::Page(page);
                Ok(())
            }
            _ => Err(Fault::page(number, "its number is not one of this transaction's pages")),
        }
    }

    /// Forgets one item.
    pub(super) fn drop_item(&mut self, number: u64) -> Checked<()> {
        let item = self.take(number)?;
        self.keep_buffer(item);
        Ok(())
    }

    /// Keeps the buffer of a page that has been written.
    pub(super) fn recycle(&mut self, item: Item) {
        self.keep_buffer(item);
    }
}
