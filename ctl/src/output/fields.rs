//! The `fields` format: `"Name" : value` on each line, the header first.

use holdfast_proto::{etcdserverpb as pb, mvccpb};

use super::{EndpointStatus, Reply, Unsupported};
use crate::go_text::{duration, quote::quote};

/// Appends the reply.
#[expect(clippy::unnecessary_wraps, reason = "all formats share one signature")]
pub(super) fn render(reply: &Reply<'_>, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    let mut lines = Lines { out };
    match reply {
        Reply::Get(response) => range(&mut lines, response),
        Reply::Put(response) => put(&mut lines, response),
        Reply::Del(response) => delete_range(&mut lines, response),
        Reply::Txn(response) => txn(&mut lines, response),
        Reply::Watch(response) => watch(&mut lines, response),
        Reply::LeaseGrant(response) => {
            lines.header(response.header.as_ref());
            lines.line("ID", response.id);
            lines.line("TTL", response.ttl);
        }
        Reply::LeaseRevoke(_, response) => lines.header(response.header.as_ref()),
        Reply::LeaseTimeToLive(response, _) => {
            lines.header(response.header.as_ref());
            lines.line("ID", response.id);
            lines.line("TTL", response.ttl);
            lines.line("GrantedTTL", response.granted_ttl);
            for key in &response.keys {
                lines.quoted("Key", key);
            }
        }
        Reply::LeaseList(response) => {
            lines.header(response.header.as_ref());
            for lease in &response.leases {
                lines.line("ID", lease.id);
            }
        }
        Reply::LeaseKeepAlive(response) => {
            lines.header(response.header.as_ref());
            lines.line("ID", response.id);
            lines.line("TTL", response.ttl);
        }
        Reply::MemberList(response) => members(&mut lines, response),
        Reply::EndpointHealth(list) => {
            for row in *list {
                lines.quoted("Endpoint", row.endpoint.as_bytes());
                lines.line("Health", row.error.is_none());
                lines.line("Took", duration::format(row.took));
                lines.line("Error", row.error.as_deref().unwrap_or_default());
                lines.end_of_block();
            }
        }
        Reply::EndpointStatus(list) => list.iter().for_each(|row| status(&mut lines, row)),
        Reply::EndpointHash(list) => {
            for row in *list {
                lines.header(row.hash.header.as_ref());
                lines.quoted("Endpoint", row.endpoint.as_bytes());
                lines.line("Hash", row.hash.hash);
                if row.hash.hash_revision != 0 {
                    lines.line("HashRevision", row.hash.hash_revision);
                }
                lines.end_of_block();
            }
        }
    }
    Ok(())
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
}

impl Lines<'_> {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.out.extend_from_slice(format!("\"{name}\" : {value}\n").as_bytes());
    }

    fn quoted(&mut self, name: &str, value: &[u8]) {
        self.line(name, quote(value));
    }

    fn end_of_block(&mut self) {
        self.out.push(b'\n');
    }

    fn header(&mut self, header: Option<&pb::ResponseHeader>) {
        let header = header.copied().unwrap_or_default();
        self.line("ClusterID", header.cluster_id);
        self.line("MemberID", header.member_id);
        self.line("Revision", header.revision);
        self.line("RaftTerm", header.raft_term);
    }

    fn key_value(&mut self, prefix: &str, kv: &mvccpb::KeyValue) {
        self.quoted(&format!("{prefix}Key"), &kv.key);
        self.line(&format!("{prefix}CreateRevision"), kv.create_revision);
        self.line(&format!("{prefix}ModRevision"), kv.mod_revision);
        self.line(&format!("{prefix}Version"), kv.version);
        self.quoted(&format!("{prefix}Value"), &kv.value);
        self.line(&format!("{prefix}Lease"), kv.lease);
    }
}

fn range(lines: &mut Lines<'_>, response: &pb::RangeResponse) {
    lines.header(response.header.as_ref());
    for kv in &response.kvs {
        lines.key_value("", kv);
    }
    lines.line("More", response.more);
    lines.line("Count", response.count);
}

fn put(lines: &mut Lines<'_>, response: &pb::PutResponse) {
    lines.header(response.header.as_ref());
    if let Some(kv) = &response.prev_kv {
        lines.key_value("Prev", kv);
    }
}

fn delete_range(lines: &mut Lines<'_>, response: &pb::DeleteRangeResponse) {
    lines.header(response.header.as_ref());
    lines.line("Deleted", response.deleted);
    for kv in &response.prev_kvs {
        lines.key_value("Prev", kv);
    }
}

fn txn(lines: &mut Lines<'_>, response: &pb::TxnResponse) {
    use pb::response_op::Response::{ResponseDeleteRange, ResponsePut, ResponseRange, ResponseTxn};
    lines.header(response.header.as_ref());
    lines.line("Succeeded", response.succeeded);
    for operation in &response.responses {
        match &operation.response {
            Some(ResponseRange(response)) => range(lines, response),
            Some(ResponsePut(response)) => put(lines, response),
            Some(ResponseDeleteRange(response)) => delete_range(lines, response),
            Some(ResponseTxn(response)) => txn(lines, response),
            None => {}
        }
    }
}

fn watch(lines: &mut Lines<'_>, response: &pb::WatchResponse) {
    lines.header(response.header.as_ref());
    for event in &response.events {
        lines.line("Type", event.r#type().as_str_name());
        if let Some(kv) = &event.prev_kv {
            lines.key_value("Prev", kv);
        }
        lines.key_value("", &event.kv.clone().unwrap_or_default());
    }
}

fn members(lines: &mut Lines<'_>, response: &pb::MemberListResponse) {
    lines.header(response.header.as_ref());
    for member in &response.members {
        lines.line("ID", member.id);
        lines.quoted("Name", member.name.as_bytes());
        for url in &member.peer_urls {
            lines.quoted("PeerURL", url.as_bytes());
        }
        for url in &member.client_urls {
            lines.quoted("ClientURL", url.as_bytes());
        }
        lines.line("IsLearner", member.is_learner);
        lines.end_of_block();
    }
}

/// Servers since 3.6 tell more; what they tell is shown where etcdctl 3.6 shows it.
fn status(lines: &mut Lines<'_>, row: &EndpointStatus) {
    let status = &row.status;
    let modern = super::rows::tells_more(status);
    lines.header(status.header.as_ref());
    lines.quoted("Version", status.version.as_bytes());
    if modern {
        lines.quoted("StorageVersion", status.storage_version.as_bytes());
    }
    lines.line("DBSize", status.db_size);
    if modern {
        lines.line("DBSizeInUse", status.db_size_in_use);
        lines.line("DBSizeQuota", status.db_size_quota);
    }
    lines.line("Leader", status.leader);
    lines.line("IsLearner", status.is_learner);
    lines.line("RaftIndex", status.raft_index);
    lines.line("RaftTerm", status.raft_term);
    lines.line("RaftAppliedIndex", status.raft_applied_index);
    lines.line("Errors", format_args!("[{}]", status.errors.join(" ")));
    lines.quoted("Endpoint", row.endpoint.as_bytes());
    if modern {
        let downgrade = status.downgrade_info.clone().unwrap_or_default();
        lines.quoted("DowngradeTargetVersion", downgrade.target_version.as_bytes());
        lines.line("DowngradeEnabled", downgrade.enabled);
    }
    lines.end_of_block();
}
