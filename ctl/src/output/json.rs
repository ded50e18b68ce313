//! The `json` format: one object on one line.
//!
//! There are two families. Answers about keys and members are the messages of the wire: zero fields are left
//! out. Answers about watches, leases and endpoints have a shape of their own, where the fields of the header
//! stand among the others and zeros are shown.

use holdfast_proto::{etcdserverpb as pb, mvccpb};

use super::{
    Reply, Unsupported,
    json_writer::{Object, array, bytes, object},
};

/// Appends the reply and a newline.
#[expect(clippy::unnecessary_wraps, reason = "all formats share one signature")]
pub(super) fn render(reply: &Reply<'_>, hex: bool, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    match reply {
        Reply::Get(response) => object(out, |o| range(o, response)),
        Reply::Put(response) => object(out, |o| put(o, response)),
        Reply::Del(response) => object(out, |o| delete_range(o, response)),
        Reply::Txn(response) => object(out, |o| txn(o, response)),
        Reply::Watch(response) => object(out, |o| watch(o, response)),
        Reply::LeaseGrant(response) => object(out, |o| {
            header_fields(o, response.header.as_ref());
            o.number("ID", response.id);
            o.number("TTL", response.ttl);
            o.string("Error", response.error.as_bytes());
        }),
        Reply::LeaseRevoke(_, response) => object(out, |o| header(o, response.header.as_ref())),
        Reply::LeaseTimeToLive(response, _) => object(out, |o| time_to_live(o, response)),
        Reply::LeaseList(response) => object(out, |o| {
            header_fields(o, response.header.as_ref());
            o.objects("leases", &response.leases, |o, lease| o.number("id", lease.id));
        }),
        Reply::LeaseKeepAlive(response) => object(out, |o| {
            header_fields(o, response.header.as_ref());
            o.number("ID", response.id);
            o.number("TTL", response.ttl);
        }),
        Reply::MemberList(response) if hex => object(out, |o| hex_members(o, response)),
        Reply::MemberList(response) => object(out, |o| {
            header(o, response.header.as_ref());
            o.objects_if("members", &response.members, member);
        }),
        Reply::EndpointHealth(list) => array(out, *list, |out, row| {
            object(out, |o| {
                o.string("endpoint", row.endpoint.as_bytes());
                o.bool("health", row.error.is_none());
                o.string("took", crate::go_text::duration::format(row.took).as_bytes());
                o.string_if("error", row.error.as_deref().unwrap_or_default());
            });
        }),
        Reply::EndpointStatus(list) => array(out, *list, |out, row| {
            object(out, |o| {
                o.string("Endpoint", row.endpoint.as_bytes());
                o.object("Status", |o| status(o, &row.status));
            });
        }),
        Reply::EndpointHash(list) => array(out, *list, |out, row| {
            object(out, |o| {
                o.string("Endpoint", row.endpoint.as_bytes());
                o.object("HashKV", |o| hash_kv(o, &row.hash));
            });
        }),
    }
    out.push(b'\n');
    Ok(())
}

fn header(o: &mut Object<'_>, header: Option<&pb::ResponseHeader>) {
    if header.is_some() {
        o.object("header", |o| header_fields(o, header));
    }
}

fn header_fields(o: &mut Object<'_>, header: Option<&pb::ResponseHeader>) {
    if let Some(header) = header {
        o.number_if("cluster_id", header.cluster_id);
        o.number_if("member_id", header.member_id);
        o.number_if("revision", header.revision);
        o.number_if("raft_term", header.raft_term);
    }
}

fn key_value(o: &mut Object<'_>, kv: &mvccpb::KeyValue) {
    o.bytes_if("key", &kv.key);
    o.number_if("create_revision", kv.create_revision);
    o.number_if("mod_revision", kv.mod_revision);
    o.number_if("version", kv.version);
    o.bytes_if("value", &kv.value);
    o.number_if("lease", kv.lease);
}

fn range(o: &mut Object<'_>, response: &pb::RangeResponse) {
    header(o, response.header.as_ref());
    o.objects_if("kvs", &response.kvs, key_value);
    o.bool_if("more", response.more);
    o.number_if("count", response.count);
}

fn put(o: &mut Object<'_>, response: &pb::PutResponse) {
    header(o, response.header.as_ref());
    if let Some(kv) = &response.prev_kv {
        o.object("prev_kv", |o| key_value(o, kv));
    }
}

fn delete_range(o: &mut Object<'_>, response: &pb::DeleteRangeResponse) {
    header(o, response.header.as_ref());
    o.number_if("deleted", response.deleted);
    o.objects_if("prev_kvs", &response.prev_kvs, key_value);
}

fn txn(o: &mut Object<'_>, response: &pb::TxnResponse) {
    use pb::response_op::Response::{ResponseDeleteRange, ResponsePut, ResponseRange, ResponseTxn};
    header(o, response.header.as_ref());
    o.bool_if("succeeded", response.succeeded);
    o.objects_if("responses", &response.responses, |o, operation| match &operation.response {
        None => o.raw("Response", "null"),
        Some(inner) => o.object("Response", |o| match inner {
            ResponseRange(response) => o.object("response_range", |o| range(o, response)),
            ResponsePut(response) => o.object("response_put", |o| put(o, response)),
            ResponseDeleteRange(response) => o.object("response_delete_range", |o| delete_range(o, response)),
            ResponseTxn(response) => o.object("response_txn", |o| txn(o, response)),
        }),
    });
}

fn watch(o: &mut Object<'_>, response: &pb::WatchResponse) {
    o.object("Header", |o| header_fields(o, response.header.as_ref()));
    o.objects("Events", &response.events, |o, event| {
        o.number_if("type", event.r#type);
        if let Some(kv) = &event.kv {
            o.object("kv", |o| key_value(o, kv));
        }
        if let Some(kv) = &event.prev_kv {
            o.object("prev_kv", |o| key_value(o, kv));
        }
    });
    o.number("CompactRevision", response.compact_revision);
    o.bool("Canceled", response.canceled);
    o.bool("Created", response.created);
}

fn time_to_live(o: &mut Object<'_>, response: &pb::LeaseTimeToLiveResponse) {
    header_fields(o, response.header.as_ref());
    o.number("id", response.id);
    o.number("ttl", response.ttl);
    o.number("granted-ttl", response.granted_ttl);
    if response.keys.is_empty() {
        o.raw("keys", "null");
    } else {
        o.field("keys", |out| array(out, &response.keys, |out, key| bytes(out, key)));
    }
}

fn member(o: &mut Object<'_>, member: &pb::Member) {
    o.number_if("ID", member.id);
    o.string_if("name", &member.name);
    o.strings_if("peerURLs", &member.peer_urls);
    o.strings_if("clientURLs", &member.client_urls);
    o.bool_if("isLearner", member.is_learner);
}

/// With `--hex` the identifiers of members are texts, and no field of a member is left out.
fn hex_members(o: &mut Object<'_>, response: &pb::MemberListResponse) {
    let hex = |id: u64| format!("{id:x}").into_bytes();
    if let Some(header) = &response.header {
        o.object("header", |o| {
            o.string("cluster_id", &hex(header.cluster_id));
            o.string("member_id", &hex(header.member_id));
            o.number_if("revision", header.revision);
            o.number("raft_term", header.raft_term);
        });
    }
    o.objects("members", &response.members, |o, member| {
        o.string("ID", &hex(member.id));
        o.string("name", member.name.as_bytes());
        o.strings("peerURLs", &member.peer_urls);
        o.strings("clientURLs", &member.client_urls);
        o.bool_if("isLearner", member.is_learner);
    });
}

fn status(o: &mut Object<'_>, status: &pb::StatusResponse) {
    header(o, status.header.as_ref());
    o.string_if("version", &status.version);
    o.number_if("dbSize", status.db_size);
    o.number_if("leader", status.leader);
    o.number_if("raftIndex", status.raft_index);
    o.number_if("raftTerm", status.raft_term);
    o.number_if("raftAppliedIndex", status.raft_applied_index);
    o.strings_if("errors", &status.errors);
    o.number_if("dbSizeInUse", status.db_size_in_use);
    o.bool_if("isLearner", status.is_learner);
    o.string_if("storageVersion", &status.storage_version);
    o.number_if("dbSizeQuota", status.db_size_quota);
    if let Some(downgrade) = &status.downgrade_info {
        o.object("downgradeInfo", |o| {
            o.bool_if("enabled", downgrade.enabled);
            o.string_if("targetVersion", &downgrade.target_version);
        });
    }
}

fn hash_kv(o: &mut Object<'_>, response: &pb::HashKvResponse) {
    header(o, response.header.as_ref());
    o.number_if("hash", response.hash);
    o.number_if("compact_revision", response.compact_revision);
    o.number_if("hash_revision", response.hash_revision);
}
