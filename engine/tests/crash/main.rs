//! Crashes, lying disks, stray writes and decay: what a restart finds is right, or it is refused by name.
//!
//! A simulated disk ([`disk`]) records every write, every change of length and every sync that the engine
//! makes while it lives through a story ([`story`]: a workload with a model of what it should hold). From the
//! record the images that a loss of power could leave are rebuilt ([`image`]), each is opened again, and its
//! *data* (all entries of all trees) is compared with the model ([`judge`]).
//!
//! What is promised of an honest disk (it may lose, keep, reorder and tear what has not been synced):
//!
//! - `honest`: exactly the newest durable checkpoint, or the one whose meta page was being written if that page
//!   arrived whole. No refusal. Then the engine works on, and a second crash follows.
//! - `store`: the same for the store on top, at every kept revision, with compaction cut in the middle.
//!
//! What is promised of a disk that breaks its own promises, because every page is reached through its checksum:
//!
//! - `broken`: a sync that was reported and did not happen, a write that landed elsewhere, bits that flipped. Each
//!   answer is right for one durable state, or an error that names the page; the file may be refused at open. A
//!   state older than the last one reported durable is possible: a lost meta page cannot be seen from inside the
//!   file. So it is the caller's part to compare its log with the mark found (the server refuses a gap between
//!   them), and the judge does as that caller does.
//!
//! `mutants` breaks the rules on purpose, one at a time, and shows that the suite notices.
//!
//! `HOLDFAST_CRASH_IMAGES=N` asks for about N images, `HOLDFAST_LONG_TESTS=1` for twenty times the usual number,
//! `HOLDFAST_CRASH_SEED=N` for other stories. A failure tells its seed.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod broken;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod disk;
mod honest;
mod image;
mod judge;
mod mutants;
mod scale;
#[path = "../common/seal.rs"]
mod seal;
mod store;
mod story;

// The store's model is shared with the unit tests of the store, which say `crate::mvcc`.
use holdfast_engine::mvcc;
