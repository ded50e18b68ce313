//! The `simple` format: what people read.

use std::io::Write;

use holdfast_proto::{etcdserverpb as pb, mvccpb};

use super::{Page, Reply, Unsupported, rows};
use crate::go_text::duration;

/// How keys and values look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) hex: bool,
    pub(super) values_only: bool,
}

/// Appends the reply.
#[expect(clippy::unnecessary_wraps, reason = "all formats share one signature")]
pub(super) fn render(reply: &Reply<'_>, style: Style, page: &mut Page) -> Result<(), Unsupported> {
    let out = &mut page.out;
    match reply {
        Reply::Get(response) => range(out, style, response),
        Reply::Put(response) => put(out, style, response),
        Reply::Del(response) => delete_range(out, style, response),
        Reply::Txn(response) => txn(out, style, response),
        Reply::Watch(response) => watch(out, style, response),
        Reply::LeaseGrant(response) => {
            line(out, format_args!("lease {:016x} granted with TTL({}s)", response.id, response.ttl));
        }
        Reply::LeaseRevoke(id, _) => line(out, format_args!("lease {id:016x} revoked")),
        Reply::LeaseTimeToLive(response, keys) => time_to_live(out, response, *keys),
        Reply::LeaseList(response) => {
            line(out, format_args!("found {} leases", response.leases.len()));
            for lease in &response.leases {
                line(out, format_args!("{:016x}", lease.id));
            }
        }
        Reply::LeaseKeepAlive(response) => {
            line(out, format_args!("lease {:016x} keepalived with TTL({})", response.id, response.ttl));
        }
        Reply::MemberList(response) => records(out, &rows::members(response)),
        Reply::EndpointHealth(list) => {
            for row in *list {
                match &row.error {
                    None => line(
                        out,
                        format_args!(
                            "{} is healthy: successfully committed proposal: took = {}",
                            row.endpoint,
                            duration::format(row.took),
                        ),
                    ),
                    Some(error) => line(
                        &mut page.err,
                        format_args!("{} is unhealthy: failed to commit proposal: {error}", row.endpoint),
                    ),
                }
            }
        }
        Reply::EndpointStatus(list) => records(out, &rows::status(list)),
        Reply::EndpointHash(list) => records(out, &rows::hashes(list)),
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a Vec cannot fail");
}

fn records(out: &mut Vec<u8>, rows: &rows::Rows) {
    for record in &rows.records {
        line(out, format_args!("{}", record.join(", ")));
    }
}

fn bytes_line(out: &mut Vec<u8>, style: Style, bytes: &[u8]) {
    if style.hex {
        for byte in bytes {
            write!(out, "\\x{byte:02x}").expect("writing to a Vec cannot fail");
        }
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'\n');
}

fn key_value(out: &mut Vec<u8>, style: Style, kv: &mvccpb::KeyValue) {
    if !style.values_only {
        bytes_line(out, style, &kv.key);
    }
    bytes_line(out, style, &kv.value);
}

fn range(out: &mut Vec<u8>, style: Style, response: &pb::RangeResponse) {
    for kv in &response.kvs {
        key_value(out, style, kv);
    }
}

fn put(out: &mut Vec<u8>, style: Style, response: &pb::PutResponse) {
    out.extend_from_slice(b"OK\n");
    if let Some(kv) = &response.prev_kv {
        key_value(out, style, kv);
    }
}

fn delete_range(out: &mut Vec<u8>, style: Style, response: &pb::DeleteRangeResponse) {
    line(out, format_args!("{}", response.deleted));
    for kv in &response.prev_kvs {
        key_value(out, style, kv);
    }
}

fn txn(out: &mut Vec<u8>, style: Style, response: &pb::TxnResponse) {
    use pb::response_op::Response::{ResponseDeleteRange, ResponsePut, ResponseRange, ResponseTxn};
    line(out, format_args!("{}", if response.succeeded { "SUCCESS" } else { "FAILURE" }));
    for operation in &response.responses {
        out.push(b'\n');
        match &operation.response {
            Some(ResponseRange(response)) => range(out, style, response),
            Some(ResponsePut(response)) => put(out, style, response),
            Some(ResponseDeleteRange(response)) => delete_range(out, style, response),
            Some(ResponseTxn(response)) => txn(out, style, response),
            None => {}
        }
    }
}

fn watch(out: &mut Vec<u8>, style: Style, response: &pb::WatchResponse) {
    for event in &response.events {
        line(out, format_args!("{}", event.r#type().as_str_name()));
        if let Some(kv) = &event.prev_kv {
            key_value(out, style, kv);
        }
        key_value(out, style, &event.kv.clone().unwrap_or_default());
    }
}

fn time_to_live(out: &mut Vec<u8>, response: &pb::LeaseTimeToLiveResponse, keys: bool) {
    if response.granted_ttl == 0 && response.ttl == -1 {
        line(out, format_args!("lease {:016x} already expired", response.id));
        return;
    }
    write!(
        out,
        "lease {:016x} granted with TTL({}s), remaining({}s)",
        response.id, response.granted_ttl, response.ttl
    )
    .expect("writing to a Vec cannot fail");
    if keys {
        out.extend_from_slice(b", attached keys([");
        out.extend_from_slice(&response.keys.join(&b' '));
        out.extend_from_slice(b"])");
    }
    out.push(b'\n');
}
