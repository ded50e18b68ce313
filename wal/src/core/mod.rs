//! The sans-I/O part of the running log: which bytes go where next, what is durable, and what may be thrown away.
//!
//! No thread, clock, file or random number is in here: the driver carries out what these state machines say.

pub(crate) mod assemble;
pub(crate) mod segments;
pub(crate) mod summary;
pub(crate) mod tail;
