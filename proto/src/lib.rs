//! The wire contract: etcd's v3 messages and services, its error table, its limits.
//!
//! The modules named after protobuf packages are generated at build time from the files in `proto/`; package names,
//! service names, field names and field numbers in there are etcd's, since clients depend on them. `bytes` fields are
//! [`bytes::Bytes`](prost::bytes::Bytes). For each service there is a client module and a server module, such as
//! `etcdserverpb::kv_client` and `etcdserverpb::kv_server`.
//!
//! The rest is what the messages do not say but clients rely on just as much: the texts and codes of errors
//! ([`error`]), limits and defaults ([`limits`]), metadata ([`metadata`]), versions ([`version`]), and the reasons given
//! to watchers ([`watch`]).

/// Includes the generated code of one package. It is not ours to style: lints are off for it.
macro_rules! package {
    ($(#[$doc:meta])* $module:ident = $package:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
        #[allow(clippy::unwrap_used)]
        pub mod $module {
            tonic::include_proto!($package);
        }
    };
}

package!(
    /// Users, roles and permissions.
    authpb = "authpb"
);
package!(
    /// The services clients call, their requests and answers, and the requests inside the raft log.
    etcdserverpb = "etcdserverpb"
);
package!(
    /// The standard health service of gRPC (`grpc.health.v1`).
    health = "grpc.health.v1"
);
package!(
    /// Leases as stored, and lease look-ups between members.
    leasepb = "leasepb"
);
package!(
    /// Membership and cluster version inside the raft log.
    membershippb = "membershippb"
);
package!(
    /// Versions of keys, and events.
    mvccpb = "mvccpb"
);
package!(
    /// Raft messages and records as etcd's members write them (proto2: whether a field is present is kept).
    raftpb = "raftpb"
);
package!(
    /// Leader election among clients.
    v3electionpb = "v3electionpb"
);
package!(
    /// Locks among clients.
    v3lockpb = "v3lockpb"
);

pub mod error;
pub mod limits;
pub mod metadata;
pub mod version;
pub mod watch;

/// All packages above as an encoded `google.protobuf.FileDescriptorSet`, without comments: the source from which
/// translators such as the JSON gateway learn fields, types and services.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
