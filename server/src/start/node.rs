//! The seam between the shell and the member: what the shell needs of whatever holds raft, log and store.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;

use super::datadir::DataDir;
use crate::config::{Config, InitialCluster};
use crate::http::{HealthSource, PeerSource};
use crate::listen::GrpcService;
use crate::metrics::Metrics;

/// What a member is started with.
#[derive(Debug)]
pub struct Context {
    /// The flags.
    pub config: Arc<Config>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Its directory, which is locked for this process.
    pub data_dir: Arc<DataDir>,
    /// On a first start, the cluster to found or to join; it has been checked against the flags. `None` when there is a log
    /// already, which knows better.
    pub bootstrap: Option<InitialCluster>,
}

/// Why a member runs no longer, when nobody asked it to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was removed from its cluster. (The process ends with status 0.)
    Removed,
    /// It cannot go on, for this reason. (Status 1.)
    Failed(String),
}

/// A member. Its methods other than [`Node::start`] are cheap and do not wait; the futures they return do.
pub trait Node: HealthSource + PeerSource + Sized {
    /// What answers gRPC calls of clients.
    type Grpc: GrpcService;

    /// Opens store and log, and starts the threads. The member need not have found its cluster when this returns.
    fn start(context: Context) -> BoxFuture<'static, Result<Self, Box<dyn Error + Send + Sync>>>;

    /// This member's id.
    fn member_id(&self) -> u64;

    /// The services for clients.
    fn grpc(self: &Arc<Self>) -> Self::Grpc;

    /// Further routes of the client listeners (the JSON gateway). None by default.
    fn client_routes(self: &Arc<Self>) -> Router {
        Router::new()
    }

    /// Further routes of the peer listeners (the raft transport). None by default.
    fn peer_routes(self: &Arc<Self>) -> Router {
        Router::new()
    }

    /// Done when the member has a leader and can serve; not before then are clients served.
    fn ready(self: &Arc<Self>) -> BoxFuture<'static, ()>;

    /// Done when the member has ended by itself. Asked for more than once.
    fn ended(self: &Arc<Self>) -> BoxFuture<'static, End>;

    /// The process is about to stop: open streams (watches, lease keep-alives) are to end, so that connections can.
    fn stopping(self: &Arc<Self>);

    /// Hands leadership over where there is somebody to take it, stops the threads, closes log and store.
    fn stop(self: &Arc<Self>) -> BoxFuture<'static, ()>;
}
