//! The storage engine: a copy-on-write B+tree in one mapped file, and the revision-keyed MVCC store on it.
//!
//! - [`file`]: what the engine asks of a file, the mapped file that a server uses, and a file in memory
//!   that can lose and tear writes as a crash does.
//! - [`tree`]: several named trees of byte strings in one file. One writer, any number of readers; a
//!   reader pins a root and takes no lock. Publishing (readers see it) and checkpointing (it survives a
//!   crash) are two things.
//! - [`mvcc`]: the revision-keyed store on those trees.
//! - [`check`]: what a walk over the whole file found.
//!
//! The layout of the file is told byte by byte in `FORMAT.md`.

pub mod check;
pub mod error;
pub mod file;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod mvcc;
mod page;
pub mod tree;

pub use error::{Corruption, EngineError, OpenError};
