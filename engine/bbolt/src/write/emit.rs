//! The second pass: entries in, the bytes of the file out, from the first to the last.

use std::io::Write;

use super::WriteError;
use super::error::shown;
use super::image::{BucketSummary, Image, bucket_header};
use super::plan::{FIRST_PAGE, Layout};
use super::shape::{PAGE_SIZE, PageShape, entry_size, pages};
use super::tree::{Child, Medium};
use crate::format::{ELEMENT_LEN, FLAG_BRANCH, FLAG_LEAF, HEADER_LEN, Meta, PageHeader};

/// The second pass over the entries of an image: give the same buckets and entries as to the [`Plan`](super::Plan), now
/// with their bytes. The image goes to `out` strictly in order, in pieces of about a page.
///
/// A sequence that differs from the plan in its buckets, in the number of entries of a bucket or in their total
/// lengths is refused, and never more bytes are written than [`Layout::file_len`] says. After an error the
/// output is no database, and every further call fails with [`WriteError::Stopped`].
///
/// A caller that cannot block (an async stream) gives a `Vec<u8>` as `out` and drains it through [`Emitter::get_mut`]
/// between two entries.
pub struct Emitter<W: Write> {
    image: Image<PageWriter<W>>,
    layout: Layout,
    /// Index of the next planned bucket.
    next_bucket: usize,
    /// Key of the last entry of the open bucket; empty before the first one.
    last_key: Vec<u8>,
    failed: bool,
}

impl<W: Write> Emitter<W> {
    /// Writes the two meta pages: page 0 with transaction `txid`, page 1 with the one before, both of the same content.
    /// [`FIRST_TXID`](super::FIRST_TXID) serves where there is no number to continue; `txid` 0 counts as 1.
    pub fn new(layout: Layout, txid: u64, mut out: W) -> Result<Self, WriteError> {
        let txid = txid.max(1);
        for (page, txid) in [(0, txid), (1, txid - 1)] {
            let meta = Meta {
                page_size: PAGE_SIZE as u32,
                root: layout.root,
                sequence: 0,
                freelist: None,
                high_water: layout.pages,
                txid,
            };
            let mut bytes = meta.encode(page);
            bytes.resize(PAGE_SIZE as usize, 0);
            out.write_all(&bytes)?;
        }
        let writer = PageWriter { out, next: FIRST_PAGE, end: layout.pages, head: Vec::new() };
        Ok(Self { image: Image::new(writer), layout, next_bucket: 0, last_key: Vec::new(), failed: false })
    }

    /// Ends the bucket before and starts this one.
    pub fn bucket(&mut self, name: &[u8]) -> Result<(), WriteError> {
        self.guarded(|emitter| {
            if let Some(ended) = emitter.image.bucket(name)? {
                emitter.compare(&ended)?;
            }
            match emitter.layout.buckets.get(emitter.next_bucket) {
                Some(planned) if planned.name == name => {
                    emitter.next_bucket += 1;
                    emitter.last_key.clear();
                    Ok(())
                }
                planned => {
                    let planned = planned.map_or("the end".into(), |planned| shown(&planned.name));
                    Err(differs(name, format!("{planned} was planned here")))
                }
            }
        })
    }

    /// Writes the next entry of the bucket.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        self.guarded(|emitter| {
            let open = emitter.image.open_bucket().ok_or(WriteError::NoBucket)?;
            if open.entries > 0 && key <= emitter.last_key.as_slice() {
                return Err(WriteError::KeyOrder { bucket: shown(&open.name), key: shown(key) });
            }
            let planned = emitter.layout.buckets[emitter.next_bucket - 1].entries;
            if open.entries == planned {
                return Err(differs(&open.name, format!("more than the planned {planned} entries")));
            }
            emitter.last_key.clear();
            emitter.last_key.extend_from_slice(key);
            emitter.image.entry(key, value)
        })
    }

    /// Writes what is left, flushes the output and returns it. Exactly [`Layout::file_len`] bytes have been written then.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.guarded(|emitter| match emitter.image.end_bucket()? {
            Some(ended) => emitter.compare(&ended),
            None => Ok(()),
        })?;
        if let Some(missing) = self.layout.buckets.get(self.next_bucket) {
            return Err(differs(&missing.name, "it was planned but not given".into()));
        }
        let (root, mut writer) = self.image.finish()?;
        if (root, writer.next) != (self.layout.root, self.layout.pages) {
            return Err(differs(b"", format!("{} pages instead of {}", writer.next, self.layout.pages)));
        }
        writer.out.flush()?;
        Ok(writer.out)
    }

    /// The output, for a caller that drains it as it goes.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.image.medium.out
    }

    /// Runs one step, unless one has failed before.
    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> Result<(), WriteError>) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Stopped);
        }
        self.failed = true;
        step(self)?;
        self.failed = false;
        Ok(())
    }

    /// Compares an ended bucket with its plan.
    fn compare(&self, ended: &BucketSummary) -> Result<(), WriteError> {
        let planned = &self.layout.buckets[self.next_bucket - 1];
        if ended == planned {
            return Ok(());
        }
        let lengths = |summary: &BucketSummary| {
            format!("{} entries, {}+{} bytes", summary.entries, summary.key_bytes, summary.value_bytes)
        };
        Err(differs(&ended.name, format!("{} instead of {}", lengths(ended), lengths(planned))))
    }
}

fn differs(bucket: &[u8], what: String) -> WriteError {
    WriteError::PlanDiffers { bucket: shown(bucket), what }
}

/// The contents of an open leaf: what its elements will say, and keys and values back to back.
#[derive(Default)]
pub(crate) struct LeafBytes {
    elements: Vec<LeafElement>,
    data: Vec<u8>,
}

struct LeafElement {
    flags: u32,
    key_len: u32,
    value_len: u32,
}

impl LeafBytes {
    /// Appends the elements, each with the distance from itself to its data.
    fn encode_elements(&self, out: &mut Vec<u8>) {
        let mut distance = self.elements.len() as u32 * ELEMENT_LEN as u32;
        for element in &self.elements {
            for field in [element.flags, distance, element.key_len, element.value_len] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            distance = distance - ELEMENT_LEN as u32 + element.key_len + element.value_len;
        }
    }
}

/// The medium of the second pass: pages go to the output in the order of their numbers.
struct PageWriter<W> {
    out: W,
    /// Number of the next page; all before it have been written.
    next: u64,
    /// Number of pages that were planned.
    end: u64,
    /// Header and elements of the page that is being written; kept for its allocation.
    head: Vec<u8>,
}

impl<W: Write> PageWriter<W> {
    /// Takes the next pages for `bytes` bytes, unless the plan has no room for them, and starts `head` with their header.
    fn take(&mut self, flags: u16, count: usize, bytes: u64) -> Result<u64, WriteError> {
        let page = self.next;
        let end = page + pages(bytes);
        if end > self.end {
            return Err(differs(b"", format!("more than the planned {} pages", self.end)));
        }
        self.next = end;
        self.head.clear();
        let count = u16::try_from(count).expect("a page is full long before 65535 elements");
        let overflow = u32::try_from(end - page - 1).expect("a value is limited to 2 GiB");
        PageHeader { id: page, flags, count, overflow }.encode(&mut self.head);
        Ok(page)
    }

    /// Zeros up to the page border, for a page of `bytes` bytes.
    fn pad(&mut self, bytes: u64) -> Result<(), WriteError> {
        static ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
        let padding = pages(bytes) * PAGE_SIZE - bytes;
        Ok(self.out.write_all(&ZEROS[..padding as usize])?)
    }
}

impl<W: Write> Medium for PageWriter<W> {
    type Bytes<'a> = &'a [u8];
    type Key = Box<[u8]>;
    type Leaf = LeafBytes;

    fn of(bytes: &[u8]) -> &[u8] {
        bytes
    }

    fn len(bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn keep(key: &[u8]) -> Box<[u8]> {
        key.into()
    }

    fn kept_len(key: &Box<[u8]>) -> usize {
        key.len()
    }

    fn add(leaf: &mut LeafBytes, flags: u32, key: &[u8], value: &[u8]) {
        leaf.elements.push(LeafElement { flags, key_len: key.len() as u32, value_len: value.len() as u32 });
        leaf.data.extend_from_slice(key);
        leaf.data.extend_from_slice(value);
    }

    fn put_leaf(&mut self, shape: PageShape, leaf: &mut LeafBytes) -> Result<u64, WriteError> {
        let page = self.take(FLAG_LEAF, leaf.elements.len(), shape.bytes)?;
        leaf.encode_elements(&mut self.head);
        assert_eq!((self.head.len() + leaf.data.len()) as u64, shape.bytes);
        leaf.data.resize((pages(shape.bytes) * PAGE_SIZE) as usize - self.head.len(), 0);
        self.out.write_all(&self.head)?;
        self.out.write_all(&leaf.data)?;
        leaf.elements.clear();
        leaf.data.clear();
        Ok(page)
    }

    fn put_large(&mut self, flags: u32, key: &[u8], value: &[u8]) -> Result<u64, WriteError> {
        let bytes = HEADER_LEN + entry_size(key.len(), value.len());
        let page = self.take(FLAG_LEAF, 1, bytes)?;
        for field in [flags, ELEMENT_LEN as u32, key.len() as u32, value.len() as u32] {
            self.head.extend_from_slice(&field.to_le_bytes());
        }
        self.head.extend_from_slice(key);
        self.out.write_all(&self.head)?;
        self.out.write_all(value)?;
        self.pad(bytes)?;
        Ok(page)
    }

    fn put_branch(&mut self, shape: PageShape, children: &[Child<Box<[u8]>>]) -> Result<u64, WriteError> {
        let page = self.take(FLAG_BRANCH, children.len(), shape.bytes)?;
        let mut distance = children.len() as u32 * ELEMENT_LEN as u32;
        for child in children {
            self.head.extend_from_slice(&distance.to_le_bytes());
            self.head.extend_from_slice(&(child.key.len() as u32).to_le_bytes());
            self.head.extend_from_slice(&child.page.to_le_bytes());
            distance = distance - ELEMENT_LEN as u32 + child.key.len() as u32;
        }
        for child in children {
            self.head.extend_from_slice(&child.key);
        }
        assert_eq!(self.head.len() as u64, shape.bytes);
        self.out.write_all(&self.head)?;
        self.pad(shape.bytes)?;
        Ok(page)
    }

    fn inline(shape: PageShape, leaf: &LeafBytes) -> Vec<u8> {
        let mut value = bucket_header(0).to_vec();
        let count = leaf.elements.len() as u16;
        PageHeader { id: 0, flags: FLAG_LEAF, count, overflow: 0 }.encode(&mut value);
        leaf.encode_elements(&mut value);
        value.extend_from_slice(&leaf.data);
        assert_eq!(value.len(), bucket_header(0).len() + shape.bytes as usize);
        value
    }
}
