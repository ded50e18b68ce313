//! Fetching pages: from the file, checked on first touch, or from the transaction that changed them.

use std::sync::Arc;

use super::dirty::Dirty;
use super::verified::Verified;
use crate::error::{Corruption, EngineError};
use crate::file::{FileError, PageFile};
use crate::page::{
    Checked, Child, FREE_TREE, Fault, FaultKind, Geometry, LongKeys, Node, RunRef, UNPLACED, checksum,
    prefetch_lines, read_run,
};

/// Lines of a page that are asked for when it is visited: header, heads and places of a leaf of some fifty
/// entries, and of a branch of some ninety children. They are needed one after the other.
const LEAF_HEAD_LINES: usize = 5;
/// See [`LEAF_HEAD_LINES`].
const BRANCH_HEAD_LINES: usize = 9;

/// Asks for the part of a page that a search goes through first.
#[inline]
fn prefetch_front(page: &[u8], level: u8) {
    prefetch_lines(page, if level == 0 { LEAF_HEAD_LINES } else { BRANCH_HEAD_LINES });
}

/// The pages of one file.
pub(crate) struct Pages {
    pub(crate) file: Arc<dyn PageFile>,
    pub(crate) geometry: Geometry,
    shift: u32,
    first_page: u64,
    pub(super) verified: Verified,
    /// Names of the trees, by number less one.
    names: Vec<String>,
    /// For tests of what happens when damage has got a right checksum.
    #[cfg(test)]
    pub(super) any_checksum_is_right: std::sync::atomic::AtomicBool,
}

impl Pages {
    pub(crate) fn new(
        file: Arc<dyn PageFile>,
        geometry: Geometry,
        reserve_bytes: u64,
        names: Vec<String>,
    ) -> Self {
        let shift = geometry.size.trailing_zeros();
        Self {
            file,
            geometry,
            shift,
            first_page: geometry.first_page(),
            verified: Verified::new(reserve_bytes >> shift),
            names,
            #[cfg(test)]
            any_checksum_is_right: false.into(),
        }
    }

    /// Name of a tree, by its number in the file.
    pub(crate) fn tree_name(&self, tree: u8) -> String {
        match tree {
            FREE_TREE => "free".to_owned(),
            _ => self.names.get(tree as usize - 1).cloned().unwrap_or_else(|| format!("number {tree}")),
        }
    }

    /// Offset of a page in the file.
    pub(crate) fn offset(&self, page: u64) -> Option<u64> {
        page.checked_mul(1 << self.shift)
    }

    /// The bytes of `pages` pages from `page` on.
    #[inline]
    pub(crate) fn raw(&self, page: u64, pages: u64) -> Checked<&[u8]> {
        let bytes = pages.checked_mul(1 << self.shift);
        match (self.offset(page), bytes) {
            (Some(offset), Some(bytes)) if page >= self.first_page => {
                self.file.bytes(offset, bytes as usize).map_err(|_| self.outside(page))
            }
            _ => Err(self.outside(page)),
        }
    }

    /// Says that pages will be read soon. Numbers outside the file are ignored.
    pub(super) fn will_need(&self, page: u64, pages: u64) {
        if let (Some(offset), Some(bytes)) = (self.offset(page), pages.checked_mul(1 << self.shift)) {
            self.file.will_need(offset, bytes);
        }
    }

    #[cold]
    fn outside(&self, page: u64) -> Fault {
        let len = self.file.len() >> self.shift;
        Fault::page(page, format!("its number lies outside the file, which has {len} pages"))
    }

    /// A leaf or branch of the file, compared with the parent's checksum when it is first touched.
    #[inline]
    pub(crate) fn node(&self, tree: u8, level: u8, child: &Child) -> Checked<Node<'_>> {
        let bytes = self.raw(child.page, 1)?;
        prefetch_front(bytes, level);
        let node = Node::of(bytes)?;
        node.expect(tree, level, child.page)?;
        if !self.verified.contains(child.page) {
            self.verify(child, node)?;
        }
        Ok(node)
    }

    /// What a page must stand when it is first touched: its checksum, and slots and cells that are sound, so
    /// that nobody who changes it later need look again.
    #[cold]
    fn verify(&self, child: &Child, node: Node<'_>) -> Checked<()> {
        self.compare(child.page, child.checksum, node.bytes())?;
        node.validate()?;
        self.verified.insert(child.page);
        Ok(())
    }

    /// Compares bytes with the checksum that their parent holds.
    #[cfg_attr(not(test), allow(clippy::unused_self))] // a test can make any checksum right
    pub(crate) fn compare(&self, page: u64, want: u64, bytes: &[u8]) -> Checked<()> {
        #[cfg(test)]
        if self.any_checksum_is_right.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        if checksum(bytes) == want {
            return Ok(());
        }
        Err(Fault::page(page, "its checksum is not the one that its parent holds"))
    }

    /// Key and value of an overflow run.
    pub(crate) fn run(&self, tree: u8, run: &RunRef) -> Checked<(&[u8], &[u8])> {
        let bytes = self.raw(run.page, run.pages(self.geometry))?;
        if !self.verified.contains(run.page) {
            self.compare(run.page, run.checksum, bytes)?;
            self.verified.insert(run.page);
        }
        read_run(bytes, self.geometry, tree, run)
    }

    /// Tells the world of a fault.
    #[cold]
    pub(crate) fn error(
        &self,
        tree: u8,
        fault: Fault,
        from: Option<Vec<u8>>,
        to: Option<Vec<u8>>,
    ) -> EngineError {
        match fault.kind() {
            FaultKind::Other(e) => e,
            FaultKind::Page { page, what } => EngineError::Corrupt(Box::new(Corruption {
                file: self.file.name(),
                page,
                tree: self.tree_name(tree),
                what: what.into_owned(),
                from,
                to,
            })),
        }
    }
}

impl From<FileError> for Fault {
    fn from(e: FileError) -> Self {
        Self::from(EngineError::File(e))
    }
}

/// Pages as a snapshot or a transaction sees them.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) pages: &'a Pages,
    /// The pages that the transaction has changed.
    pub(crate) dirty: Option<&'a Dirty>,
}

impl<'a> Reader<'a> {
    /// A leaf or branch.
    #[inline]
    pub(crate) fn node(self, tree: u8, level: u8, child: &Child) -> Checked<Node<'a>> {
        if child.page & UNPLACED == 0 {
            return self.pages.node(tree, level, child);
        }
        match self.dirty {
            Some(dirty) => Ok(dirty.page(child.page)?.node()),
            None => Err(Fault::page(child.page, "its number lies outside every file")),
        }
    }

    /// Asks for the front of a page that will be visited soon. One that lies outside the file is left to the
    /// visit to tell of.
    #[inline]
    pub(crate) fn prefetch(self, page: u64, level: u8) {
        if page & UNPLACED == 0
            && let Ok(bytes) = self.pages.raw(page, 1)
        {
            prefetch_front(bytes, level);
        }
    }

    /// Key and value of an overflow run.
    pub(crate) fn run(self, tree: u8, run: &RunRef) -> Checked<(&'a [u8], &'a [u8])> {
        if run.page & UNPLACED == 0 {
            return self.pages.run(tree, run);
        }
        match self.dirty {
            Some(dirty) => dirty.run(run),
            None => Err(Fault::page(run.page, "its number lies outside every file")),
        }
    }
}

impl LongKeys for Reader<'_> {
    fn long_key(&self, tree: u8, run: &RunRef) -> Checked<&[u8]> {
        Ok(self.run(tree, run)?.0)
    }
}
