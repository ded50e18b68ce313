//! The multi-version store: every change of every key, by revision, until compaction.
//!
//! A [`Store`] stands on the trees of [`trees`]. One [`ApplyTxn`] at a time writes a batch of revisions and publishes
//! it whole; a [`View`] pins what was published and reads it, now or at any revision since the last compaction. The
//! index is in the file, in the same transaction as the data: nothing is rebuilt at start, nothing grows in memory.
//!
//! The meaning of everything is etcd's: revisions, ranges, events, compaction, and the hash over the history, because
//! members of both kinds may stand in one cluster.
//!
//! - `revision`, `keyvalue`: what stands in RECORDS, byte for byte as etcd writes it; `live`, `history`, `leases`:
//!   our rows beside it; `meta`: the few numbers of the store itself.
//! - `reader` and on it `fetch`, `scan`, `count`, `query`, `range`, `changes`, `hash`: the reads, over any root.
//! - `hold`, and on it `stream`, `hashing`, `records`: long reads, in chunks over one root after the other.
//! - `txn`, `delete`, `compact`, `load`: the writes.
//! - `check`: whether the trees agree with each other; `repair`: building a store anew from its records.

mod arena;
mod changes;
mod check;
mod chunk;
mod compact;
mod count;
mod delete;
mod entries;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hash;
mod hashing;
mod history;
mod hold;
mod keyrange;
mod keyvalue;
mod leases;
mod live;
mod load;
pub mod meta;
mod query;
mod range;
mod reader;
mod records;
mod repair;
mod revision;
mod scan;
mod store;
mod stream;
pub mod trees;
mod txn;
mod varint;
mod view;

pub use changes::{Change, RevisionChanges};
pub use check::{CheckWalk, MvccFault, MvccReport};
pub use compact::CompactProgress;
pub use delete::Deleted;
pub use entries::Entries;
pub use error::MvccError;
pub use hash::HashKv;
pub use hashing::{CompactionSpan, HashWalk};
pub use hold::HoldStats;
pub use keyrange::{KeyRange, prefix_end};
pub use keyvalue::{KeyValue, MAX_RECORD_BYTES};
pub use live::VersionInfo;
pub use query::{RangeQuery, SortOrder, SortTarget};
pub use range::RangeResult;
pub use records::{HeldRecords, RecordChunk, RecordWalk};
pub use repair::{RepairError, Repaired};
pub use revision::{EncodedRecordKey, REVISION_BYTES, RecordKey, Revision, TOMBSTONE_KEY_BYTES};
pub use store::Store;
pub use stream::RangeStream;
pub use txn::ApplyTxn;
pub use view::View;

#[cfg(test)]
mod tests;
