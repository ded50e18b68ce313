//! The first pass: lengths in, layout out.

use super::WriteError;
use super::image::{BucketSummary, Image, bucket_header};
use super::shape::{PAGE_SIZE, PageShape, entry_size, pages};
use super::tree::{Child, Medium};
use crate::format::HEADER_LEN;

/// First page behind the two meta pages.
pub(crate) const FIRST_PAGE: u64 = 2;

/// The first pass over the entries of an image. Give every bucket in bytewise order of the names, and for each its
/// entries in key order, by their lengths only.
///
/// Memory: a few pages' worth of numbers, and the name of each bucket.
pub struct Plan {
    image: Image<Counter>,
    buckets: Vec<BucketSummary>,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// A plan without buckets.
    pub fn new() -> Self {
        Self { image: Image::new(Counter { next: FIRST_PAGE }), buckets: Vec::new() }
    }

    /// Ends the bucket before and starts this one.
    pub fn bucket(&mut self, name: &[u8]) -> Result<(), WriteError> {
        self.buckets.extend(self.image.bucket(name)?);
        Ok(())
    }

    /// Counts the next entry of the bucket, by the bytes of its key and of its value.
    pub fn entry(&mut self, key_len: usize, value_len: usize) -> Result<(), WriteError> {
        self.image.entry(key_len, value_len)
    }

    /// Ends the plan.
    pub fn finish(mut self) -> Result<Layout, WriteError> {
        self.buckets.extend(self.image.end_bucket()?);
        let (root, counter) = self.image.finish()?;
        Ok(Layout { buckets: self.buckets, root, pages: counter.next })
    }
}

/// The exact layout of an image that is yet to be written.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(crate) buckets: Vec<BucketSummary>,
    pub(crate) root: u64,
    pub(crate) pages: u64,
}

impl Layout {
    /// Bytes of the image, meta pages included.
    pub fn file_len(&self) -> u64 {
        self.pages * PAGE_SIZE
    }

    /// Number of pages, meta pages included.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Number of entries in all buckets.
    pub fn entries(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.entries).sum()
    }
}

/// The medium of the first pass: a key is its length, and putting a page is counting.
struct Counter {
    next: u64,
}

impl Counter {
    fn take(&mut self, bytes: u64) -> u64 {
        let page = self.next;
        self.next += pages(bytes);
        page
    }
}

impl Medium for Counter {
    type Bytes<'a> = usize;
    type Key = u16;
    type Leaf = ();

    fn of(bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn len(bytes: usize) -> usize {
        bytes
    }

    fn keep(key: usize) -> u16 {
        u16::try_from(key).expect("lengths of keys were checked against the limit of 32768")
    }

    fn kept_len(key: &u16) -> usize {
        usize::from(*key)
    }

    fn add((): &mut (), _flags: u32, _key: usize, _value: usize) {}

    fn put_leaf(&mut self, shape: PageShape, (): &mut ()) -> Result<u64, WriteError> {
        Ok(self.take(shape.bytes))
    }

    fn put_large(&mut self, _flags: u32, key: usize, value: usize) -> Result<u64, WriteError> {
        Ok(self.take(HEADER_LEN + entry_size(key, value)))
    }

    fn put_branch(&mut self, shape: PageShape, _children: &[Child<u16>]) -> Result<u64, WriteError> {
        Ok(self.take(shape.bytes))
    }

    /// Only its length counts here.
    fn inline(shape: PageShape, (): &()) -> Vec<u8> {
        let mut value = bucket_header(0).to_vec();
        value.resize(value.len() + shape.bytes as usize, 0);
        value
    }
}
