//! Watches as a gRPC client sees them: the same steps with the same answers on Holdfast and on real etcd 3.5.
//!
//! Every answer of every step is written down as a line, revisions included, since both servers begin fresh and are asked the
//! same. Real etcd runs the steps too when `HOLDFAST_ETCD_DIR` names it. What etcd does differently by version (progress on
//! request, a deletion at the compacted revision, a negative start) has tests of its own, against Holdfast alone.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

#[path = "../common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each test program uses a part of it")]
mod common;
mod newer;
mod steps;
mod stream;

use common::grpc::Client;
use common::{Home, real};

#[tokio::test]
async fn holdfast_answers_every_step() {
    let home = Home::holdfast();
    let server = home.start();
    steps::all(&Client::connect(&server.url()).await).await;
}

/// The expectations are etcd's, and not only what Holdfast happens to do.
#[tokio::test]
async fn real_etcd_answers_every_step_alike() {
    let Some(etcd) = real::etcd35() else { return };
    let home = Home::of(etcd.server);
    let server = home.start();
    steps::all(&Client::connect(&server.url()).await).await;
}
