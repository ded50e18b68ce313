//! The builder of one tree, bottom-up and in one pass, over lengths or over bytes.
//!
//! Entries come in key order. They gather in the open leaf; when it is full it is put, gets its page number, and goes as
//! a child to the level above. There children gather in the open branch page in the same way. A full branch page is not
//! put at once but held until the next one of its level is full too: if the tree ends while the next one has a
//! single child, that child joins the held page, since a branch page needs two children. So each level keeps at most
//! two pages of first keys.

use super::WriteError;
use super::shape::{LARGE_ENTRY, MIN_CHILDREN, PageShape, entry_size};

/// What the builder works on: the planner gives it lengths and counts pages, the emitter gives it bytes and writes them.
pub(crate) trait Medium {
    /// A key or value as it is handed in.
    type Bytes<'a>: Copy;
    /// The first key of a page, kept until its branch page is put.
    type Key;
    /// The contents of an open leaf.
    type Leaf: Default;

    /// Takes bytes that the builder made itself (a bucket's name and value).
    fn of(bytes: &[u8]) -> Self::Bytes<'_>;
    /// Length of a key or value.
    fn len(bytes: Self::Bytes<'_>) -> usize;
    /// Keeps a key.
    fn keep(key: Self::Bytes<'_>) -> Self::Key;
    /// Length of a kept key.
    fn kept_len(key: &Self::Key) -> usize;
    /// Appends an entry to an open leaf.
    fn add(leaf: &mut Self::Leaf, flags: u32, key: Self::Bytes<'_>, value: Self::Bytes<'_>);
    /// Puts a leaf as the next pages, empties it, and returns its page number.
    fn put_leaf(&mut self, shape: PageShape, leaf: &mut Self::Leaf) -> Result<u64, WriteError>;
    /// Puts a leaf with this one entry only.
    fn put_large(
        &mut self,
        flags: u32,
        key: Self::Bytes<'_>,
        value: Self::Bytes<'_>,
    ) -> Result<u64, WriteError>;
    /// Puts a branch page.
    fn put_branch(&mut self, shape: PageShape, children: &[Child<Self::Key>]) -> Result<u64, WriteError>;
    /// The value of an inline bucket that consists of this leaf: bucket header and page image.
    fn inline(shape: PageShape, leaf: &Self::Leaf) -> Vec<u8>;
}

/// A finished page, as its parent knows it.
pub(crate) struct Child<K> {
    /// Its first key.
    pub(crate) key: K,
    /// Its page number.
    pub(crate) page: u64,
}

/// A branch page under construction.
struct Branch<K> {
    shape: PageShape,
    children: Vec<Child<K>>,
}

impl<K> Default for Branch<K> {
    fn default() -> Self {
        Self { shape: PageShape::default(), children: Vec::new() }
    }
}

impl<K> Branch<K> {
    fn push(&mut self, size: u64, child: Child<K>) {
        self.shape.add(size);
        self.children.push(child);
    }
}

/// One level of branch pages: the full one that waits, if any, and the open one.
struct Level<K> {
    held: Option<Branch<K>>,
    open: Branch<K>,
}

/// A tree under construction.
pub(crate) struct Tree<M: Medium> {
    shape: PageShape,
    leaf: M::Leaf,
    /// First key of the open leaf; `None` while it is empty.
    first: Option<M::Key>,
    /// Branch levels, lowest first. A level exists once it has a child.
    levels: Vec<Level<M::Key>>,
}

impl<M: Medium> Tree<M> {
    /// A tree without entries.
    pub(crate) fn new() -> Self {
        Self { shape: PageShape::default(), leaf: M::Leaf::default(), first: None, levels: Vec::new() }
    }

    /// Appends an entry. The caller has checked lengths and order.
    pub(crate) fn entry(
        &mut self,
        medium: &mut M,
        flags: u32,
        key: M::Bytes<'_>,
        value: M::Bytes<'_>,
    ) -> Result<(), WriteError> {
        let size = entry_size(M::len(key), M::len(value));
        if size >= LARGE_ENTRY {
            self.close_leaf(medium)?;
            let page = medium.put_large(flags, key, value)?;
            return self.attach(medium, 0, Child { key: M::keep(key), page });
        }
        if self.shape.leaf_closes_before(size) {
            self.close_leaf(medium)?;
        }
        if self.first.is_none() {
            self.first = Some(M::keep(key));
        }
        M::add(&mut self.leaf, flags, key, value);
        self.shape.add(size);
        Ok(())
    }

    /// The value of the bucket if all of it fits inline, else `None`.
    pub(crate) fn inline(&self) -> Option<Vec<u8>> {
        (self.levels.is_empty() && self.shape.fits_inline()).then(|| M::inline(self.shape, &self.leaf))
    }

    /// Puts what is left and returns the root page. A tree without entries is one empty leaf.
    pub(crate) fn finish(mut self, medium: &mut M) -> Result<u64, WriteError> {
        if self.levels.is_empty() && self.first.is_none() {
            return medium.put_leaf(self.shape, &mut self.leaf);
        }
        self.close_leaf(medium)?;
        let mut level = 0;
        loop {
            let Level { held, mut open } = std::mem::take(&mut self.levels[level]);
            let Some(mut held) = held else {
                // Nothing was ever put at this level, so there is none above it.
                return if open.children.len() < MIN_CHILDREN {
                    Ok(open.children[0].page)
                } else {
                    medium.put_branch(open.shape, &open.children)
                };
            };
            if open.children.len() < MIN_CHILDREN {
                for child in open.children.drain(..) {
                    held.push(entry_size(M::kept_len(&child.key), 0), child);
                }
                self.put_branch(medium, level, held)?;
            } else {
                self.put_branch(medium, level, held)?;
                self.put_branch(medium, level, open)?;
            }
            level += 1;
        }
    }

    /// Puts the open leaf, unless it is empty.
    fn close_leaf(&mut self, medium: &mut M) -> Result<(), WriteError> {
        let Some(key) = self.first.take() else { return Ok(()) };
        let shape = std::mem::take(&mut self.shape);
        let page = medium.put_leaf(shape, &mut self.leaf)?;
        self.attach(medium, 0, Child { key, page })
    }

    /// Puts a branch page of `level` and makes it a child of the level above.
    fn put_branch(&mut self, medium: &mut M, level: usize, branch: Branch<M::Key>) -> Result<(), WriteError> {
        let page = medium.put_branch(branch.shape, &branch.children)?;
        let first =
            branch.children.into_iter().next().expect("a branch page is put with two children or more");
        self.attach(medium, level + 1, Child { key: first.key, page })
    }

    /// Adds a child to branch level `level`. At most one page of each level above is put on the way; the recursion is
    /// as deep as the tree is high.
    fn attach(&mut self, medium: &mut M, level: usize, child: Child<M::Key>) -> Result<(), WriteError> {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        let size = entry_size(M::kept_len(&child.key), 0);
        let Level { held, open } = &mut self.levels[level];
        let mut certain = None;
        if open.shape.branch_closes_before(size) {
            certain = held.replace(std::mem::take(open));
        }
        open.push(size, child);
        match certain {
            Some(branch) => self.put_branch(medium, level, branch),
            None => Ok(()),
        }
    }
}

impl<K> Default for Level<K> {
    fn default() -> Self {
        Self { held: None, open: Branch::default() }
    }
}
