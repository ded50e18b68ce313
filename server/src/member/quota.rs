//! The quota: how large the database may get before writes are refused.
//!
//! Asked on every write, so the size is a number that the apply thread stores after each batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holdfast_engine::tree::Db;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::limits;
use pb::request_op::Request as Op;

/// Compares the size of the database with the limit.
pub(super) struct Quota {
    limit: Option<u64>,
    used: AtomicU64,
    alarm: AtomicBool,
}

impl Quota {
    /// `limit` in bytes; `None` switches the quota off.
    pub(super) fn new(db: &Db, limit: Option<u64>) -> Self {
        Self { limit, used: AtomicU64::new(bytes_in_use(db)), alarm: AtomicBool::new(false) }
    }

    /// Something was published: what counts now.
    pub(super) fn published(&self, db: &Db) {
        if self.limit.is_some() {
            self.used.store(bytes_in_use(db), Ordering::Relaxed);
        }
    }

    /// The limit in bytes.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// This member's own alarm was raised or cleared.
    pub(super) fn alarm_is(&self, raised: bool) {
        self.alarm.store(raised, Ordering::Release);
    }

    /// Whether this member has raised the alarm already.
    pub(super) fn has_alarm(&self) -> bool {
        self.alarm.load(Ordering::Acquire)
    }

    /// Whether the database is over its limit.
    pub(super) fn is_exceeded(&self) -> bool {
        !self.has_room_for(1)
    }

    /// Whether a request of this cost still fits. A request that costs nothing always does.
    pub(super) fn has_room_for(&self, cost: u64) -> bool {
        match self.limit {
            Some(limit) if cost > 0 => self.used.load(Ordering::Relaxed).saturating_add(cost) < limit,
            _ => true,
        }
    }
}

/// What the quota counts: the pages in use. Pages that are free again do not count, since they are used before the file
/// grows; with them a compaction would not help a member that is over its quota.
fn bytes_in_use(db: &Db) -> u64 {
    let stats = db.stats();
    stats.pages_in_use * u64::from(stats.page_size)
}

/// What a request costs: puts, leases, and the dearer branch of a transaction with all that is nested in it.
pub(super) fn cost(request: &pb::InternalRaftRequest) -> u64 {
    if let Some(put) = &request.put {
        return put_cost(put);
    }
    if let Some(txn) = &request.txn {
        return txn_cost(txn);
    }
    if request.lease_grant.is_some() { limits::QUOTA_LEASE_BYTES.unsigned_abs() } else { 0 }
}

fn put_cost(put: &pb::PutRequest) -> u64 {
    limits::QUOTA_PUT_OVERHEAD_BYTES.unsigned_abs() + (put.key.len() + put.value.len()) as u64
}

fn txn_cost(txn: &pb::TxnRequest) -> u64 {
    branch_cost(&txn.success).max(branch_cost(&txn.failure))
}

fn branch_cost(branch: &[pb::RequestOp]) -> u64 {
    branch
        .iter()
        .map(|op| match &op.request {
            Some(Op::RequestPut(put)) => put_cost(put),
            Some(Op::RequestTxn(txn)) => txn_cost(txn),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: usize) -> pb::RequestOp {
        let put =
            pb::PutRequest { key: vec![b'k'].into(), value: vec![0; bytes].into(), ..Default::default() };
        pb::RequestOp { request: Some(Op::RequestPut(put)) }
    }

    #[test]
    fn the_dearer_branch_counts_with_what_is_nested() {
        let nested = pb::TxnRequest { success: vec![put(99)], ..Default::default() };
        let txn = pb::TxnRequest {
            success: vec![put(9)],
            failure: vec![put(9), pb::RequestOp { request: Some(Op::RequestTxn(nested)) }],
            ..Default::default()
        };
        let request = pb::InternalRaftRequest { txn: Some(txn), ..Default::default() };
        assert_eq!(cost(&request), (256 + 10) + (256 + 100));
        let delete = pb::InternalRaftRequest {
            delete_range: Some(pb::DeleteRangeRequest::default()),
            ..Default::default()
        };
        assert_eq!(cost(&delete), 0);
    }
}
