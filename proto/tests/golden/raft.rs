//! Raft messages as members of 3.5, 3.6 and 3.7 send them. What they write when a field is zero differs, and since
//! presence is kept, decoding and encoding again must give the very bytes of each.

use holdfast_proto::raftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState, Message as Raft, MessageType,
    Snapshot, SnapshotMetadata,
};
use prost::Message;

use crate::{assert_golden, hex};

const N1: u64 = 0xb5f3_5303_d809_2d7c;
const N2: u64 = 0x4c3b_cf36_4f85_c8c7;
const N3: u64 = 0x68bd_6ffb_f018_f46c;
const LEARNER: u64 = 0x3cc4_904b_f5b3_6f05;

fn message(kind: MessageType) -> Raft {
    Raft { r#type: Some(kind.into()), ..Default::default() }
}

/// The empty snapshot that 3.5 puts into every message.
fn empty_snapshot() -> Snapshot {
    let metadata = SnapshotMetadata {
        conf_state: Some(ConfState { auto_leave: Some(false), ..Default::default() }),
        index: Some(0),
        term: Some(0),
    };
    Snapshot { data: None, metadata: Some(metadata) }
}

/// A heartbeat without sender and receiver that only keeps a stream open, by release.
#[test]
fn link_heartbeat() {
    let shortest = message(MessageType::MsgHeartbeat);
    assert_golden(&shortest, &hex("0808"));

    let all_zero = Raft {
        to: Some(0),
        from: Some(0),
        term: Some(0),
        log_term: Some(0),
        index: Some(0),
        commit: Some(0),
        reject: Some(false),
        reject_hint: Some(0),
        ..shortest
    };
    let of_3_6 = Raft { vote: Some(0), ..all_zero.clone() };
    let bytes = hex("0808 1000 1800 2000 2800 3000 4000 5000 5800 6800");
    assert_eq!(bytes.len(), 0x14);
    assert_golden(&of_3_6, &bytes);

    let of_3_5 = Raft { snapshot: Some(empty_snapshot()), ..all_zero };
    let bytes = hex("0808 1000 1800 2000 2800 3000 4000 4a0a 1208 0a022800 1000 1800 5000 5800");
    assert_eq!(bytes.len(), 0x1e);
    assert_golden(&of_3_5, &bytes);
}

/// The first message of a new leader, with its empty entry, by release.
#[test]
fn first_append() {
    let of_3_7 = Raft {
        from: Some(N1),
        to: Some(N3),
        term: Some(2),
        log_term: Some(1),
        index: Some(3),
        entries: vec![Entry { term: Some(2), index: Some(4), ..Default::default() }],
        commit: Some(3),
        ..message(MessageType::MsgApp)
    };
    let bytes = hex("0803 10ece8e380bfffdbde68 18fcdaa4c0bde0d4f9b501 2002 2801 3003 3a0410021804 4003");
    assert_eq!(bytes.len(), 0x25);
    assert_golden(&of_3_7, &bytes);

    let typed = Entry { r#type: Some(EntryType::EntryNormal.into()), ..of_3_7.entries[0].clone() };
    let zeros = Raft { entries: vec![typed], reject: Some(false), reject_hint: Some(0), ..of_3_7 };
    let of_3_6 = Raft { vote: Some(0), ..zeros.clone() };
    let bytes = hex("0803 10ece8e380bfffdbde68 18fcdaa4c0bde0d4f9b501 2002 2801 3003
                     3a06080010021804 4003 5000 5800 6800");
    assert_eq!(bytes.len(), 0x2d);
    assert_golden(&of_3_6, &bytes);

    let of_3_5 = Raft { from: Some(N3), to: Some(N2), snapshot: Some(empty_snapshot()), ..zeros };
    let bytes = hex("0803 10c79197fce4e6f39d4c 18ece8e380bfffdbde68 2002 2801 3003 3a06 0800 1002 1804 4003
                     4a0a 1208 0a02 2800 1000 1800 5000 5800");
    assert_eq!(bytes.len(), 0x36);
    assert_golden(&of_3_5, &bytes);
}

/// A heartbeat with the context of a read, from a leader of 3.5 to a new learner, sent as a request of its own.
#[test]
fn heartbeat_with_read_context() {
    let bytes = hex("0808 1085decdadbf89a4e23c 18fcdaa4c0bde0d4f9b501 2003 2800 3000 4000
                     4a0a12080a02280010001800 5000 5800 6208c8c7a1fc154e5a03");
    assert_eq!(bytes.len(), 57);
    let heartbeat = Raft {
        to: Some(LEARNER),
        from: Some(N1),
        term: Some(3),
        log_term: Some(0),
        index: Some(0),
        commit: Some(0),
        snapshot: Some(empty_snapshot()),
        reject: Some(false),
        reject_hint: Some(0),
        context: Some(hex("c8c7a1fc154e5a03").into()),
        ..message(MessageType::MsgHeartbeat)
    };
    assert_golden(&heartbeat, &bytes);
}

/// A request for a vote after leadership was handed over carries the reason as context.
#[test]
fn vote_after_transfer() {
    let vote = Raft {
        to: Some(N3),
        from: Some(N1),
        term: Some(2),
        log_term: Some(1),
        index: Some(3),
        context: Some("CampaignTransfer".into()),
        ..message(MessageType::MsgVote)
    };
    let bytes = hex("0805 10ece8e380bfffdbde68 18fcdaa4c0bde0d4f9b501 2002 2801 3003
                     6210 43616d706169676e5472616e73666572");
    assert_golden(&vote, &bytes);
}

/// A proposal forwarded by 3.7: neither term nor entry type nor index are there.
#[test]
fn forwarded_proposal() {
    let entry = Entry { data: Some("x".into()), ..Default::default() };
    let proposal = Raft { to: Some(1), from: Some(2), entries: vec![entry], ..message(MessageType::MsgProp) };
    assert_golden(&proposal, &hex("0802 1001 1802 3a03 220178"));
}

/// Members are written one by one, which is what etcd's own encoders do.
#[test]
fn snapshot_metadata() {
    let conf_state = ConfState {
        voters: vec![N2, N3, N1],
        learners: vec![LEARNER],
        auto_leave: Some(false),
        ..Default::default()
    };
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: Some(6019), term: Some(3) };
    let bytes = hex("0a2b 08c79197fce4e6f39d4c 08ece8e380bfffdbde68 08fcdaa4c0bde0d4f9b501
                     1085decdadbf89a4e23c 2800 10832f 1803");
    assert_golden(&metadata, &bytes);
}

/// raft-rs writes them packed; both forms are read.
#[test]
fn packed_members_are_read() {
    let packed = ConfState::decode(&hex("0a03 01 02 03 12 01 04")[..]).unwrap();
    assert_eq!(packed, ConfState { voters: vec![1, 2, 3], learners: vec![4], ..Default::default() });
    assert_eq!(packed.encode_to_vec(), hex("0801 0802 0803 1004"));
}

#[test]
fn hard_state() {
    let state = HardState { term: Some(1), vote: Some(0), commit: Some(3) };
    assert_golden(&state, &hex("0801 1000 1803"));
}

/// The numbers of changes are etcd's: in raft-rs 2 adds a learner, here it only changes URLs.
#[test]
fn conf_change() {
    let change = ConfChange {
        id: Some(0),
        r#type: Some(ConfChangeType::ConfChangeAddLearnerNode.into()),
        node_id: Some(5),
        context: Some("{}".into()),
    };
    assert_golden(&change, &hex("0800 1003 1805 2202 7b7d"));
    assert_eq!(ConfChangeType::try_from(2), Ok(ConfChangeType::ConfChangeUpdateNode));
}
