//! Membership, member attributes and cluster version through the log.

use holdfast_engine::mvcc::{ApplyTxn, MvccError, trees};
use holdfast_proto::error::EtcdError;
use holdfast_proto::membershippb;

use crate::membership::{self, Membership};
use crate::raft::ConfChange;

use super::{Outcome, Reply};

/// Validates and applies a configuration change. The change is returned when it holds; every member comes to the same
/// verdict.
pub(super) fn conf_change(
    txn: &mut ApplyTxn,
    membership: &mut Membership,
    change: ConfChange,
) -> Result<(Outcome, Option<ConfChange>), MvccError> {
    if let Err(refusal) = membership.validate(&change) {
        return Ok((Err(refusal), None));
    }
    membership.apply(&change);
    membership::save_change(txn, membership, &change)?;
    save_conf_state(txn, membership)?;
    Ok((Ok(members_reply(membership)), Some(change)))
}

pub(super) fn members_reply(membership: &Membership) -> Reply {
    Reply::Members(membership.members().map(membership::Member::to_proto).collect())
}

/// A member says its name and client URLs.
pub(super) fn set_attributes(
    txn: &mut ApplyTxn,
    membership: &mut Membership,
    request: &membershippb::ClusterMemberAttrSetRequest,
) -> Result<Outcome, MvccError> {
    let attributes = request.member_attributes.clone().unwrap_or_default();
    if !membership.set_attributes(request.member_id, attributes.name, attributes.client_urls) {
        return Ok(Err(EtcdError::MemberNotFound));
    }
    membership::save_member(txn, membership, request.member_id)?;
    Ok(Ok(Reply::Done))
}

/// The leader sets the cluster version.
pub(super) fn set_version(
    txn: &mut ApplyTxn,
    membership: &mut Membership,
    request: &membershippb::ClusterVersionSetRequest,
) -> Result<Outcome, MvccError> {
    membership::save_version(txn, &request.ver)?;
    membership.set_version(request.ver.clone());
    Ok(Ok(Reply::Done))
}

/// Raft's configuration in etcd's JSON. It follows from the members alone, since changes are made one at a time.
fn save_conf_state(txn: &mut ApplyTxn, membership: &Membership) -> Result<(), MvccError> {
    #[derive(serde::Serialize)]
    struct ConfState {
        voters: Vec<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        learners: Vec<u64>,
        auto_leave: bool,
    }
    let (voters, learners) = membership.voters_and_learners();
    let state = ConfState { voters, learners, auto_leave: false };
    let json = serde_json::to_vec(&state).expect("a struct of numbers serialises");
    txn.aux_put(trees::META, b"confState", &json)
}
