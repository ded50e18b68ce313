//! Pages: loading a page run, and taking leaf and branch pages apart with every number checked.

use super::{Database, Entry, ReadError, Source};
use crate::format::{
    ELEMENT_LEN, ENTRY_IS_BUCKET, FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, HEADER_LEN, MAX_KEY_LEN, PageHeader,
    u32_at, u64_at,
};

/// A page run up to this size is loaded whole; of a longer leaf, entries are read one by one.
const WHOLE_RUN: u64 = 1 << 20;
/// How much longer than a page a branch page may be. bbolt splits it at the page size, unless there are four children or
/// fewer; their keys have 32 KiB at most.
const LONG_BRANCH: u64 = 256 << 10;
/// The freelist is read in pieces of this size.
const FREELIST_PIECE: u64 = 64 << 10;

/// A set of page numbers: one bit for each page of the file.
pub(crate) struct PageSet {
    bits: Vec<u64>,
}

impl PageSet {
    /// An empty set for the pages below `pages`. The caller has checked that number against the file's length.
    pub(crate) fn new(pages: u64) -> Self {
        Self { bits: vec![0; pages.div_ceil(64) as usize] }
    }

    pub(crate) fn contains(&self, page: u64) -> bool {
        self.bits.get((page / 64) as usize).is_some_and(|bits| bits >> (page % 64) & 1 == 1)
    }

    /// Adds a page below the limit; false if it was in already.
    pub(crate) fn insert(&mut self, page: u64) -> bool {
        let bits = &mut self.bits[(page / 64) as usize];
        let fresh = *bits >> (page % 64) & 1 == 0;
        *bits |= 1 << (page % 64);
        fresh
    }

    /// Adds a whole page run. The first page that was in already is an error.
    pub(crate) fn insert_run(&mut self, run: &PageRun) -> Result<(), ReadError> {
        match (run.id..run.id + run.pages).find(|page| !self.insert(*page)) {
            Some(page) => Err(ReadError::PageTwice { page }),
            None => Ok(()),
        }
    }
}

/// A page with its overflow pages, whose header has been checked against its place.
pub(crate) struct PageRun {
    pub(crate) id: u64,
    pub(crate) pages: u64,
    pub(crate) flags: u16,
    count: usize,
    /// Where it starts in the file, and how many bytes it has.
    offset: u64,
    len: u64,
    /// The bytes of the first page.
    first: Vec<u8>,
}

/// A page of a tree.
pub(crate) enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

impl<S: Source> Database<S> {
    /// Loads the first page of a run and checks its header. Meta pages are no part of any tree, so page 0 and 1 are out of
    /// bounds here.
    pub(crate) fn page(&self, id: u64) -> Result<PageRun, ReadError> {
        let pages = self.meta().high_water;
        if !(2..pages).contains(&id) {
            return Err(ReadError::OutOfBounds { page: id, pages });
        }
        let offset = id * self.page_size();
        let mut first = vec![0; self.page_size() as usize];
        self.read(offset, &mut first)?;
        let header = PageHeader::decode(&first).expect("a page is longer than its header");
        if header.id != id {
            return Err(ReadError::damaged(id, "the page carries another page's number"));
        }
        let run = u64::from(header.overflow) + 1;
        if run > pages - id {
            return Err(ReadError::OutOfBounds { page: id + run - 1, pages });
        }
        Ok(PageRun {
            id,
            pages: run,
            flags: header.flags,
            count: usize::from(header.count),
            offset,
            len: run * self.page_size(),
            first,
        })
    }

    /// Takes a page of a tree apart.
    pub(crate) fn node(&self, run: PageRun) -> Result<Node, ReadError> {
        match run.flags {
            FLAG_LEAF => Ok(Node::Leaf(self.leaf(run)?)),
            FLAG_BRANCH => Ok(Node::Branch(self.branch(run)?)),
            flags => Err(ReadError::PageType { page: run.id, flags }),
        }
    }

    fn leaf(&self, run: PageRun) -> Result<Leaf, ReadError> {
        let PageRun { id, count, offset, len, .. } = run;
        let whole = len <= WHOLE_RUN;
        let head = HEADER_LEN + count as u64 * ELEMENT_LEN;
        let bytes = self.start_of(run, if whole { len } else { head.min(len) })?;
        let elements = leaf_elements(id, count, &bytes, len)?;
        let body = if whole { Body::Held(bytes) } else { Body::InFile { offset } };
        Ok(Leaf { page: id, elements, body })
    }

    fn branch(&self, run: PageRun) -> Result<Branch, ReadError> {
        let (id, count, len) = (run.id, run.count, run.len);
        if len > self.page_size() + LONG_BRANCH {
            return Err(ReadError::damaged(id, "the branch page is longer than any sound one"));
        }
        let bytes = self.start_of(run, len)?;
        let elements = branch_elements(id, count, &bytes)?;
        Ok(Branch { elements, bytes })
    }

    /// Visits the ids of a freelist page. From 65535 on, the count stands in the first id's place.
    pub(crate) fn freelist(&self, run: &PageRun, mut visit: impl FnMut(u64)) -> Result<(), ReadError> {
        if run.flags != FLAG_FREELIST {
            return Err(ReadError::PageType { page: run.id, flags: run.flags });
        }
        let mut at = HEADER_LEN;
        let mut count = run.count as u64;
        if count == 0xFFFF {
            count = u64_at(&run.first, at as usize).unwrap_or(0);
            at += 8;
        }
        if count > (run.len - at) / 8 {
            return Err(ReadError::damaged(run.id, "the freelist counts more pages than it has room for"));
        }
        let end = at + count * 8;
        let mut piece = Vec::new();
        while at < end {
            piece.resize(FREELIST_PIECE.min(end - at) as usize, 0);
            self.read(run.offset + at, &mut piece)?;
            piece.chunks_exact(8).filter_map(|id| u64_at(id, 0)).for_each(&mut visit);
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The first `len` bytes of a run.
    fn start_of(&self, run: PageRun, len: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = run.first;
        let held = bytes.len();
        bytes.resize(len as usize, 0);
        if bytes.len() > held {
            self.read(run.offset + held as u64, &mut bytes[held..])?;
        }
        Ok(bytes)
    }
}

/// A leaf entry's place: key and value back to back, `at` counted from the start of the page.
struct LeafElement {
    is_bucket: bool,
    at: u64,
    key_len: u32,
    value_len: u32,
}

/// Where the keys and values of a leaf are.
enum Body {
    /// In memory: the whole page run.
    Held(Vec<u8>),
    /// In the file; the page run starts at `offset`.
    InFile { offset: u64 },
}

/// A leaf page whose elements have been checked.
pub(crate) struct Leaf {
    page: u64,
    elements: Vec<LeafElement>,
    body: Body,
}

impl Leaf {
    /// The page image of an inline bucket that was found in `page`.
    pub(crate) fn inline(page: u64, image: Vec<u8>) -> Result<Self, ReadError> {
        let header = PageHeader::decode(&image)
            .filter(|header| header.flags == FLAG_LEAF && header.overflow == 0)
            .ok_or_else(|| ReadError::damaged(page, "an inline bucket is not a leaf page"))?;
        let elements = leaf_elements(page, usize::from(header.count), &image, image.len() as u64)?;
        Ok(Self { page, elements, body: Body::Held(image) })
    }

    /// The page it is in.
    pub(crate) fn page(&self) -> u64 {
        self.page
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether the value of entry `index` is a bucket.
    pub(crate) fn is_bucket(&self, index: usize) -> bool {
        self.elements[index].is_bucket
    }

    /// The key of entry `index`, with `scratch` as its place if it must be read.
    pub(crate) fn key<'a, S: Source>(
        &'a self,
        database: &Database<S>,
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ReadError> {
        let element = &self.elements[index];
        self.bytes(database, element.at, u64::from(element.key_len), scratch)
    }

    /// Entry `index`, with `scratch` as its place if it must be read.
    pub(crate) fn entry<'a, S: Source>(
        &'a self,
        database: &Database<S>,
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Entry<'a>, ReadError> {
        let element = &self.elements[index];
        let (key_len, len) = (u64::from(element.key_len), u64::from(element.value_len));
        let limit = database.limits().max_value_bytes;
        if len > limit {
            return Err(ReadError::ValueTooLong { page: self.page, len, limit });
        }
        let bytes = self.bytes(database, element.at, key_len + len, scratch)?;
        let (key, value) = bytes.split_at(key_len as usize);
        Ok(Entry { key, value, is_bucket: element.is_bucket })
    }

    /// `len` bytes at `at`, which the parser has checked to lie in the run.
    fn bytes<'a, S: Source>(
        &'a self,
        database: &Database<S>,
        at: u64,
        len: u64,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ReadError> {
        match &self.body {
            Body::Held(bytes) => Ok(&bytes[at as usize..(at + len) as usize]),
            Body::InFile { offset } => {
                scratch.resize(len as usize, 0);
                database.read(offset + at, scratch)?;
                Ok(scratch)
            }
        }
    }
}

/// Checks that the data of an element lies behind the elements and inside the run, and that all data together, this
/// included, is not longer than the run: else a small page could claim one region thousands of times.
fn check_place(
    page: u64,
    head: u64,
    run_len: u64,
    at: u64,
    key: u64,
    len: u64,
    sum: &mut u64,
) -> Result<(), ReadError> {
    if key == 0 || key > MAX_KEY_LEN {
        return Err(ReadError::damaged(page, "a key is empty or longer than 32768 bytes"));
    }
    if at < head || at + len > run_len {
        return Err(ReadError::damaged(page, "an entry lies outside of its page"));
    }
    *sum += len;
    if *sum > run_len - head {
        return Err(ReadError::damaged(page, "entries overlap"));
    }
    Ok(())
}

/// Reads `count` leaf elements from the start of a run of `run_len` bytes.
fn leaf_elements(page: u64, count: usize, bytes: &[u8], run_len: u64) -> Result<Vec<LeafElement>, ReadError> {
    let outside = || ReadError::damaged(page, "the page has more elements than room");
    let head = HEADER_LEN + count as u64 * ELEMENT_LEN;
    let elements = bytes.get(HEADER_LEN as usize..head as usize).ok_or_else(outside)?;
    let mut sum = 0;
    let mut start = HEADER_LEN;
    let mut found = Vec::with_capacity(count);
    for element in elements.chunks_exact(ELEMENT_LEN as usize) {
        let field = |at| u32_at(element, at).ok_or_else(outside);
        let (flags, pos, key_len, value_len) = (field(0)?, field(4)?, field(8)?, field(12)?);
        let at = start + u64::from(pos);
        let len = u64::from(key_len) + u64::from(value_len);
        check_place(page, head, run_len, at, u64::from(key_len), len, &mut sum)?;
        found.push(LeafElement { is_bucket: flags & ENTRY_IS_BUCKET != 0, at, key_len, value_len });
        start += ELEMENT_LEN;
    }
    Ok(found)
}

/// A child's place in a branch page: its key, and its page number.
struct BranchElement {
    at: usize,
    key_len: usize,
    child: u64,
}

/// A branch page whose elements have been checked; it has at least one child.
pub(crate) struct Branch {
    elements: Vec<BranchElement>,
    bytes: Vec<u8>,
}

impl Branch {
    /// The children with their smallest keys, in order.
    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = (&[u8], u64)> + ExactSizeIterator {
        self.elements.iter().map(|element| (self.key(element), element.child))
    }

    /// The child that may hold `key`: the last whose own key is not above it, or the first.
    pub(crate) fn child_for(&self, key: &[u8]) -> u64 {
        let above = self.elements.partition_point(|element| self.key(element) <= key);
        self.elements[above.saturating_sub(1)].child
    }

    fn key(&self, element: &BranchElement) -> &[u8] {
        &self.bytes[element.at..element.at + element.key_len]
    }
}

/// Reads `count` branch elements from the start of a page run.
fn branch_elements(page: u64, count: usize, bytes: &[u8]) -> Result<Vec<BranchElement>, ReadError> {
    let outside = || ReadError::damaged(page, "the page has more elements than room");
    if count == 0 {
        return Err(ReadError::damaged(page, "a branch page has no children"));
    }
    let head = HEADER_LEN + count as u64 * ELEMENT_LEN;
    let elements = bytes.get(HEADER_LEN as usize..head as usize).ok_or_else(outside)?;
    let mut sum = 0;
    let mut start = HEADER_LEN;
    let mut found = Vec::with_capacity(count);
    for element in elements.chunks_exact(ELEMENT_LEN as usize) {
        let field = |at| u32_at(element, at).ok_or_else(outside);
        let (at, len) = (start + u64::from(field(0)?), u64::from(field(4)?));
        check_place(page, head, bytes.len() as u64, at, len, len, &mut sum)?;
        let child = u64_at(element, 8).ok_or_else(outside)?;
        found.push(BranchElement { at: at as usize, key_len: len as usize, child });
        start += ELEMENT_LEN;
    }
    Ok(found)
}
