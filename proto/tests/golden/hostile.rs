//! Bytes that nobody should send: decoding ends in an error, never in a panic or an exhausted stack.

use holdfast_proto::{
    etcdserverpb::{PutRequest, TxnRequest},
    raftpb::Message as Raft,
};
use prost::Message;

use crate::hex;

/// A message of `depth` levels, each the only content of the one above it.
fn nested(depth: usize, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| wrap(&inner))
}

fn field(number: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
    bytes.extend_from_slice(inner);
    bytes
}

/// Field 14 of a raft message holds raft messages, and transactions hold transactions: both nest as deep as the sender
/// likes, and both are decoded by recursion.
#[test]
fn deep_nesting_is_refused() {
    let raft = |depth| nested(depth, |inner| field(14, inner));
    assert!(Raft::decode(&raft(50)[..]).is_ok());
    assert!(Raft::decode(&raft(2_000)[..]).is_err());

    let txn = |depth| nested(depth, |inner| field(2, &field(4, inner)));
    assert!(TxnRequest::decode(&txn(30)[..]).is_ok());
    assert!(TxnRequest::decode(&txn(2_000)[..]).is_err());
}

/// raft-rs uses number 14 for a number. etcd 3.6 refuses such a message, and so do we.
#[test]
fn priority_of_raft_rs_is_refused() {
    assert!(Raft::decode(&hex("0808 7001")[..]).is_err());
}

/// Its other additions, 15 and 16, are skipped, as every release of etcd does.
#[test]
fn unknown_fields_are_skipped() {
    let message = Raft::decode(&hex("0808 7805 800101")[..]).unwrap();
    assert_eq!(message.encode_to_vec(), hex("0808"));
}

/// A length that goes beyond the end, up to the largest that can be written, must not be allocated.
#[test]
fn lengths_beyond_the_end_are_refused() {
    for bytes in [hex("0a 05 61"), hex("0a ffffffff0f 61"), hex("0a ffffffffffffffffff01"), hex("0a ff")] {
        assert!(PutRequest::decode(&bytes[..]).is_err());
    }
}

/// Every text must be UTF-8; names that are not are refused when decoded, not when used.
#[test]
fn text_that_is_no_utf8_is_refused() {
    use holdfast_proto::etcdserverpb::AuthUserAddRequest;
    assert!(AuthUserAddRequest::decode(&hex("0a 02 c328")[..]).is_err());
}
