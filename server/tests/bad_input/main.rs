//! What a server is given that it cannot accept: requests, bytes on the wire, damaged files, a full disk.
//!
//! Each ends in etcd's error text or a clear refusal. Never in a panic, a hang, or the silent loss of what was
//! acknowledged.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
mod damage;
mod decay;
mod directories;
mod full_disk;
mod messages;
mod quota;
mod requests;
mod sockets;
mod watches;
