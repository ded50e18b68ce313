//! The reader: opens an image, walks it in order, checks it, and computes its snapshot status.
//!
//! # Nothing in the file is trusted
//!
//! * Every page number, length and offset is checked against the page run it lies in, and that against the file.
//! * The keys and values of a page may not claim more bytes than the page has, and a walk visits no page twice (a bit for
//!   each page of the file). So a walk costs at most a small multiple of the file's size, and cycles end it.
//! * Trees are at most [`MAX_DEPTH`] levels deep, and keys must ascend over the whole bucket.
//! * A value longer than [`ReadLimits::max_value_bytes`] is an error before it is read.
//!
//! # Memory
//!
//! A walk holds the page it stands on, the child numbers of the branch pages above it, and the bits of visited pages
//! (32 KiB for each GiB). Of a leaf with a page run above 1 MiB only the elements and one entry at a time are held.

mod check;
mod database;
mod error;
mod live;
mod page;
mod source;
mod status;
mod walk;

pub use check::{CheckReport, Fault};
pub use database::{Bucket, Buckets, Database, ReadLimits};
pub use error::ReadError;
pub use source::Source;
pub use status::{DatabaseHash, Status};
pub use walk::{Entries, Entry, Item};

/// Deepest tree, and deepest nesting of buckets, that is followed. A tree of bbolt halves (at least) with each level, so
/// 2^64 pages would fit; only a damaged file is deeper.
pub const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests;
