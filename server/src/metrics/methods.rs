//! The gRPC methods that clients can call, with their kind: what metrics are labelled with and what answers to unknown
//! methods are told by.

/// The four kinds of method, in the words of the label `grpc_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// One request, many answers.
    ServerStream,
    /// Many of both.
    BidiStream,
}

impl MethodKind {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// One method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Its kind.
    pub kind: MethodKind,
    /// Whether its series exist from the start on, at 0.
    pub eager: bool,
}

impl Method {
    /// `package.Service`.
    pub fn service(&self) -> &'static str {
        split_path(self.path).map_or("", |(service, _)| service)
    }

    /// `Method`.
    pub fn name(&self) -> &'static str {
        split_path(self.path).map_or("", |(_, name)| name)
    }
}

/// A request's path as service and method, cut at the last slash as grpc-go does; `None` when it has another form.
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

/// Whether some method belongs to this service.
pub fn is_service(service: &str) -> bool {
    METHODS.iter().any(|method| method.service() == service)
}

const fn unary(path: &'static str) -> Method {
    Method { path, kind: MethodKind::Unary, eager: true }
}

const fn server_stream(path: &'static str) -> Method {
    Method { path, kind: MethodKind::ServerStream, eager: true }
}

const fn bidi(path: &'static str) -> Method {
    Method { path, kind: MethodKind::BidiStream, eager: true }
}

const fn late(method: Method) -> Method {
    Method { eager: false, ..method }
}

/// Every method.
pub static METHODS: &[Method] = &[
    unary("/etcdserverpb.Auth/AuthDisable"),
    unary("/etcdserverpb.Auth/AuthEnable"),
    unary("/etcdserverpb.Auth/AuthStatus"),
    unary("/etcdserverpb.Auth/Authenticate"),
    unary("/etcdserverpb.Auth/RoleAdd"),
    unary("/etcdserverpb.Auth/RoleDelete"),
    unary("/etcdserverpb.Auth/RoleGet"),
    unary("/etcdserverpb.Auth/RoleGrantPermission"),
    unary("/etcdserverpb.Auth/RoleList"),
    unary("/etcdserverpb.Auth/RoleRevokePermission"),
    unary("/etcdserverpb.Auth/UserAdd"),
    unary("/etcdserverpb.Auth/UserChangePassword"),
    unary("/etcdserverpb.Auth/UserDelete"),
    unary("/etcdserverpb.Auth/UserGet"),
    unary("/etcdserverpb.Auth/UserGrantRole"),
    unary("/etcdserverpb.Auth/UserList"),
    unary("/etcdserverpb.Auth/UserRevokeRole"),
    unary("/etcdserverpb.Cluster/MemberAdd"),
    unary("/etcdserverpb.Cluster/MemberList"),
    unary("/etcdserverpb.Cluster/MemberPromote"),
    unary("/etcdserverpb.Cluster/MemberRemove"),
    unary("/etcdserverpb.Cluster/MemberUpdate"),
    unary("/etcdserverpb.KV/Compact"),
    unary("/etcdserverpb.KV/DeleteRange"),
    unary("/etcdserverpb.KV/Put"),
    unary("/etcdserverpb.KV/Range"),
    server_stream("/etcdserverpb.KV/RangeStream"),
    unary("/etcdserverpb.KV/Txn"),
    unary("/etcdserverpb.Lease/LeaseGrant"),
    bidi("/etcdserverpb.Lease/LeaseKeepAlive"),
    unary("/etcdserverpb.Lease/LeaseLeases"),
    unary("/etcdserverpb.Lease/LeaseRevoke"),
    unary("/etcdserverpb.Lease/LeaseTimeToLive"),
    unary("/etcdserverpb.Maintenance/Alarm"),
    unary("/etcdserverpb.Maintenance/Defragment"),
    unary("/etcdserverpb.Maintenance/Downgrade"),
    unary("/etcdserverpb.Maintenance/Hash"),
    unary("/etcdserverpb.Maintenance/HashKV"),
    unary("/etcdserverpb.Maintenance/MoveLeader"),
    server_stream("/etcdserverpb.Maintenance/Snapshot"),
    unary("/etcdserverpb.Maintenance/Status"),
    bidi("/etcdserverpb.Watch/Watch"),
    unary("/grpc.health.v1.Health/Check"),
    unary("/grpc.health.v1.Health/List"),
    server_stream("/grpc.health.v1.Health/Watch"),
    late(unary("/v3lockpb.Lock/Lock")),
    late(unary("/v3lockpb.Lock/Unlock")),
    late(unary("/v3electionpb.Election/Campaign")),
    late(unary("/v3electionpb.Election/Leader")),
    late(server_stream("/v3electionpb.Election/Observe")),
    late(unary("/v3electionpb.Election/Proclaim")),
    late(unary("/v3electionpb.Election/Resign")),
];
