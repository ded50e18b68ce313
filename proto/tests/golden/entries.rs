//! Requests inside entries of the raft log.

use holdfast_proto::{
    etcdserverpb::{
        Compare, DowngradeVersionTestRequest, InternalRaftRequest, PutRequest, RangeRequest, Request,
        RequestHeader, RequestOp, compare::TargetUnion, request_op,
    },
    membershippb::{
        Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest, DowngradeInfoSetRequest,
    },
    raftpb::{Entry, EntryType},
};
use prost::Message;

use crate::{assert_golden, hex};

fn with_id(id: u64) -> InternalRaftRequest {
    InternalRaftRequest { header: Some(RequestHeader { id, ..Default::default() }), ..Default::default() }
}

/// The same from 3.6 and 3.7; the header comes last because its number is 100.
#[test]
fn put() {
    let put = PutRequest { key: "a".into(), value: "b".into(), ..Default::default() };
    let request = InternalRaftRequest { put: Some(put), ..with_id(0x2d7c_a1fc_1319_1b06) };
    assert_golden(&request, &hex("22 06 0a0161 120162  a206 0a 08 86b6e498c1bfa8be2d"));
}

/// From a write-ahead log of 3.5: an entry with all its fields, and a request in it.
#[test]
fn put_in_an_entry() {
    let put = PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
    let bytes = hex("08 00 10 02 18 05 22 15  22 06 0a 01 61 12 01 31  a2 06 0a 08 85ece990c1bfa88f74");
    let entry = Entry::decode(&bytes[..]).unwrap();
    let request = InternalRaftRequest::decode(entry.data.clone().unwrap()).unwrap();
    assert_eq!(request.put, Some(put));
    assert_eq!(request.header.as_ref().unwrap().id, 0x741e_a1fc_121a_7605);
    assert_golden(&request, &bytes[8..]);
    let rebuilt = Entry {
        r#type: Some(EntryType::EntryNormal.into()),
        term: Some(2),
        index: Some(5),
        data: entry.data.clone(),
    };
    assert_golden(&rebuilt, &bytes);
}

/// How 3.6 and 3.7 publish a member's name and client URLs.
#[test]
fn publish() {
    let url = "http://127.0.0.1:25100";
    let set = ClusterMemberAttrSetRequest {
        member_id: 0xb5f3_5303_d809_2d7c,
        member_attributes: Some(Attributes { name: "n1".to_owned(), client_urls: vec![url.to_owned()] }),
    };
    let request = InternalRaftRequest { cluster_member_attr_set: Some(set), ..with_id(1) };
    let mut bytes = hex("a206 02 0801 aa51 29 08 fcdaa4c0bde0d4f9b501 12 1c 0a02 6e31 12 16");
    bytes.extend_from_slice(url.as_bytes());
    assert_golden(&request, &bytes);
}

#[test]
fn versions() {
    let request = InternalRaftRequest {
        cluster_version_set: Some(ClusterVersionSetRequest { ver: "3.6.0".to_owned() }),
        downgrade_info_set: Some(DowngradeInfoSetRequest { enabled: true, ver: "3.5.0".to_owned() }),
        downgrade_version_test: Some(DowngradeVersionTestRequest { ver: "3.7".to_owned() }),
        ..Default::default()
    };
    let bytes = hex("a251 07 0a05 332e362e30  b251 09 0801 1205 332e352e30  e2ea04 05 0a03 332e37");
    assert_golden(&request, &bytes);
}

/// The chosen member of a union is written even when it is zero: a comparison with revision 0 says "does not exist".
#[test]
fn zero_of_a_union_is_written() {
    let compare = Compare {
        target: 2,
        key: "k".into(),
        target_union: Some(TargetUnion::ModRevision(0)),
        range_end: "l".into(),
        ..Default::default()
    };
    assert_golden(&compare, &hex("10 02 1a 01 6b 30 00 8204 01 6c"));
    let empty_range = RequestOp { request: Some(request_op::Request::RequestRange(RangeRequest::default())) };
    assert_golden(&empty_range, &hex("0a 00"));
    assert_golden(&RequestOp { request: None }, &[]);
}

/// The v2 requests that 3.5 puts bare into the log, here the one that sets the cluster version, are recognised by not
/// being an `InternalRaftRequest`.
#[test]
fn bare_v2_request() {
    let entry = Entry::decode(
        &hex("0800 1002 1808 22 3a
              08 84b6e498c1bfa8b6f401  12 03 505554  1a 0a 2f302f76657273696f6e  22 05 332e352e30
              2800 3200 3800 4800 5000 5800 6000 6800 7000 7800 800100")[..],
    )
    .unwrap();
    assert_eq!((entry.term, entry.index), (Some(2), Some(8)));
    let data = entry.data.unwrap();
    assert_eq!(data.len(), 58);
    assert!(InternalRaftRequest::decode(data.clone()).is_err());
    let request = Request::decode(data.clone()).unwrap();
    assert_eq!(
        (request.method(), request.path(), request.val(), request.dir()),
        ("PUT", "/0/version", "3.5.0", false)
    );
    assert_eq!(request.encode_to_vec(), data);
}

/// Even the shortest of them is not mistaken: the directory flag is a number where a message is expected.
#[test]
fn bare_v2_sync_is_no_internal_request() {
    let sync = Request {
        id: Some(7),
        method: Some("SYNC".to_owned()),
        path: Some(String::new()),
        val: Some(String::new()),
        dir: Some(false),
        ..Default::default()
    };
    assert!(InternalRaftRequest::decode(&sync.encode_to_vec()[..]).is_err());
}
