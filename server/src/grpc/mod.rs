//! The gRPC services: requests checked, put through the member, answered.
//!
//! | file | what |
//! | --- | --- |
//! | `kv.rs`, `range.rs` | KV; Range has its own service, whose answers are spliced from stored bytes |
//! | `range_stream.rs` | RangeStream, a message at a time |
//! | `checks.rs` | what a request may ask, before anything is proposed |
//! | `lease.rs`, `cluster.rs`, `maintenance.rs`, `health.rs` | one service each |
//! | `image.rs`, `snapshot.rs` | one state of the database in etcd's shape; its bbolt image |
//! | `later.rs` | services whose time has not come: they answer UNIMPLEMENTED and say so |
//! | `guard.rs` | what every call goes through first |

mod checks;
mod cluster;
mod guard;
mod health;
mod image;
mod kv;
mod later;
mod lease;
mod maintenance;
mod range;
mod range_stream;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;

use axum::routing::any_service;
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb::auth_server::AuthServer;
use holdfast_proto::etcdserverpb::cluster_server::ClusterServer;
use holdfast_proto::etcdserverpb::kv_server::KvServer;
use holdfast_proto::etcdserverpb::lease_server::LeaseServer;
use holdfast_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use holdfast_proto::health::health_server::HealthServer;
use holdfast_proto::v3electionpb::election_server::ElectionServer;
use holdfast_proto::v3lockpb::lock_server::LockServer;
use tokio::sync::{Semaphore, watch};
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use crate::member::Member;
use crate::watch::WatchService;

use guard::Guard;

/// What the services share.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    member: Member,
    watch: WatchService,
    max_txn_ops: usize,
    max_receive_bytes: usize,
    stopping: watch::Receiver<bool>,
    /// Snapshots that may be under way at once; others wait. Each holds a thread, and back compaction.
    snapshots: Arc<Semaphore>,
    /// For what of a snapshot fits into no memory.
    spool_folder: PathBuf,
}

/// See [`Inner::snapshots`].
const SNAPSHOTS_AT_ONCE: usize = 4;

impl Services {
    /// Services for a member. A transaction's branch may have `max_txn_ops` operations, a message `max_receive_bytes`
    /// bytes. Open streams end when `stopping` becomes true. Files that a request needs for a while, and that have no
    /// name, lie in `spool_folder`.
    pub fn new(
        member: Member,
        watch: WatchService,
        max_txn_ops: usize,
        max_receive_bytes: usize,
        stopping: watch::Receiver<bool>,
        spool_folder: PathBuf,
    ) -> Self {
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE));
        Self(Arc::new(Inner {
            member,
            watch,
            max_txn_ops,
            max_receive_bytes,
            stopping,
            snapshots,
            spool_folder,
        }))
    }

    /// Done when the server stops.
    async fn stopped(&self) {
        let mut stopping = self.0.stopping.clone();
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    fn member(&self) -> &Member {
        &self.0.member
    }

    /// All services, by path.
    pub fn routes(&self) -> Routes {
        let limit = self.0.max_receive_bytes;
        // Clients may compress what they send, message by message; answers are not compressed.
        macro_rules! service {
            ($server:ident) => {
                $server::new(self.clone())
                    .max_decoding_message_size(limit)
                    .accept_compressed(CompressionEncoding::Gzip)
            };
        }
        let routes = Routes::new(service!(KvServer))
            .add_service(service!(LeaseServer))
            .add_service(service!(ClusterServer))
            .add_service(service!(MaintenanceServer))
            .add_service(service!(HealthServer))
            .add_service(service!(AuthServer))
            .add_service(service!(LockServer))
            .add_service(service!(ElectionServer));
        // Fixed paths win over the wildcard of the generated service.
        let router = routes.into_axum_router();
        let router = router
            .route(range::PATH, any_service(range::RangeService::new(self.clone(), limit)))
            .route(crate::watch::PATH, any_service(self.0.watch.clone()));
        let guard = Guard::new(self.0.member.clone());
        Routes::from(router.layer(axum::middleware::from_fn_with_state(guard, Guard::check)))
    }
}

/// The error for a reply that does not belong to the request: a bug, answered instead of hidden.
fn unexpected_reply() -> Status {
    Status::internal("holdfast: the log has answered with a reply of another kind; please report this")
}

/// Runs a long read where it holds up nobody.
async fn on_scan_thread<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(read).await.map_err(|_| EtcdError::Stopped.into())
}

/// Fills in who answers; the revision stands already.
fn complete_header(member: &Member, header: &mut Option<holdfast_proto::etcdserverpb::ResponseHeader>) {
    let revision = header.as_ref().map_or(0, |header| header.revision);
    *header = Some(member.header_at(revision));
}
