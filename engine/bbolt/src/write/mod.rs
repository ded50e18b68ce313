//! The writer: an image of any size as a stream, with its length known before the first byte.
//!
//! # Why two passes
//!
//! `Maintenance.Snapshot` must say from its first message how many bytes will follow, and the meta pages at the start of
//! the file name the root page and the number of pages. Both are known only when everything has been laid out. So the
//! caller walks its store twice at one revision: [`Plan`] takes names and lengths and gives the [`Layout`]; [`Emitter`]
//! takes names, keys and values and writes the bytes in the order of the file. No temporary file, no seek.
//!
//! # Page order and memory
//!
//! Both passes run the same builder (`tree`), once over lengths and once over bytes, so they cannot disagree. It
//! builds each bucket's tree bottom-up: a leaf is written when it is full, and its first key goes up one level; a branch
//! page is written as soon as it is certain, right behind the leaf that filled it. Page numbers are given in the order
//! of writing, so children always lie before their parent, and the root page of the file is the very last. What is kept
//! in memory is one open leaf and two branch pages for each level of the two trees under construction (the bucket and
//! the root), whatever the size of the store, plus one line for each bucket in the plan.
//!
//! # Shape
//!
//! Leaves and branches are filled to nine tenths, as etcd's defragmentation does. An entry of 64 KiB or more has a page
//! run of its own and goes from the caller's slice to the output without a copy. A bucket whose page image fits into a
//! quarter page is inline, as bbolt requires of itself. A branch page has at least two children, because bbolt
//! asserts that when it later deletes from the file.

mod emit;
mod error;
mod image;
mod plan;
mod shape;
mod tree;

pub use emit::Emitter;
pub use error::WriteError;
pub use plan::{Layout, Plan};
pub use shape::PAGE_SIZE;

use std::io::Write;

/// Transaction number for an image that continues no other: even, so that it belongs on meta page 0 by bbolt's rule.
pub const FIRST_TXID: u64 = 2;

/// Writes a whole image to `out` from buckets whose entries can be walked twice.
///
/// Buckets must be in bytewise order of their names, and keys ascending in each, as a `BTreeMap` gives them. Returns the
/// number of bytes written. `out` is flushed, but not synced.
pub fn write_image<W, N, E, K, V>(out: W, buckets: &[(N, E)]) -> Result<u64, WriteError>
where
    W: Write,
    N: AsRef<[u8]>,
    E: Clone + IntoIterator<Item = (K, V)>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut plan = Plan::new();
    for (name, entries) in buckets {
        plan.bucket(name.as_ref())?;
        for (key, value) in entries.clone() {
            plan.entry(key.as_ref().len(), value.as_ref().len())?;
        }
    }
    let layout = plan.finish()?;
    let len = layout.file_len();
    let mut emitter = Emitter::new(layout, FIRST_TXID, out)?;
    for (name, entries) in buckets {
        emitter.bucket(name.as_ref())?;
        for (key, value) in entries.clone() {
            emitter.entry(key.as_ref(), value.as_ref())?;
        }
    }
    emitter.finish()?;
    Ok(len)
}

#[cfg(test)]
mod tests;
