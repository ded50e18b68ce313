//! A server that is killed again and again loses nothing that it has acknowledged.
//!
//! Several clients load keys; at random moments the server is killed with SIGKILL and started again on its files. After
//! each start every acknowledged key is there byte for byte and the revision has not gone back; before each start the
//! files are looked through and found whole. A watch from the first revision, which comes back after each kill where it
//! left off, is told every change once and in order.
//!
//! The seed of the random moments is printed when a test fails; `HOLDFAST_TEST_SEED` runs that one again.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
mod follower;
mod input;
mod loader;
mod mixed;
mod scenario;

use std::sync::Arc;

use common::skipped;
use input::{Generated, Packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_keys_survive_kills() {
    let long = std::env::var_os("HOLDFAST_LONG_TESTS").is_some_and(|value| value == "1");
    let count = if long { 1_000_000 } else { 30_000 };
    scenario::run(Arc::new(Generated { count }), 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_packages_survive_kills() {
    match Packages::of_this_machine() {
        Ok(packages) => scenario::run(Arc::new(packages), 5).await,
        Err(why) => skipped(&why),
    }
}
