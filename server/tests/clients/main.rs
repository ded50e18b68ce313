//! Holdfast stands in the place of etcd: its life as a process, its probes and logs, its leases, compactions, watches and
//! snapshots, as the programs around an etcd see them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
mod compaction;
mod http;
mod leases;
mod life;
mod snapshots;
mod streaming;
mod watching;
