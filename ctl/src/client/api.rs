//! The calls, one method each.

use holdfast_proto::etcdserverpb as pb;
use pb::{
    cluster_client::ClusterClient, kv_client::KvClient, lease_client::LeaseClient,
    maintenance_client::MaintenanceClient,
};

use super::{
    Client,
    call::Repeat::{self, Safe, Unsafe},
    error::CallError,
};

/// Writes a method that makes one unary call.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $stub:ident.$method:ident($request:ident) -> $response:ident, $repeat:expr;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                pub(crate) async fn $name(&mut self, message: pb::$request) -> Result<pb::$response, CallError> {
                    let limit = self.options.max_receive_bytes;
                    let repeat: Repeat = $repeat;
                    self.call(repeat, message, async move |channel, request| {
                        $stub::new(channel).max_decoding_message_size(limit).$method(request).await
                    })
                    .await
                }
            )*
        }
    };
}

calls! {
    /// Reads keys.
    range: KvClient.range(RangeRequest) -> RangeResponse, Safe;
    /// Writes a key.
    put: KvClient.put(PutRequest) -> PutResponse, Unsafe;
    /// Deletes keys.
    delete_range: KvClient.delete_range(DeleteRangeRequest) -> DeleteRangeResponse, Unsafe;
    /// Removes old revisions.
    compact: KvClient.compact(CompactionRequest) -> CompactionResponse, Unsafe;
    /// Grants a lease.
    lease_grant: LeaseClient.lease_grant(LeaseGrantRequest) -> LeaseGrantResponse, Unsafe;
    /// Ends a lease.
    lease_revoke: LeaseClient.lease_revoke(LeaseRevokeRequest) -> LeaseRevokeResponse, Unsafe;
    /// Tells how long a lease lives.
    lease_time_to_live: LeaseClient.lease_time_to_live(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse, Safe;
    /// Lists leases.
    lease_leases: LeaseClient.lease_leases(LeaseLeasesRequest) -> LeaseLeasesResponse, Safe;
    /// Lists members.
    member_list: ClusterClient.member_list(MemberListRequest) -> MemberListResponse, Safe;
    /// Tells a member's state.
    status: MaintenanceClient.status(StatusRequest) -> StatusResponse, Safe;
    /// Hashes a member's keys.
    hash_kv: MaintenanceClient.hash_kv(HashKvRequest) -> HashKvResponse, Safe;
    /// Lists or changes alarms.
    alarm: MaintenanceClient.alarm(AlarmRequest) -> AlarmResponse, Unsafe;
}

impl Client {
    /// Runs a transaction. One that only reads may be repeated.
    pub(crate) async fn txn(&mut self, message: pb::TxnRequest) -> Result<pb::TxnResponse, CallError> {
        use pb::request_op::Request::RequestRange;
        let mut operations = message.success.iter().chain(&message.failure);
        let only_reads = operations.all(|operation| matches!(operation.request, Some(RequestRange(_))));
        let limit = self.options.max_receive_bytes;
        self.call(if only_reads { Safe } else { Unsafe }, message, async move |channel, request| {
            KvClient::new(channel).max_decoding_message_size(limit).txn(request).await
        })
        .await
    }
}
