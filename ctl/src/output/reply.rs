//! Everything that can be printed.

use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;

/// An answer to print.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply<'a> {
    /// Keys that were read.
    Get(&'a pb::RangeResponse),
    /// A key was written.
    Put(&'a pb::PutResponse),
    /// Keys were deleted.
    Del(&'a pb::DeleteRangeResponse),
    /// A transaction was run.
    Txn(&'a pb::TxnResponse),
    /// Something happened to watched keys.
    Watch(&'a pb::WatchResponse),
    /// A lease was granted.
    LeaseGrant(&'a pb::LeaseGrantResponse),
    /// A lease was ended; its identifier does not stand in the answer.
    LeaseRevoke(i64, &'a pb::LeaseRevokeResponse),
    /// How long a lease lives; whether its keys were asked for.
    LeaseTimeToLive(&'a pb::LeaseTimeToLiveResponse, bool),
    /// All leases.
    LeaseList(&'a pb::LeaseLeasesResponse),
    /// A lease was renewed.
    LeaseKeepAlive(&'a pb::LeaseKeepAliveResponse),
    /// The members of the cluster.
    MemberList(&'a pb::MemberListResponse),
    /// Whether endpoints serve, in the order of their answers.
    EndpointHealth(&'a [EndpointHealth]),
    /// The state of endpoints.
    EndpointStatus(&'a [EndpointStatus]),
    /// The hashes of endpoints.
    EndpointHash(&'a [EndpointHash]),
}

/// Whether an endpoint serves.
#[derive(Debug, Clone)]
pub(crate) struct EndpointHealth {
    /// The endpoint as given.
    pub(crate) endpoint: String,
    /// How long the probe took.
    pub(crate) took: Duration,
    /// What is wrong with it; none when it is healthy.
    pub(crate) error: Option<String>,
}

/// The state of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct EndpointStatus {
    /// The endpoint as given.
    pub(crate) endpoint: String,
    /// Its state.
    pub(crate) status: pb::StatusResponse,
}

/// The hash of an endpoint's keys.
#[derive(Debug, Clone)]
pub(crate) struct EndpointHash {
    /// The endpoint as given.
    pub(crate) endpoint: String,
    /// The hash and what it covers.
    pub(crate) hash: pb::HashKvResponse,
}
