//! What a request may ask: refused here, before anything is proposed, with etcd's errors in etcd's order.

use std::collections::BTreeSet;

use holdfast_engine::mvcc::KeyRange;
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request;

/// Transactions nested deeper than this are refused. A decoder bounds how deep messages may be nested, and the log's
/// envelope adds to what the client has sent: a transaction that passes here must be one that every member can apply, or
/// its entry would stop them all.
const MAX_TXN_DEPTH: usize = 32;

/// The longest key, in bytes, that may be put. The store keeps a second form of it, in which each zero byte takes two,
/// and both must fit what the store allows (16 MiB). Only a server whose `--max-request-bytes` was raised gets this far.
const MAX_KEY_BYTES: usize = 7 << 20;

/// A range needs a key and known sort options.
pub(super) fn range(request: &pb::RangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    let known = pb::range_request::SortOrder::try_from(request.sort_order).is_ok()
        && pb::range_request::SortTarget::try_from(request.sort_target).is_ok();
    if known { Ok(()) } else { Err(EtcdError::InvalidSortOption) }
}

/// A put needs a key, and no value or lease that it asks to ignore.
pub(super) fn put(request: &pb::PutRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    if request.key.len() > MAX_KEY_BYTES {
        return Err(EtcdError::RequestTooLarge);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// A delete needs a key.
pub(super) fn delete_range(request: &pb::DeleteRangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

/// A transaction needs few enough operations, each of which is valid by itself, and must not write a key twice.
pub(super) fn txn(request: &pb::TxnRequest, max_ops: usize) -> Result<(), EtcdError> {
    operations(request, max_ops, MAX_TXN_DEPTH)?;
    writes_once(&request.success)?;
    writes_once(&request.failure)?;
    Ok(())
}

/// The operations of a nested transaction count against what its parent has left of the limit.
fn operations(request: &pb::TxnRequest, max_ops: usize, depth: usize) -> Result<(), EtcdError> {
    if depth == 0 {
        return Err(EtcdError::TooManyOps);
    }
    let used = request.compare.len().max(request.success.len()).max(request.failure.len());
    if used > max_ops {
        return Err(EtcdError::TooManyOps);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(EtcdError::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(request)) => operations(request, max_ops - used, depth - 1)?,
            None => return Err(EtcdError::KeyNotFound),
        }
    }
    Ok(())
}

/// What one branch writes: the keys it puts, and the intervals it deletes.
#[derive(Default)]
struct Writes<'r> {
    puts: BTreeSet<&'r [u8]>,
    deletes: Vec<Interval<'r>>,
}

/// A deleted interval as the check sees it: the raw bytes, so that an open end (`\0`) covers nothing. etcd's rule.
#[derive(Clone, Copy)]
struct Interval<'r> {
    key: &'r [u8],
    end: Option<&'r [u8]>,
}

impl Interval<'_> {
    fn contains(&self, key: &[u8]) -> bool {
        match self.end {
            None => self.key == key,
            Some(end) => key >= self.key && key < end,
        }
    }
}

impl Writes<'_> {
    fn deletes(&self, key: &[u8]) -> bool {
        self.deletes.iter().any(|interval| interval.contains(key))
    }
}

/// No key may be put twice, nor put and deleted, in one branch. What nested transactions put counts against the
/// operations beside them and against their siblings before them; the two branches of one nested transaction may put the
/// same key, since only one of them runs. The order of the checks decides some answers, and is etcd's: deletes beside,
/// nested transactions, puts beside.
fn writes_once(branch: &[pb::RequestOp]) -> Result<Writes<'_>, EtcdError> {
    let mut writes = Writes::default();
    for op in branch {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            let end = (!delete.range_end.is_empty()).then_some(&delete.range_end[..]);
            writes.deletes.push(Interval { key: &delete.key, end });
        }
    }
    for op in branch {
        let Some(Request::RequestTxn(inner)) = &op.request else { continue };
        let then = writes_once(&inner.success)?;
        let or_else = writes_once(&inner.failure)?;
        if then.puts.iter().any(|key| writes.puts.contains(key) || writes.deletes(key)) {
            return Err(EtcdError::DuplicateKey);
        }
        writes.deletes.extend(then.deletes);
        let twice = |key: &&[u8]| writes.puts.contains(key) || writes.deletes(key);
        if or_else.puts.iter().any(twice) {
            return Err(EtcdError::DuplicateKey);
        }
        writes.puts.extend(then.puts);
        writes.puts.extend(or_else.puts);
        writes.deletes.extend(or_else.deletes);
    }
    for op in branch {
        if let Some(Request::RequestPut(put)) = &op.request
            && (writes.deletes(&put.key) || !writes.puts.insert(&put.key))
        {
            return Err(EtcdError::DuplicateKey);
        }
    }
    refuse_put_after_open_delete(branch)?;
    Ok(writes)
}

/// A put that keeps the value or the lease of a key which an open-ended delete before it has removed cannot be applied.
/// The rule above does not see it, and etcd dies of it; here it is refused.
fn refuse_put_after_open_delete(branch: &[pb::RequestOp]) -> Result<(), EtcdError> {
    let mut deleted: Vec<KeyRange<'_>> = Vec::new();
    for op in branch {
        match &op.request {
            Some(Request::RequestDeleteRange(delete)) if &delete.range_end[..] == b"\0" => {
                deleted.push(KeyRange::new(&delete.key, &delete.range_end));
            }
            Some(Request::RequestPut(put))
                if (put.ignore_value || put.ignore_lease)
                    && deleted.iter().any(|range| range.contains(&put.key)) =>
            {
                return Err(EtcdError::DuplicateKey);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn op(request: Request) -> pb::RequestOp {
        pb::RequestOp { request: Some(request) }
    }

    fn p(key: &'static str) -> pb::RequestOp {
        op(Request::RequestPut(pb::PutRequest { key: key.into(), ..Default::default() }))
    }

    fn d(key: &'static str, end: &'static str) -> pb::RequestOp {
        op(Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: key.into(),
            range_end: end.into(),
            ..Default::default()
        }))
    }

    fn t(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
        op(Request::RequestTxn(pb::TxnRequest { success, failure, ..Default::default() }))
    }

    fn check(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> Result<(), EtcdError> {
        txn(&pb::TxnRequest { success, failure, ..Default::default() }, 128)
    }

    #[test]
    fn a_key_is_written_once_in_a_branch() {
        let duplicates = [
            vec![p("d"), p("d")],
            vec![p("d"), d("d", "")],
            vec![d("d", ""), p("d")],
            vec![p("d"), d("c", "e")],
            vec![p("d"), t(vec![p("d")], vec![])],
            vec![p("d"), t(vec![d("d", "")], vec![])],
            vec![t(vec![p("d")], vec![]), t(vec![], vec![p("d")])],
            vec![t(vec![d("d", "")], vec![]), t(vec![p("d")], vec![])],
            vec![t(vec![d("d", "")], vec![p("d")])],
        ];
        for branch in duplicates {
            assert_eq!(check(branch.clone(), vec![]), Err(EtcdError::DuplicateKey), "{branch:?}");
            assert_eq!(check(vec![], branch.clone()), Err(EtcdError::DuplicateKey), "{branch:?}");
        }
        let allowed = [
            vec![d("d", ""), d("c", "e")],
            vec![t(vec![p("d")], vec![p("d")])],
            vec![d("a", "\0"), p("z")],
            vec![p("a"), p("b")],
            vec![t(vec![p("d")], vec![]), t(vec![d("d", "")], vec![])],
        ];
        for branch in allowed {
            assert_eq!(check(branch.clone(), vec![]), Ok(()), "{branch:?}");
        }
        assert_eq!(check(vec![p("d")], vec![p("d")]), Ok(()), "only one branch runs");
    }

    #[test]
    fn what_kills_etcd_is_refused() {
        let keep = pb::PutRequest { key: "z".into(), ignore_value: true, ..Default::default() };
        let branch = vec![d("a", "\0"), op(Request::RequestPut(keep))];
        assert_eq!(check(branch, vec![]), Err(EtcdError::DuplicateKey));
    }

    #[test]
    fn operations_are_counted_by_list_and_depth() {
        let many = |n: usize| -> Vec<pb::RequestOp> { (0..n).map(|_| d("k", "")).collect() };
        assert_eq!(check(many(128), many(128)), Ok(()));
        assert_eq!(check(many(129), vec![]), Err(EtcdError::TooManyOps));
        let with_nested = |inner: usize| {
            let mut ops = many(99);
            ops.push(t(many(inner), vec![]));
            check(ops, vec![])
        };
        assert_eq!(with_nested(28), Ok(()));
        assert_eq!(with_nested(29), Err(EtcdError::TooManyOps));
        assert_eq!(check(vec![pb::RequestOp::default()], vec![]), Err(EtcdError::KeyNotFound));
    }

    /// A transaction nested 49 deep was taken, and could not be decoded out of its log entry: the member stopped, and
    /// stopped again on every start.
    #[test]
    fn what_is_taken_can_be_decoded_out_of_the_log() {
        let nested = |depth: usize| (1..depth).fold(vec![p("k")], |inner, _| vec![t(inner, vec![])]);
        for depth in [MAX_TXN_DEPTH, MAX_TXN_DEPTH + 1] {
            let request = pb::TxnRequest { success: nested(depth), ..Default::default() };
            let taken = txn(&request, 128);
            assert_eq!(taken.is_ok(), depth <= MAX_TXN_DEPTH);
            if taken.is_ok() {
                let envelope = pb::InternalRaftRequest { txn: Some(request), ..Default::default() };
                assert!(pb::InternalRaftRequest::decode(&envelope.encode_to_vec()[..]).is_ok());
            }
        }
    }

    #[test]
    fn single_requests() {
        assert_eq!(put(&pb::PutRequest::default()), Err(EtcdError::EmptyKey));
        let value =
            pb::PutRequest { key: "k".into(), value: "v".into(), ignore_value: true, ..Default::default() };
        assert_eq!(put(&value), Err(EtcdError::ValueProvided));
        let lease = pb::PutRequest { key: "k".into(), lease: 1, ignore_lease: true, ..Default::default() };
        assert_eq!(put(&lease), Err(EtcdError::LeaseProvided));
        assert_eq!(delete_range(&pb::DeleteRangeRequest::default()), Err(EtcdError::EmptyKey));
        assert_eq!(range(&pb::RangeRequest::default()), Err(EtcdError::EmptyKey));
        let sort = pb::RangeRequest { key: "k".into(), sort_target: 9, ..Default::default() };
        assert_eq!(range(&sort), Err(EtcdError::InvalidSortOption));
    }
}
