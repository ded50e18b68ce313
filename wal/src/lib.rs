//! The log: block-aligned groups in recycled segments, one thread, group commit.
//!
//! A write of the cluster is promised when it is durable in the logs of a quorum; this crate is one such log. It takes
//! [`Batch`]es of entries and hard states from any thread, writes all that has arrived while its last write was under
//! way as one *group*, and reports, in order, what is durable. After a stop of any kind [`Wal::open`] gives back all
//! that was reported, and nothing that was not written; a log of which a promised part cannot be read is refused with
//! the name of the place.
//!
//! It knows nothing of raft beyond the shape of an entry and of a hard state.
//!
//! The layers, lowest first; FORMAT.md beside this crate describes the bytes:
//!
//! - `format`: bytes of headers, groups and records; pure functions;
//! - [`LogDevice`]: where segments live; [`FileDevice`] is a directory, [`testing::RecordingDevice`] an image in memory
//!   that can lose, tear and refuse;
//! - `recover`: what counts of that which is found on a device;
//! - `core`: which bytes go where next, and what is durable: state machines without I/O;
//! - `writer`: two ways of carrying groups to files, io_uring and blocking calls;
//! - `driver`, `queue`, `keeper`: the thread, how it is fed, and how it is kept in files;
//! - [`Wal`], [`InlineWal`]: the handles, with a thread and without.

mod buffer;
mod config;
mod core;
mod device;
mod driver;
mod error;
mod format;
mod index;
mod inline;
mod keeper;
mod open;
mod queue;
mod recover;
mod stats;
pub mod testing;
mod types;
mod wal;
mod writer;

pub use config::{Config, MAX_ENTRY_BYTES, MAX_SEGMENT_BYTES, OnDurable, OnWrite, WriteReport, WriterChoice};
pub use device::{DirectIo, FileDevice, LogDevice, SegmentName};
pub use error::{DeviceError, WalError};
pub use format::segment::MAX_METADATA_BYTES;
pub use inline::InlineWal;
pub use open::Recovered;
pub use recover::Torn;
pub use stats::{WalStats, WriterKind};
pub use types::{Batch, Entry, HardState, LogStart};
pub use wal::Wal;
