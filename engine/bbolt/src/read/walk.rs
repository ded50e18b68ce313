//! Walking a bucket's tree in key order, page by page.

use super::database::BucketRoot;
use super::page::{Leaf, Node, PageSet};
use super::{Database, MAX_DEPTH, ReadError, Source};

/// One entry of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value; of a nested bucket, the bucket's header and perhaps its inline page.
    pub value: &'a [u8],
    /// Whether it is a nested bucket. etcd has none.
    pub is_bucket: bool,
}

/// A step of [`Database::for_each`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A bucket starts.
    Bucket {
        /// Its name.
        name: &'a [u8],
    },
    /// The next entry of the bucket that started last.
    Entry {
        /// Name of the bucket.
        bucket: &'a [u8],
        /// The entry.
        entry: Entry<'a>,
    },
}

/// Children of a branch page, or the lone root, that are still to be visited, last first.
type Pending = Vec<u64>;

/// A walk over one tree. The database and the set of visited pages are handed in at each step, so that several walks can
/// share them.
pub(crate) struct TreeWalk {
    stack: Vec<Pending>,
    /// The inline bucket that the walk starts with, instead of a page.
    inline: Option<(u64, Vec<u8>)>,
    leaf: Option<Leaf>,
    /// Next entry of the leaf.
    next: usize,
    /// The last key seen; empty before the first one, as no key is.
    last_key: Vec<u8>,
    scratch: Vec<u8>,
}

impl TreeWalk {
    /// A walk that has not started.
    pub(crate) fn new(root: &BucketRoot) -> Self {
        let (stack, inline) = match root {
            BucketRoot::Page { page } => (vec![vec![*page]], None),
            BucketRoot::Inline { page, image } => (Vec::new(), Some((*page, image.clone()))),
        };
        Self { stack, inline, leaf: None, next: 0, last_key: Vec::new(), scratch: Vec::new() }
    }

    /// Ends the walk: there are no further entries.
    pub(crate) fn end(&mut self) {
        (self.stack, self.inline, self.leaf) = (Vec::new(), None, None);
    }

    /// The next entry, and the page it was found in. After an error the walk is over, or fails the same way again.
    pub(crate) fn next<S: Source>(
        &mut self,
        database: &Database<S>,
        seen: &mut PageSet,
    ) -> Result<Option<(u64, Entry<'_>)>, ReadError> {
        while self.leaf.as_ref().is_none_or(|leaf| self.next >= leaf.len()) {
            self.leaf = None;
            match self.next_leaf(database, seen) {
                Ok(Some(leaf)) => (self.leaf, self.next) = (Some(leaf), 0),
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.end();
                    return Err(error);
                }
            }
        }
        let leaf = self.leaf.as_ref().expect("the loop ends with a leaf that has an entry left");
        let entry = leaf.entry(database, self.next, &mut self.scratch)?;
        if entry.key <= self.last_key.as_slice() {
            return Err(ReadError::damaged(leaf.page(), "keys are out of order"));
        }
        self.next += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(entry.key);
        Ok(Some((leaf.page(), entry)))
    }

    /// The next leaf of the tree. Only the root may be empty.
    fn next_leaf<S: Source>(
        &mut self,
        database: &Database<S>,
        seen: &mut PageSet,
    ) -> Result<Option<Leaf>, ReadError> {
        if let Some((page, image)) = self.inline.take() {
            return Leaf::inline(page, image).map(Some);
        }
        while let Some(pending) = self.stack.last_mut() {
            let Some(page) = pending.pop() else {
                self.stack.pop();
                continue;
            };
            let run = database.page(page)?;
            seen.insert_run(&run)?;
            match database.node(run)? {
                Node::Leaf(leaf) if leaf.len() == 0 && self.stack.len() > 1 => {
                    return Err(ReadError::damaged(page, "a leaf page below the root is empty"));
                }
                Node::Leaf(leaf) => return Ok(Some(leaf)),
                Node::Branch(_) if self.stack.len() >= MAX_DEPTH => {
                    return Err(ReadError::damaged(page, "the tree is deeper than any sound one"));
                }
                Node::Branch(branch) => {
                    self.stack.push(branch.children().rev().map(|(_, child)| child).collect());
                }
            }
        }
        Ok(None)
    }
}

/// The entries of one bucket, in key order.
pub struct Entries<'d, S> {
    database: &'d Database<S>,
    walk: TreeWalk,
    seen: PageSet,
}

impl<'d, S: Source> Entries<'d, S> {
    pub(crate) fn new(database: &'d Database<S>, root: &BucketRoot) -> Self {
        Self { database, walk: TreeWalk::new(root), seen: PageSet::new(database.meta().high_water) }
    }

    /// The next entry; `None` at the end. It lives until the next call, so this is no `Iterator`.
    #[expect(clippy::should_implement_trait, reason = "an entry borrows from the walk")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ReadError> {
        Ok(self.walk.next(self.database, &mut self.seen)?.map(|(_, entry)| entry))
    }
}
