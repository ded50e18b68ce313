//! One request of the log: what it is, and what stands in its way.

use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request as Op;

use super::Alarms;

/// The request that an entry carries.
#[derive(Debug)]
pub(super) enum Request {
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compaction(pb::CompactionRequest),
    LeaseGrant(pb::LeaseGrantRequest),
    LeaseRevoke(pb::LeaseRevokeRequest),
    LeaseCheckpoint(pb::LeaseCheckpointRequest),
    Alarm(pb::AlarmRequest),
    SetVersion(holdfast_proto::membershippb::ClusterVersionSetRequest),
    SetAttributes(holdfast_proto::membershippb::ClusterMemberAttrSetRequest),
    /// Changes nothing: a range in the log of early versions, or a test request.
    Nothing,
}

impl Request {
    /// Takes the request out of its envelope; `Err` names what cannot be applied.
    pub(super) fn from_envelope(envelope: pb::InternalRaftRequest) -> Result<Self, &'static str> {
        Ok(match envelope {
            pb::InternalRaftRequest { put: Some(request), .. } => Self::Put(request),
            pb::InternalRaftRequest { delete_range: Some(request), .. } => Self::DeleteRange(request),
            pb::InternalRaftRequest { txn: Some(request), .. } => Self::Txn(request),
            pb::InternalRaftRequest { compaction: Some(request), .. } => Self::Compaction(request),
            pb::InternalRaftRequest { lease_grant: Some(request), .. } => Self::LeaseGrant(request),
            pb::InternalRaftRequest { lease_revoke: Some(request), .. } => Self::LeaseRevoke(request),
            pb::InternalRaftRequest { lease_checkpoint: Some(request), .. } => Self::LeaseCheckpoint(request),
            pb::InternalRaftRequest { alarm: Some(request), .. } => Self::Alarm(request),
            pb::InternalRaftRequest { cluster_version_set: Some(request), .. } => Self::SetVersion(request),
            pb::InternalRaftRequest { cluster_member_attr_set: Some(request), .. } => {
                Self::SetAttributes(request)
            }
            pb::InternalRaftRequest { range: Some(_), .. }
            | pb::InternalRaftRequest { downgrade_version_test: Some(_), .. } => Self::Nothing,
            pb::InternalRaftRequest { downgrade_info_set: Some(_), .. } => return Err("a downgrade"),
            _ => return Err("authentication, or a request that is newer than this version"),
        })
    }

    /// The error with which an alarm in force refuses this request.
    pub(super) fn refused_by(&self, alarms: &Alarms) -> Option<EtcdError> {
        let changes_data = matches!(
            self,
            Self::Put(_)
                | Self::DeleteRange(_)
                | Self::Txn(_)
                | Self::Compaction(_)
                | Self::LeaseGrant(_)
                | Self::LeaseRevoke(_)
        );
        if changes_data && alarms.raised(pb::AlarmType::Corrupt) {
            return Some(EtcdError::Corrupt);
        }
        if self.needs_space() && alarms.raised(pb::AlarmType::Nospace) {
            return Some(EtcdError::NoSpace);
        }
        None
    }

    /// Whether the request may make the database larger: the quota speaks of these alone.
    pub(super) fn needs_space(&self) -> bool {
        match self {
            Self::Put(_) | Self::LeaseGrant(_) => true,
            Self::Txn(request) => has_put(request),
            _ => false,
        }
    }
}

/// Whether a put stands anywhere in a transaction, taken or not.
fn has_put(request: &pb::TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|op| match &op.request {
        Some(Op::RequestPut(_)) => true,
        Some(Op::RequestTxn(inner)) => has_put(inner),
        _ => false,
    })
}
