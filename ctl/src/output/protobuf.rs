//! The `protobuf` format: the answer as it came over the wire, without a newline.
//!
//! Answers about leases consist of their header alone, as in etcdctl, where the rest of them was never given
//! a form.

use holdfast_proto::etcdserverpb as pb;
use prost::Message;

use super::{Reply, Unsupported};

/// Appends the reply.
pub(super) fn render(reply: &Reply<'_>, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    let encoded = match reply {
        Reply::Get(response) => response.encode_to_vec(),
        Reply::Put(response) => response.encode_to_vec(),
        Reply::Del(response) => response.encode_to_vec(),
        Reply::Txn(response) => response.encode_to_vec(),
        Reply::Watch(response) => watch(response).encode_to_vec(),
        Reply::LeaseGrant(response) => lease_header(response.header),
        Reply::LeaseRevoke(_, response) => response.encode_to_vec(),
        Reply::LeaseTimeToLive(response, _) => lease_header(response.header),
        Reply::LeaseList(response) => lease_header(response.header),
        Reply::LeaseKeepAlive(response) => lease_header(response.header),
        Reply::MemberList(response) => response.encode_to_vec(),
        Reply::EndpointHealth(_) | Reply::EndpointStatus(_) | Reply::EndpointHash(_) => {
            return Err(Unsupported);
        }
    };
    out.extend_from_slice(&encoded);
    Ok(())
}

/// Watch identifiers belong to the stream and mean nothing outside of it.
fn watch(response: &pb::WatchResponse) -> pb::WatchResponse {
    pb::WatchResponse { watch_id: 0, cancel_reason: String::new(), fragment: false, ..response.clone() }
}

fn lease_header(header: Option<pb::ResponseHeader>) -> Vec<u8> {
    header.unwrap_or_default().encode_to_vec()
}
