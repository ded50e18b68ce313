//! Leases in the store: a record each, and their keys deleted with them.

use holdfast_engine::mvcc::{ApplyTxn, MvccError, RevisionChanges, View, trees};
use holdfast_proto::error::EtcdError;
use holdfast_proto::limits::MAX_LEASE_TTL_SECONDS;
use holdfast_proto::{etcdserverpb as pb, leasepb};
use prost::Message as _;

use super::{Failure, LeaseEffect, header, unreadable};
use crate::lease::Lessor;

/// Grants a lease. Its time to live is raised to `min_ttl` seconds.
pub(super) fn grant(
    txn: &mut ApplyTxn,
    request: &pb::LeaseGrantRequest,
    min_ttl: i64,
) -> Result<(pb::LeaseGrantResponse, LeaseEffect), Failure> {
    if request.ttl > MAX_LEASE_TTL_SECONDS {
        return Err(EtcdError::LeaseTTLTooLarge.into());
    }
    // The proposer chooses the id when the client has not; zero would be "no lease" on every key.
    if request.id == 0 {
        return Err(EtcdError::LeaseNotFound.into());
    }
    if txn.aux_get(trees::LEASES, &request.id.to_be_bytes())?.is_some() {
        return Err(EtcdError::LeaseExist.into());
    }
    let seconds = request.ttl.max(min_ttl);
    save(txn, request.id, seconds, 0)?;
    let response = pb::LeaseGrantResponse {
        header: header(txn.revision()),
        id: request.id,
        ttl: seconds,
        error: String::new(),
    };
    Ok((response, LeaseEffect::Granted { id: request.id, seconds }))
}

/// Revokes a lease: all its keys go in one revision, in ascending order.
pub(super) fn revoke(
    txn: &mut ApplyTxn,
    id: i64,
) -> Result<(pb::LeaseRevokeResponse, Option<RevisionChanges>), Failure> {
    if txn.aux_get(trees::LEASES, &id.to_be_bytes())?.is_none() {
        return Err(EtcdError::LeaseNotFound.into());
    }
    let keys = txn.lease_keys(id)?;
    txn.begin_revision();
    for key in keys {
        txn.delete_range(&key, &[], false)?;
    }
    let changes = txn.end_revision();
    txn.aux_delete(trees::LEASES, &id.to_be_bytes())?;
    Ok((pb::LeaseRevokeResponse { header: header(txn.revision()) }, changes))
}

/// Records how many seconds leases have left. Unknown leases are passed over: they have ended meanwhile.
pub(super) fn checkpoint(
    txn: &mut ApplyTxn,
    request: &pb::LeaseCheckpointRequest,
) -> Result<Vec<LeaseEffect>, Failure> {
    let mut effects = Vec::new();
    for checkpoint in &request.checkpoints {
        let Some(stored) = txn.aux_get(trees::LEASES, &checkpoint.id.to_be_bytes())? else { continue };
        let stored = decode(&checkpoint.id.to_be_bytes(), stored)?;
        save(txn, checkpoint.id, stored.ttl, checkpoint.remaining_ttl)?;
        effects.push(LeaseEffect::Checkpointed {
            id: checkpoint.id,
            remaining_seconds: checkpoint.remaining_ttl,
        });
    }
    Ok(effects)
}

/// Fills a lessor with the leases that the store holds.
pub(super) fn load(view: &View) -> Result<Lessor, MvccError> {
    let mut lessor = Lessor::new();
    for entry in view.aux_entries(trees::LEASES)? {
        let (id, value) = entry?;
        let lease = decode(id, value)?;
        lessor.load(lease.id, lease.ttl, lease.remaining_ttl);
    }
    Ok(lessor)
}

fn save(txn: &mut ApplyTxn, id: i64, ttl: i64, remaining_ttl: i64) -> Result<(), MvccError> {
    let record = leasepb::Lease { id, ttl, remaining_ttl }.encode_to_vec();
    txn.aux_put(trees::LEASES, &id.to_be_bytes(), &record)
}

fn decode(id: &[u8], record: &[u8]) -> Result<leasepb::Lease, MvccError> {
    leasepb::Lease::decode(record).map_err(|_| unreadable(trees::LEASES, id, "the record is not a Lease"))
}
