//! `holdfast`: one member of a cluster. Behaves the same when it is started through a link named `etcd`.

use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use holdfast_proto::etcdserverpb::{AlarmMember, Member};
use holdfast_server::http::{HealthSource, PeerSource};
use holdfast_server::start::node::{Context, End, Node};
use tonic::service::Routes;

/// The shell's allocator: tokio's threads free what other threads allocated, which this one is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let env: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    holdfast_server::start::main::<NoMember>(args, &env)
}

/// SEAM: stands here until the member (raft, log, store) is joined to the shell; it refuses to start, so none of its other
/// methods is ever called. Replace it by the real [`Node`] in the call above.
enum NoMember {}

impl Node for NoMember {
    type Grpc = Routes;

    fn start(_: Context) -> BoxFuture<'static, Result<Self, Box<dyn Error + Send + Sync>>> {
        Box::pin(async { Err("this build of holdfast has no member in it yet".into()) })
    }

    fn member_id(&self) -> u64 {
        match *self {}
    }

    fn grpc(self: &Arc<Self>) -> Routes {
        match **self {}
    }

    fn ready(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        match **self {}
    }

    fn ended(self: &Arc<Self>) -> BoxFuture<'static, End> {
        match **self {}
    }

    fn stopping(self: &Arc<Self>) {
        match **self {}
    }

    fn stop(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        match **self {}
    }
}

impl HealthSource for NoMember {
    fn read(&self, _: bool) -> BoxFuture<'_, Result<(), String>> {
        match *self {}
    }

    fn alarms(&self) -> Vec<AlarmMember> {
        match *self {}
    }

    fn has_leader(&self) -> bool {
        match *self {}
    }

    fn is_learner(&self) -> bool {
        match *self {}
    }

    fn cluster_version(&self) -> Option<String> {
        match *self {}
    }

    fn storage_version(&self) -> Option<String> {
        match *self {}
    }
}

impl PeerSource for NoMember {
    fn cluster_id(&self) -> u64 {
        match *self {}
    }

    fn members(&self) -> Vec<Member> {
        match *self {}
    }
}
