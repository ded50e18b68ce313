//! Transactions: compare, then one branch, as one revision.
//!
//! A transaction never fails half-way: everything that could be refused is looked at before the first write
//! ([`check`]), against the state before the transaction.

use std::cmp::Ordering;

use holdfast_engine::mvcc::{ApplyTxn, KeyValue, MvccError, RangeQuery, View};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use pb::response_op::Response;

use super::kv::{self, Reads};
use super::{Failure, header, key_value};

/// Whether a transaction consists of ranges alone, in both branches. Such a transaction does not go through the log. A
/// nested transaction, even one that only reads, makes the whole a write.
pub fn is_read_only(request: &pb::TxnRequest) -> bool {
    operations(request).all(|op| matches!(op.request, None | Some(Request::RequestRange(_))))
}

/// Whether a read-only transaction may be answered from this member's state as it is: all of its ranges ask for no more.
/// An empty one counts as such.
pub fn is_serializable(request: &pb::TxnRequest) -> bool {
    operations(request).all(|op| match &op.request {
        Some(Request::RequestRange(range)) => range.serializable,
        _ => false,
    })
}

fn operations(request: &pb::TxnRequest) -> impl Iterator<Item = &pb::RequestOp> {
    request.success.iter().chain(&request.failure)
}

/// Answers a read-only transaction from a pinned view.
///
/// # Errors
/// The inner `Err` is for the client (a compacted or future revision), the outer one says that the store failed.
pub fn read_only_txn(
    view: &View,
    request: &pb::TxnRequest,
) -> Result<Result<pb::TxnResponse, EtcdError>, MvccError> {
    match read_branch(view, request) {
        Ok(response) => Ok(Ok(response)),
        Err(Failure::Client(error)) => Ok(Err(error)),
        Err(Failure::Fatal(error)) => Err(error),
    }
}

fn read_branch(view: &View, request: &pb::TxnRequest) -> Result<pb::TxnResponse, Failure> {
    let succeeded = compares_hold(view, &request.compare)?;
    let branch = if succeeded { &request.success } else { &request.failure };
    let revision = Reads::revision(view);
    let mut responses = Vec::with_capacity(branch.len());
    for op in branch {
        let Some(Request::RequestRange(range)) = &op.request else { continue };
        check_range(view, range)?;
        let result = Reads::range(view, &kv::range_query(range))?;
        let response = Response::ResponseRange(kv::range_response(&result, revision)?);
        responses.push(pb::ResponseOp { response: Some(response) });
    }
    Ok(pb::TxnResponse { header: header(revision), succeeded, responses })
}

/// Applies a transaction inside the revision that is open; `base` is the revision before it.
pub(super) fn apply(
    txn: &mut ApplyTxn,
    request: &pb::TxnRequest,
    base: i64,
) -> Result<pb::TxnResponse, Failure> {
    let plan = plan(txn, request)?;
    check(txn, request, &plan)?;
    let mut run = Run { txn, base, changed: false };
    let mut response = run.execute(request, &plan)?;
    response.header = header(run.revision());
    Ok(response)
}

/// Which branch is taken, in a transaction and in those nested in that branch: all decided before the first write.
struct Plan {
    succeeded: bool,
    nested: Vec<Plan>,
}

fn plan(txn: &ApplyTxn, request: &pb::TxnRequest) -> Result<Plan, Failure> {
    let succeeded = compares_hold(txn, &request.compare)?;
    let mut nested = Vec::new();
    for op in branch(request, succeeded) {
        if let Some(Request::RequestTxn(inner)) = &op.request {
            nested.push(plan(txn, inner)?);
        }
    }
    Ok(Plan { succeeded, nested })
}

fn branch(request: &pb::TxnRequest, succeeded: bool) -> &[pb::RequestOp] {
    if succeeded { &request.success } else { &request.failure }
}

/// Refuses what would fail half-way: an unknown lease, an ignored value or lease of a key that is not there (as of
/// before the transaction, or deleted earlier in it), a revision that cannot be read.
fn check(txn: &ApplyTxn, request: &pb::TxnRequest, plan: &Plan) -> Result<(), Failure> {
    let mut deleted = Vec::new();
    check_branch(txn, request, plan, &mut deleted)
}

fn check_branch<'r>(
    txn: &ApplyTxn,
    request: &'r pb::TxnRequest,
    plan: &Plan,
    deleted: &mut Vec<&'r pb::DeleteRangeRequest>,
) -> Result<(), Failure> {
    let mut nested = plan.nested.iter();
    for op in branch(request, plan.succeeded) {
        match &op.request {
            Some(Request::RequestRange(range)) => check_range(txn, range)?,
            Some(Request::RequestPut(put)) => {
                kv::require_lease(txn, put.lease)?;
                if put.ignore_value || put.ignore_lease {
                    let gone = deleted.iter().any(|delete| covers(delete, &put.key));
                    if gone || txn.get(&put.key, 0)?.is_none() {
                        return Err(EtcdError::KeyNotFound.into());
                    }
                }
            }
            Some(Request::RequestDeleteRange(delete)) => deleted.push(delete),
            Some(Request::RequestTxn(inner)) => {
                let plan = nested.next().expect("a plan stands for every nested transaction of the branch");
                check_branch(txn, inner, plan, deleted)?;
            }
            None => {}
        }
    }
    Ok(())
}

fn covers(delete: &pb::DeleteRangeRequest, key: &[u8]) -> bool {
    match &delete.range_end[..] {
        [] => delete.key == key,
        [0] => key >= &delete.key[..],
        end => key >= &delete.key[..] && key < end,
    }
}

/// Unlike a plain range, one in a transaction takes a negative revision for a compacted one.
fn check_range(state: &impl Reads, range: &pb::RangeRequest) -> Result<(), Failure> {
    if range.revision > state.revision() {
        return Err(EtcdError::FutureRev.into());
    }
    if range.revision != 0 && range.revision < state.compact_revision() {
        return Err(EtcdError::Compacted.into());
    }
    Ok(())
}

/// The writing half of a transaction.
struct Run<'t> {
    txn: &'t mut ApplyTxn,
    base: i64,
    changed: bool,
}

impl Run<'_> {
    /// The revision as seen from inside: it counts up with the first change.
    fn revision(&self) -> i64 {
        self.base + i64::from(self.changed)
    }

    fn execute(&mut self, request: &pb::TxnRequest, plan: &Plan) -> Result<pb::TxnResponse, Failure> {
        let mut nested = plan.nested.iter();
        let mut responses = Vec::new();
        for op in branch(request, plan.succeeded) {
            let response = match &op.request {
                Some(Request::RequestRange(range)) => {
                    let result = self.txn.range(&kv::range_query(range))?;
                    Response::ResponseRange(kv::range_response(&result, self.revision())?)
                }
                Some(Request::RequestPut(put)) => {
                    let mut response = kv::put(self.txn, put)?;
                    self.changed = true;
                    response.header = header(self.revision());
                    Response::ResponsePut(response)
                }
                Some(Request::RequestDeleteRange(delete)) => {
                    let mut response = kv::delete_range(self.txn, delete)?;
                    self.changed |= response.deleted > 0;
                    response.header = header(self.revision());
                    Response::ResponseDeleteRange(response)
                }
                Some(Request::RequestTxn(inner)) => {
                    let plan =
                        nested.next().expect("a plan stands for every nested transaction of the branch");
                    let mut response = self.execute(inner, plan)?;
                    response.header = Some(pb::ResponseHeader::default());
                    Response::ResponseTxn(response)
                }
                None => continue,
            };
            responses.push(pb::ResponseOp { response: Some(response) });
        }
        Ok(pb::TxnResponse { header: None, succeeded: plan.succeeded, responses })
    }
}

/// Whether all comparisons hold.
fn compares_hold(state: &impl Reads, compares: &[pb::Compare]) -> Result<bool, Failure> {
    for compare in compares {
        if !compare_holds(state, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One comparison: every key of its range has to satisfy it. A range without keys is compared as one missing key.
fn compare_holds(state: &impl Reads, compare: &pb::Compare) -> Result<bool, Failure> {
    if compare.range_end.is_empty() {
        let stored = state.get(&compare.key)?;
        let stored = stored.as_ref().map(|wire| key_value(wire)).transpose()?;
        return Ok(holds(compare, stored.as_ref()));
    }
    let query = RangeQuery {
        key: &compare.key,
        range_end: &compare.range_end,
        keys_only: compare.target != CompareTarget::Value as i32,
        ..RangeQuery::default()
    };
    let found = state.range(&query)?;
    if found.kvs.is_empty() {
        return Ok(holds(compare, None));
    }
    for wire in &found.kvs {
        if !holds(compare, Some(&key_value(wire)?)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares one key (or a missing one, whose numbers are all zero and whose value equals nothing). The operand is read
/// only from the union member that fits the target; results and targets outside the enums hold.
fn holds(compare: &pb::Compare, stored: Option<&KeyValue<'_>>) -> bool {
    let number = |field: fn(&KeyValue<'_>) -> i64| stored.map_or(0, field);
    let given = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => {
            let Some(stored) = stored else { return false };
            let given = match given {
                Some(TargetUnion::Value(value)) => &value[..],
                _ => &[],
            };
            stored.value.cmp(given)
        }
        Ok(CompareTarget::Version) => {
            let given = if let Some(TargetUnion::Version(given)) = given { *given } else { 0 };
            number(|kv| kv.version).cmp(&given)
        }
        Ok(CompareTarget::Create) => {
            let given = if let Some(TargetUnion::CreateRevision(given)) = given { *given } else { 0 };
            number(|kv| kv.create_revision).cmp(&given)
        }
        Ok(CompareTarget::Mod) => {
            let given = if let Some(TargetUnion::ModRevision(given)) = given { *given } else { 0 };
            number(|kv| kv.mod_revision).cmp(&given)
        }
        Ok(CompareTarget::Lease) => {
            let given = if let Some(TargetUnion::Lease(given)) = given { *given } else { 0 };
            number(|kv| kv.lease).cmp(&given)
        }
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        Err(_) => true,
    }
}
