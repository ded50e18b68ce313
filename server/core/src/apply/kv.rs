//! Put, delete and range against the store, with etcd's rules on what a request may ask.

use bytes::Bytes;
use holdfast_engine::mvcc::{
    ApplyTxn, MvccError, RangeQuery, RangeResult, SortOrder, SortTarget, View, trees,
};
use holdfast_proto::error::EtcdError;
use holdfast_proto::{etcdserverpb as pb, mvccpb};
use prost::Message as _;

use super::{Failure, header, key_value, unreadable};

/// What a range or a comparison needs of the state: served by the transaction that is being applied, and by a pinned
/// view for requests that change nothing.
pub(super) trait Reads {
    fn revision(&self) -> i64;
    fn compact_revision(&self) -> i64;
    fn range(&self, query: &RangeQuery<'_>) -> Result<RangeResult, MvccError>;
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, MvccError>;
}

impl Reads for ApplyTxn {
    fn revision(&self) -> i64 {
        Self::revision(self)
    }
    fn compact_revision(&self) -> i64 {
        Self::compact_revision(self)
    }
    fn range(&self, query: &RangeQuery<'_>) -> Result<RangeResult, MvccError> {
        Self::range(self, query)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, MvccError> {
        Self::get(self, key, 0)
    }
}

impl Reads for View {
    fn revision(&self) -> i64 {
        Self::revision(self)
    }
    fn compact_revision(&self) -> i64 {
        Self::compact_revision(self)
    }
    fn range(&self, query: &RangeQuery<'_>) -> Result<RangeResult, MvccError> {
        Self::range(self, query)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, MvccError> {
        Self::get(self, key, 0)
    }
}

/// A put inside the revision that is open.
pub(super) fn put(txn: &mut ApplyTxn, request: &pb::PutRequest) -> Result<pb::PutResponse, Failure> {
    require_lease(txn, request.lease)?;
    let needs_previous = request.prev_kv || request.ignore_value || request.ignore_lease;
    let previous = if needs_previous { txn.get(&request.key, 0)? } else { None };
    let (mut value, mut lease) = (&request.value[..], request.lease);
    if request.ignore_value || request.ignore_lease {
        let stored = previous.as_ref().ok_or(EtcdError::KeyNotFound)?;
        let stored = key_value(stored)?;
        if request.ignore_value {
            value = stored.value;
        }
        if request.ignore_lease {
            lease = stored.lease;
        }
        txn.put(&request.key, value, lease)?;
    } else {
        txn.put(&request.key, value, lease)?;
    }
    let prev_kv = match previous {
        Some(stored) if request.prev_kv => Some(decode_kv(&stored)?),
        _ => None,
    };
    Ok(pb::PutResponse { header: None, prev_kv })
}

/// Whether the lease of a put exists; zero is no lease.
pub(super) fn require_lease(txn: &ApplyTxn, lease: i64) -> Result<(), Failure> {
    if lease != 0 && txn.aux_get(trees::LEASES, &lease.to_be_bytes())?.is_none() {
        return Err(EtcdError::LeaseNotFound.into());
    }
    Ok(())
}

/// A delete inside the revision that is open.
pub(super) fn delete_range(
    txn: &mut ApplyTxn,
    request: &pb::DeleteRangeRequest,
) -> Result<pb::DeleteRangeResponse, Failure> {
    let deleted = txn.delete_range(&request.key, &request.range_end, request.prev_kv)?;
    let prev_kvs = deleted.prev_kvs.iter().map(decode_kv).collect::<Result<_, _>>()?;
    Ok(pb::DeleteRangeResponse { header: None, deleted: deleted.count, prev_kvs })
}

/// The store's form of a range request. Sort options outside etcd's enums have been refused before.
pub fn range_query(request: &pb::RangeRequest) -> RangeQuery<'_> {
    RangeQuery {
        key: &request.key,
        range_end: &request.range_end,
        revision: request.revision,
        limit: request.limit,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
        order: match request.sort_order() {
            pb::range_request::SortOrder::None => SortOrder::None,
            pb::range_request::SortOrder::Ascend => SortOrder::Ascend,
            pb::range_request::SortOrder::Descend => SortOrder::Descend,
        },
        target: match request.sort_target() {
            pb::range_request::SortTarget::Key => SortTarget::Key,
            pb::range_request::SortTarget::Version => SortTarget::Version,
            pb::range_request::SortTarget::Create => SortTarget::Create,
            pb::range_request::SortTarget::Mod => SortTarget::Mod,
            pb::range_request::SortTarget::Value => SortTarget::Value,
        },
    }
}

/// A range result as a message; used where the result stands inside another message.
pub fn range_response(result: &RangeResult, revision: i64) -> Result<pb::RangeResponse, MvccError> {
    Ok(pb::RangeResponse {
        header: header(revision),
        kvs: result.kvs.iter().map(decode_kv).collect::<Result<_, _>>()?,
        more: result.more,
        count: result.count,
    })
}

fn decode_kv(wire: &Bytes) -> Result<mvccpb::KeyValue, MvccError> {
    mvccpb::KeyValue::decode(wire.clone()).map_err(|_| unreadable(trees::RECORDS, wire, "not a KeyValue"))
}
