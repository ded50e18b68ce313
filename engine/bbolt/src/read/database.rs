//! An opened database: its meta page, its buckets, and look-ups by key.

use super::page::{Leaf, Node, PageSet};
use super::walk::{Entries, Item, TreeWalk};
use super::{MAX_DEPTH, ReadError, Source};
use crate::format::{BUCKET_HEADER_LEN, META_LEN, Meta, u64_at};

/// Page sizes that bbolt may have used: 1024 · 2^i for i = 0 … 14.
const SMALLEST_PAGE: u64 = 1024;
const LARGEST_PAGE: u64 = SMALLEST_PAGE << 14;

/// What the reader refuses to load, so that a hostile file cannot make it take memory at will.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Longest value, in bytes. The default is 256 MiB; etcd itself refuses requests above 1.5 MiB unless told otherwise.
    pub max_value_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { max_value_bytes: 256 << 20 }
    }
}

/// A database file that was opened for reading.
///
/// Opening chooses the valid meta page with the higher transaction number. The file must not be written meanwhile
/// (a running etcd holds a lock on its file; a snapshot is at rest).
pub struct Database<S> {
    source: S,
    meta: Meta,
    limits: ReadLimits,
}

impl<S: Source> Database<S> {
    /// Opens with the default limits.
    pub fn open(source: S) -> Result<Self, ReadError> {
        Self::open_with(source, ReadLimits::default())
    }

    /// Opens with limits of the caller's.
    pub fn open_with(source: S, limits: ReadLimits) -> Result<Self, ReadError> {
        let file_len = source.size().map_err(|source| ReadError::Io { offset: 0, len: 0, source })?;
        let meta = newest_meta(&source, file_len)?.ok_or(ReadError::NoMeta)?;
        let page_size = u64::from(meta.page_size);
        if !page_size.is_power_of_two() || !(SMALLEST_PAGE..=LARGEST_PAGE).contains(&page_size) {
            return Err(ReadError::PageSize { page_size: meta.page_size });
        }
        if meta.high_water > file_len / page_size {
            let (pages, page_size) = (meta.high_water, meta.page_size);
            return Err(ReadError::CutShort { pages, page_size, file_len });
        }
        Ok(Self { source, meta, limits })
    }

    /// The meta page in force.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Bytes of the content: pages in use times page size. The file may be longer.
    pub fn size(&self) -> u64 {
        self.meta.high_water * self.page_size()
    }

    /// Walks the named buckets in bytewise order.
    pub fn buckets(&self) -> Buckets<'_, S> {
        Buckets {
            database: self,
            walk: TreeWalk::new(&self.root()),
            seen: PageSet::new(self.meta.high_water),
        }
    }

    /// The bucket of this name.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket<'_, S>>, ReadError> {
        let Some(found) = self.find(&self.root(), name)? else { return Ok(None) };
        if !found.is_bucket {
            return Err(ReadError::NotABucket { name: name.escape_ascii().to_string() });
        }
        let root = BucketRoot::decode(found.page, &found.value)?;
        Ok(Some(Bucket { database: self, name: name.to_vec(), root }))
    }

    /// Walks everything: each bucket, then its entries. No page is visited twice on the whole walk. The visitor may end
    /// it with an error of its own.
    pub fn for_each<E, F>(&self, mut visit: F) -> Result<(), E>
    where
        E: From<ReadError>,
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let mut seen = PageSet::new(self.meta.high_water);
        let mut buckets = TreeWalk::new(&self.root());
        while let Some((page, entry)) = buckets.next(self, &mut seen)? {
            let (name, root) = named_bucket(page, &entry)?;
            visit(Item::Bucket { name: &name })?;
            let mut entries = TreeWalk::new(&root);
            while let Some((_, entry)) = entries.next(self, &mut seen)? {
                visit(Item::Entry { bucket: &name, entry })?;
            }
        }
        Ok(())
    }

    pub(crate) fn page_size(&self) -> u64 {
        u64::from(self.meta.page_size)
    }

    pub(crate) fn limits(&self) -> ReadLimits {
        self.limits
    }

    pub(crate) fn root(&self) -> BucketRoot {
        BucketRoot::Page { page: self.meta.root }
    }

    /// Reads `buffer.len()` bytes at `offset`.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let len = buffer.len() as u64;
        self.source.read_at(offset, buffer).map_err(|source| ReadError::Io { offset, len, source })
    }

    /// Looks a key up in one bucket, from the root page down.
    fn find(&self, root: &BucketRoot, key: &[u8]) -> Result<Option<Found>, ReadError> {
        let mut page = match root {
            BucketRoot::Inline { page, image } => {
                return find_in_leaf(self, *page, &Leaf::inline(*page, image.clone())?, key);
            }
            BucketRoot::Page { page } => *page,
        };
        let mut path = Vec::new();
        while path.len() < MAX_DEPTH {
            if path.contains(&page) {
                return Err(ReadError::PageTwice { page });
            }
            path.push(page);
            match self.node(self.page(page)?)? {
                Node::Branch(branch) => page = branch.child_for(key),
                Node::Leaf(leaf) => return find_in_leaf(self, page, &leaf, key),
            }
        }
        Err(ReadError::damaged(page, "the tree is deeper than any sound one"))
    }
}

/// A looked-up entry.
struct Found {
    page: u64,
    is_bucket: bool,
    value: Vec<u8>,
}

/// Looks a key up in a leaf, by halving: keys of a page are in order, or the look-up fails to find, no worse.
fn find_in_leaf<S: Source>(
    database: &Database<S>,
    page: u64,
    leaf: &Leaf,
    key: &[u8],
) -> Result<Option<Found>, ReadError> {
    let mut scratch = Vec::new();
    let (mut low, mut high) = (0, leaf.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        match leaf.key(database, middle, &mut scratch)?.cmp(key) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                let entry = leaf.entry(database, middle, &mut scratch)?;
                let (is_bucket, value) = (entry.is_bucket, entry.value.to_vec());
                return Ok(Some(Found { page, is_bucket, value }));
            }
        }
    }
    Ok(None)
}

/// Reads the meta page at `offset`, if there is a valid one.
fn meta_at<S: Source>(source: &S, file_len: u64, offset: u64) -> Result<Option<Meta>, ReadError> {
    let len = META_LEN as u64;
    if offset + len > file_len {
        return Ok(None);
    }
    let mut bytes = [0; META_LEN];
    source.read_at(offset, &mut bytes).map_err(|source| ReadError::Io { offset, len, source })?;
    Ok(Meta::decode(&bytes))
}

/// The valid meta page with the higher transaction number. Where the second one lies depends on the page size; if the
/// first one cannot tell it, every possible place is tried.
fn newest_meta<S: Source>(source: &S, file_len: u64) -> Result<Option<Meta>, ReadError> {
    if let Some(first) = meta_at(source, file_len, 0)? {
        let second = meta_at(source, file_len, u64::from(first.page_size))?;
        let newer = second.filter(|second| second.page_size == first.page_size && second.txid > first.txid);
        return Ok(Some(newer.unwrap_or(first)));
    }
    let mut offset = SMALLEST_PAGE;
    while offset <= LARGEST_PAGE {
        let second = meta_at(source, file_len, offset)?;
        if second.is_some_and(|second| u64::from(second.page_size) == offset) {
            return Ok(second);
        }
        offset *= 2;
    }
    Ok(None)
}

/// Where the tree of a bucket starts.
#[derive(Clone)]
pub(crate) enum BucketRoot {
    /// A page of the file.
    Page { page: u64 },
    /// A page image inside the bucket's value, which lies in `page`.
    Inline { page: u64, image: Vec<u8> },
}

impl BucketRoot {
    /// Reads the value of a bucket that was found in `page`.
    pub(crate) fn decode(page: u64, value: &[u8]) -> Result<Self, ReadError> {
        if value.len() < BUCKET_HEADER_LEN as usize {
            return Err(ReadError::damaged(page, "a bucket's value is shorter than its header"));
        }
        // The sequence number behind the root page is of no use to a reader.
        let root = u64_at(value, 0).unwrap_or(0);
        if root != 0 {
            return Ok(Self::Page { page: root });
        }
        Ok(Self::Inline { page, image: value[BUCKET_HEADER_LEN as usize..].to_vec() })
    }
}

/// Name and root of an entry of the root bucket.
fn named_bucket(page: u64, entry: &super::Entry<'_>) -> Result<(Vec<u8>, BucketRoot), ReadError> {
    if !entry.is_bucket {
        return Err(ReadError::NotABucket { name: entry.key.escape_ascii().to_string() });
    }
    Ok((entry.key.to_vec(), BucketRoot::decode(page, entry.value)?))
}

/// The named buckets of a database, in bytewise order. Ends after the first error.
pub struct Buckets<'d, S> {
    database: &'d Database<S>,
    walk: TreeWalk,
    seen: PageSet,
}

impl<'d, S: Source> Iterator for Buckets<'d, S> {
    type Item = Result<Bucket<'d, S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.walk.next(self.database, &mut self.seen) {
            Ok(Some((page, entry))) => named_bucket(page, &entry),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        if found.is_err() {
            self.walk.end();
        }
        Some(found.map(|(name, root)| Bucket { database: self.database, name, root }))
    }
}

/// One named bucket.
pub struct Bucket<'d, S> {
    database: &'d Database<S>,
    name: Vec<u8>,
    root: BucketRoot,
}

impl<'d, S: Source> Bucket<'d, S> {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it is stored inside its parent's page instead of in pages of its own.
    pub fn is_inline(&self) -> bool {
        matches!(self.root, BucketRoot::Inline { .. })
    }

    /// Walks its entries in key order.
    pub fn entries(&self) -> Entries<'d, S> {
        Entries::new(self.database, &self.root)
    }

    /// The value of a key. A nested bucket has none.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let found = self.database.find(&self.root, key)?;
        Ok(found.filter(|found| !found.is_bucket).map(|found| found.value))
    }
}
