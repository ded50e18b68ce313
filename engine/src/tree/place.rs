//! Giving changed pages their places in the file, and writing them.
//!
//! The pages of a tree are placed from the leaves upwards, because a parent holds number and checksum of
//! each child. Places are asked for in that order too: a batch that goes behind the end of the file becomes
//! one extent, and in freed space the lowest pages are used first. A page of a transaction is written as
//! soon as it has its place, while the processor's cache still holds it from the checksum.
//!
//! Each page is a write of its own, even beside its neighbour. Linux caches what one call writes in one
//! piece (a large folio), and ext4 walks all blocks of that piece for every later write into it: changing
//! one page of 4 KiB at a random place took 1.5 µs where the file had been written page by page, 5 µs where
//! it had been written by 128 KiB, 19 µs by 1 MiB. Writing a fresh stretch page by page costs no more than
//! 0.5 µs a page.

use super::StampFn;
use super::dirty::{Dirty, Item};
use super::edit::entry_stamp;
use super::pages::Pages;
use super::root::TreeRoot;
use crate::error::EngineError;
use crate::file::FileError;
use crate::page::{Checked, Child, Fault, Header, PageBuf, RunRef, Stored, UNPLACED, checksum};

/// Most bytes that one call writes: see the module head. Runs are written whole and read whole, so some more.
const WRITE_BYTES: usize = 16 << 10;

/// A page or a run that has its place and waits to be written.
pub(super) struct Block {
    number: u64,
    item: Item,
}

impl Block {
    pub(super) fn new(number: u64, item: Item) -> Self {
        Self { number, item }
    }
}

/// Takes a page or run that has its place: writes it, and gives it back so that its buffer can be used again,
/// or keeps it.
pub(super) type Sink<'a> = dyn FnMut(u64, Item) -> Checked<Option<Item>> + 'a;

/// Places the changed pages of one tree.
pub(super) struct Placer<'a> {
    pub(super) dirty: &'a mut Dirty,
    pub(super) txn: u64,
    pub(super) stamp: StampFn,
    /// Finds contiguous free pages.
    pub(super) take: &'a mut dyn FnMut(u64) -> Checked<u64>,
    pub(super) sink: &'a mut Sink<'a>,
}

impl Placer<'_> {
    /// Places everything of the tree that has no place yet, and the root with it.
    pub(super) fn place(&mut self, root: &mut TreeRoot) -> Checked<()> {
        if root.depth > 0 && root.page & UNPLACED != 0 {
            let top = self.page(&root.as_child())?;
            (root.page, root.checksum, root.stamp) = (top.page, top.checksum, top.stamp);
        }
        Ok(())
    }

    fn page(&mut self, child: &Child) -> Checked<Child> {
        let Item::Page(mut page) = self.dirty.take(child.page)? else {
            return Err(Fault::page(child.page, "it is a run where a page is expected"));
        };
        let stamp = if page.node().is_leaf() {
            self.leaf(&mut page, child.stamp)?
        } else {
            self.branch(&mut page, child.stamp)?
        };
        let number = (self.take)(1)?;
        page.set_place(number, self.txn);
        let checksum = checksum(page.bytes());
        self.give(number, Item::Page(page))?;
        Ok(Child { page: number, checksum, count: child.count, stamp })
    }

    fn give(&mut self, number: u64, item: Item) -> Checked<()> {
        if let Some(item) = (self.sink)(number, item)? {
            self.dirty.recycle(item);
        }
        Ok(())
    }

    /// Places the runs of a leaf, and finds its greatest stamp.
    fn leaf(&mut self, page: &mut PageBuf, known: u64) -> Checked<u64> {
        if page.new_runs {
            for i in 0..page.count() {
                if let Stored::Run { run, .. } = page.node().entry(i)?.stored {
                    self.run_of(page, i, run)?;
                }
            }
        }
        if !page.loose_stamp {
            return Ok(known);
        }
        let mut greatest = 0;
        for i in 0..page.count() {
            greatest = greatest.max(entry_stamp(page, i, self.stamp)?);
        }
        Ok(greatest)
    }

    /// Places the children of a branch, and finds the greatest stamp below it: the known one, unless
    /// something that had it may have gone.
    fn branch(&mut self, page: &mut PageBuf, known: u64) -> Checked<u64> {
        let mut loose = page.loose_stamp;
        for i in 0..page.count() {
            if page.node().child_page(i)? & UNPLACED != 0 {
                let before = page.node().child(i)?;
                let child = self.page(&before)?;
                loose |= child.stamp < before.stamp;
                page.set_child(i, &child)?;
            }
            if page.new_runs
                && let Some(run) = page.node().separator(i)?.long
            {
                self.run_of(page, i, run)?;
            }
        }
        if !loose {
            return Ok(known);
        }
        let mut greatest = 0;
        for i in 0..page.count() {
            greatest = greatest.max(page.node().child(i)?.stamp);
        }
        Ok(greatest)
    }

    /// Places the run that slot `i` refers to, if it has no place yet.
    fn run_of(&mut self, page: &mut PageBuf, i: usize, run: RunRef) -> Checked<()> {
        if run.page & UNPLACED == 0 {
            return Ok(());
        }
        let Item::Run { mut bytes, key_bytes, value_bytes } = self.dirty.take(run.page)? else {
            return Err(Fault::page(run.page, "it is a page where a run is expected"));
        };
        let number = (self.take)(run.pages(page.geometry()))?;
        Header::write_place(&mut bytes, number, self.txn);
        let placed = RunRef { page: number, checksum: checksum(&bytes), txn: self.txn, ..run };
        self.give(number, Item::Run { bytes, key_bytes, value_bytes })?;
        page.set_run_place(i, &placed)
    }
}

/// Writes a page or a run to its place, and returns its bytes. The file is long enough.
pub(super) fn write_item(pages: &Pages, number: u64, item: &Item) -> Result<u64, EngineError> {
    let bytes = item.bytes();
    let start = number * pages.geometry.size as u64;
    let mut at = start;
    for piece in bytes.chunks(WRITE_BYTES.max(pages.geometry.size)) {
        pages.file.write_at(at, &[piece])?;
        at += piece.len() as u64;
    }
    pages.verified.insert(number);
    Ok(at - start)
}

/// Writes placed blocks, lowest first. Returns the bytes written.
pub(super) fn write_blocks(pages: &Pages, blocks: &mut [Block]) -> Result<u64, EngineError> {
    blocks.sort_unstable_by_key(|block| block.number);
    let mut written = 0;
    for block in blocks {
        written += write_item(pages, block.number, &block.item)?;
    }
    Ok(written)
}

/// Keeps the buffers of what has been written.
pub(super) fn recycle(dirty: &mut Dirty, blocks: Vec<Block>) {
    for block in blocks {
        dirty.recycle(block.item);
    }
}

/// How much a file of such a length grows at a time: a sixteenth of it, but at least 256 KiB and at most
/// 64 MiB, so that growing is rare and little is left unused.
pub(super) fn growth_bytes(len: u64) -> u64 {
    const LEAST_BYTES: u64 = 256 << 10;
    const MOST_BYTES: u64 = 64 << 20;
    (len / 16).clamp(LEAST_BYTES, MOST_BYTES)
}

/// Makes the file long enough for `high_water` pages, and some more; when the disk has no room for that, by
/// what is needed.
pub(super) fn grow(pages: &Pages, high_water: u64, limit_bytes: u64) -> Result<(), EngineError> {
    let size = pages.geometry.size as u64;
    let (need, len) = (high_water * size, pages.file.len());
    if need <= len {
        return Ok(());
    }
    let error = |what: String| {
        let why = std::io::Error::new(std::io::ErrorKind::QuotaExceeded, what);
        FileError::new(&pages.file.name(), "grow", len, need - len, why)
    };
    if need > limit_bytes {
        return Err(
            error(format!("the limit of {limit_bytes} bytes for the database file is reached")).into()
        );
    }
    let roomy = (len + growth_bytes(len)).max(need).next_multiple_of(size).min(limit_bytes);
    match pages.file.set_len(roomy) {
        Err(e) if roomy > need && no_room(&e) => Ok(pages.file.set_len(need)?),
        result => Ok(result?),
    }
}

/// Whether a file could not grow because there was no room for that much.
fn no_room(e: &FileError) -> bool {
    use std::io::ErrorKind;
    matches!(e.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
