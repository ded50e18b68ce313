//! Reader and writer of etcd's own database file (bbolt, format version 2).
//!
//! etcd keeps its store in one bbolt file: pages of a fixed size, two meta pages in front, and a tree of named buckets.
//! `Maintenance.Snapshot` sends exactly such a file, and `etcdutl` asks for nothing else, so Holdfast writes and reads
//! the format itself. Three parts:
//!
//! * [`write`]: an image is written as a stream, in the order of its bytes, with its exact length known beforehand and
//!   with memory for a few pages only. [`Plan`] sees the lengths of all entries and gives a [`Layout`]; [`Emitter`] then
//!   sees the entries themselves and produces the bytes. [`write_image`] does both from an iterator.
//! * [`read`]: [`Database`] opens an image in memory or a file, walks buckets and entries in order, checks the structure
//!   ([`Database::check`]) and computes what `etcdutl snapshot status` shows ([`Database::status`]). Nothing in the file
//!   is trusted: every offset, length and count is checked, cycles are found, and memory is bounded.
//! * [`snapshot`]: the envelope of a snapshot file, 32 bytes of SHA-256 behind the image, and the blobs of the RPC.
//!
//! The numbers of the format stand in one place, the private module `format`.

mod format;
pub mod read;
pub mod snapshot;
pub mod write;

pub use format::{MAX_KEY_LEN, MAX_VALUE_LEN, Meta};
pub use read::{Bucket, CheckReport, Database, Entry, Fault, ReadError, ReadLimits, Source, Status};
pub use write::{Emitter, Layout, PAGE_SIZE, Plan, WriteError, write_image};
