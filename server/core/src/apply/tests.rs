//! Tests of apply over a real store: etcd's observed vectors, and the rule that a refused request changes nothing.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{Store, trees};
use holdfast_engine::tree::{Db, DbOptions};
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use pb::response_op::Response;
use prost::Message as _;

use super::*;
use crate::raft::{Committed, CommittedKind, ConfChangeContext, ConfChangeKind};

/// An applier over a store in memory, fed one entry at a time.
struct Machine {
    applier: Applier,
    store: Store,
    next: u64,
}

impl Machine {
    fn new() -> Self {
        let db = Db::open(Arc::new(MemFile::new()), trees::SPECS, DbOptions::default()).unwrap();
        let store = Store::open(db).unwrap();
        let applier = Applier::open(store.clone(), 2, 1).unwrap();
        Self { applier, store, next: 1 }
    }

    fn apply_kind(&mut self, kind: CommittedKind) -> Applied {
        let entry = Committed { index: self.next, term: 1, kind };
        self.next += 1;
        self.applier.apply(vec![entry], false).unwrap()
    }

    fn run(&mut self, mut request: pb::InternalRaftRequest) -> (Outcome, Applied) {
        request.header = Some(pb::RequestHeader { id: self.next, ..Default::default() });
        let id = self.next;
        let mut applied = self.apply_kind(CommittedKind::Request(request.encode_to_vec().into()));
        let (replied, outcome) = applied.replies.pop().unwrap();
        assert_eq!(replied, id);
        (outcome, applied)
    }

    fn put(&mut self, request: pb::PutRequest) -> Result<pb::PutResponse, EtcdError> {
        match self.run(pb::InternalRaftRequest { put: Some(request), ..Default::default() }).0? {
            Reply::Put(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn txn(&mut self, request: pb::TxnRequest) -> Result<pb::TxnResponse, EtcdError> {
        match self.run(pb::InternalRaftRequest { txn: Some(request), ..Default::default() }).0? {
            Reply::Txn(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn grant(&mut self, id: i64, ttl: i64) -> Result<pb::LeaseGrantResponse, EtcdError> {
        let lease_grant = Some(pb::LeaseGrantRequest { id, ttl });
        match self.run(pb::InternalRaftRequest { lease_grant, ..Default::default() }).0? {
            Reply::LeaseGrant(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn compact(&mut self, revision: i64) -> Outcome {
        let compaction = Some(pb::CompactionRequest { revision, physical: false });
        self.run(pb::InternalRaftRequest { compaction, ..Default::default() }).0
    }

    fn revision(&self) -> i64 {
        self.store.view().unwrap().revision()
    }
}

fn p(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Default::default()
    }
}

fn op_p(key: &str, value: &str) -> pb::RequestOp {
    pb::RequestOp { request: Some(Request::RequestPut(p(key, value))) }
}

fn op_d(key: &str) -> pb::RequestOp {
    let delete = pb::DeleteRangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() };
    pb::RequestOp { request: Some(Request::RequestDeleteRange(delete)) }
}

fn op_r(key: &str, revision: i64) -> pb::RequestOp {
    let range =
        pb::RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), revision, ..Default::default() };
    pb::RequestOp { request: Some(Request::RequestRange(range)) }
}

fn then(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success, ..Default::default() }
}

fn inner_revision(response: &pb::ResponseOp) -> i64 {
    let header = match response.response.as_ref().unwrap() {
        Response::ResponseRange(r) => &r.header,
        Response::ResponsePut(r) => &r.header,
        Response::ResponseDeleteRange(r) => &r.header,
        Response::ResponseTxn(r) => &r.header,
    };
    header.as_ref().unwrap().revision
}

#[test]
fn puts_count_revisions_and_give_what_was_before() {
    let mut machine = Machine::new();
    assert_eq!(machine.revision(), 1, "a fresh store");
    let first = machine.put(pb::PutRequest { prev_kv: true, ..p("new", "x") }).unwrap();
    assert_eq!(first.header.unwrap().revision, 2);
    assert_eq!(first.prev_kv, None);
    let second = machine.put(pb::PutRequest { prev_kv: true, ..p("new", "y") }).unwrap();
    let before = second.prev_kv.unwrap();
    assert_eq!((before.create_revision, before.mod_revision, before.version), (2, 2, 1));
    assert_eq!(&before.value[..], b"x");
    machine.put(pb::PutRequest { ignore_value: true, ..p("new", "") }).unwrap();
    let third = machine.put(pb::PutRequest { prev_kv: true, ..p("new", "z") }).unwrap().prev_kv.unwrap();
    assert_eq!((&third.value[..], third.version), (&b"y"[..], 3));
}

#[test]
fn a_refused_put_uses_no_revision() {
    let mut machine = Machine::new();
    let unknown_lease = machine.put(pb::PutRequest { lease: 777, ..p("k", "v") });
    assert_eq!(unknown_lease, Err(EtcdError::LeaseNotFound));
    let missing = machine.put(pb::PutRequest { ignore_value: true, ..p("k", "") });
    assert_eq!(missing, Err(EtcdError::KeyNotFound));
    assert_eq!(machine.revision(), 1);
}

#[test]
fn a_transaction_is_one_revision_and_sees_itself() {
    let mut machine = Machine::new();
    let empty = machine.txn(then(vec![])).unwrap();
    assert!(empty.succeeded);
    assert_eq!(empty.header.unwrap().revision, 1);

    let ops = vec![op_p("x1", "1"), op_p("x2", "2"), op_r("x1", 0), op_d("x9")];
    let response = machine.txn(then(ops)).unwrap();
    assert_eq!(response.header.unwrap().revision, 2);
    assert!(response.responses.iter().all(|op| inner_revision(op) == 2));
    let Some(Response::ResponseRange(range)) = &response.responses[2].response else { panic!() };
    assert_eq!(range.kvs[0].create_revision, 2);

    let nothing = machine.txn(then(vec![op_d("nope")])).unwrap();
    assert_eq!(nothing.header.unwrap().revision, 2, "deleting nothing is no revision");
    let gone = machine.txn(then(vec![op_d("x1"), op_r("x1", 0), op_p("x3", "3")])).unwrap();
    assert_eq!(gone.header.unwrap().revision, 3);
    let Some(Response::ResponseRange(range)) = &gone.responses[1].response else { panic!() };
    assert!(range.kvs.is_empty(), "a range after a delete does not see the key");
}

#[test]
fn a_transaction_that_would_fail_changes_nothing() {
    let mut machine = Machine::new();
    machine.put(p("k", "v")).unwrap();
    let future = machine.txn(then(vec![op_p("q", "1"), op_r("k", 3)]));
    assert_eq!(future, Err(EtcdError::FutureRev));
    let lease =
        pb::RequestOp { request: Some(Request::RequestPut(pb::PutRequest { lease: 9, ..p("a", "b") })) };
    assert_eq!(machine.txn(then(vec![op_p("q", "1"), lease.clone()])), Err(EtcdError::LeaseNotFound));
    let not_taken = pb::TxnRequest { failure: vec![lease], ..Default::default() };
    assert!(machine.txn(not_taken).unwrap().succeeded, "the branch that is not taken is not looked at");
    assert_eq!(machine.revision(), 2);

    machine.put(p("k", "w")).unwrap();
    machine.compact(3).unwrap();
    assert_eq!(machine.txn(then(vec![op_r("k", 2)])), Err(EtcdError::Compacted));
    assert_eq!(machine.txn(then(vec![op_r("k", -1)])), Err(EtcdError::Compacted), "unlike in a plain range");
    assert!(machine.txn(then(vec![op_r("k", 3)])).is_ok());
}

#[test]
fn ignoring_the_value_of_a_key_that_the_transaction_has_deleted_is_refused_whole() {
    let mut machine = Machine::new();
    machine.put(p("k", "v")).unwrap();
    let open_delete =
        pb::DeleteRangeRequest { key: "a".into(), range_end: "\0".into(), ..Default::default() };
    let keep = pb::PutRequest { ignore_value: true, ..p("k", "") };
    let ops = vec![
        pb::RequestOp { request: Some(Request::RequestDeleteRange(open_delete)) },
        pb::RequestOp { request: Some(Request::RequestPut(keep)) },
    ];
    assert_eq!(machine.txn(then(ops)), Err(EtcdError::KeyNotFound));
    assert_eq!(machine.revision(), 2, "the delete before it did not happen either");
}

#[test]
fn comparisons_follow_etcd() {
    let mut machine = Machine::new();
    machine.put(p("x", "2")).unwrap();
    machine.put(p("xx", "3")).unwrap();
    let cases: [(&str, &str, CompareTarget, CompareResult, TargetUnion, bool); 9] = [
        ("missing", "", CompareTarget::Value, CompareResult::Equal, TargetUnion::Value("".into()), false),
        ("missing", "", CompareTarget::Value, CompareResult::NotEqual, TargetUnion::Value("x".into()), false),
        ("missing", "", CompareTarget::Version, CompareResult::Equal, TargetUnion::Version(0), true),
        ("zzz", "zzzz", CompareTarget::Create, CompareResult::Equal, TargetUnion::CreateRevision(0), true),
        ("x", "y", CompareTarget::Value, CompareResult::Equal, TargetUnion::Value("2".into()), false),
        ("x", "y", CompareTarget::Value, CompareResult::Greater, TargetUnion::Value("1".into()), true),
        ("x", "", CompareTarget::Mod, CompareResult::Less, TargetUnion::ModRevision(3), true),
        ("x", "", CompareTarget::Lease, CompareResult::Equal, TargetUnion::Lease(0), true),
        // The operand of another target does not count.
        ("x", "", CompareTarget::Version, CompareResult::Equal, TargetUnion::ModRevision(1), false),
    ];
    for (key, end, target, result, union, holds) in cases {
        let compare = pb::Compare {
            key: Bytes::copy_from_slice(key.as_bytes()),
            range_end: Bytes::copy_from_slice(end.as_bytes()),
            target: target as i32,
            result: result as i32,
            target_union: Some(union),
        };
        let response =
            machine.txn(pb::TxnRequest { compare: vec![compare.clone()], ..Default::default() }).unwrap();
        assert_eq!(response.succeeded, holds, "{compare:?}");
    }
}

#[test]
fn a_nested_transaction_is_part_of_the_revision() {
    let mut machine = Machine::new();
    let inner = pb::TxnRequest { success: vec![op_p("b", "2")], ..Default::default() };
    let ops = vec![op_p("a", "1"), pb::RequestOp { request: Some(Request::RequestTxn(inner)) }];
    let response = machine.txn(then(ops)).unwrap();
    assert_eq!(machine.revision(), 2);
    assert_eq!(inner_revision(&response.responses[1]), 0, "a nested response has an empty header");
}

#[test]
fn leases_take_their_keys_with_them_in_one_revision() {
    let mut machine = Machine::new();
    assert_eq!(machine.grant(5, -5).unwrap().ttl, 2, "raised to the shortest");
    assert_eq!(machine.grant(5, 10), Err(EtcdError::LeaseExist));
    assert_eq!(machine.grant(6, 9_000_000_001), Err(EtcdError::LeaseTTLTooLarge));
    assert!(machine.grant(-7, 9_000_000_000).is_ok());
    for key in ["lz", "la"] {
        machine.put(pb::PutRequest { lease: 5, ..p(key, "v") }).unwrap();
    }
    let lease_revoke = Some(pb::LeaseRevokeRequest { id: 5 });
    let revoke = pb::InternalRaftRequest { lease_revoke, ..Default::default() };
    let (outcome, applied) = machine.run(revoke.clone());
    assert!(matches!(outcome, Ok(Reply::LeaseRevoke(_))));
    assert_eq!(applied.leases, [LeaseEffect::Revoked { id: 5 }]);
    let changes = &applied.revisions[0].changes;
    assert_eq!(applied.revisions.len(), 1);
    assert_eq!(changes.iter().map(|change| change.deleted).collect::<Vec<_>>(), [true, true]);
    assert!(changes[0].key < changes[1].key, "in ascending order");
    assert_eq!(machine.run(revoke).0, Err(EtcdError::LeaseNotFound));
}

#[test]
fn alarms_stand_in_the_way_of_what_they_are_about() {
    let mut machine = Machine::new();
    machine.put(p("k", "v")).unwrap();
    let alarm = |action: pb::alarm_request::AlarmAction, alarm: i32| pb::InternalRaftRequest {
        alarm: Some(pb::AlarmRequest { action: action as i32, member_id: 7, alarm }),
        ..Default::default()
    };
    use pb::alarm_request::AlarmAction::{Activate, Deactivate, Get};
    let (raised, applied) = machine.run(alarm(Activate, pb::AlarmType::Nospace as i32));
    assert!(applied.alarms_changed);
    assert!(matches!(raised, Ok(Reply::Alarm(ref response)) if response.alarms.len() == 1));
    assert_eq!(machine.put(p("k", "w")), Err(EtcdError::NoSpace));
    assert_eq!(machine.grant(1, 10), Err(EtcdError::NoSpace));
    let put_not_taken = pb::TxnRequest { failure: vec![op_p("a", "b")], ..Default::default() };
    assert_eq!(machine.txn(put_not_taken), Err(EtcdError::NoSpace));
    assert!(machine.txn(then(vec![op_d("k")])).is_ok(), "deletes are allowed");
    assert!(machine.compact(2).is_ok());

    machine.run(alarm(Deactivate, pb::AlarmType::Nospace as i32)).0.unwrap();
    machine.run(alarm(Activate, pb::AlarmType::Corrupt as i32)).0.unwrap();
    assert_eq!(machine.txn(then(vec![op_d("k")])), Err(EtcdError::Corrupt));
    assert_eq!(machine.compact(3), Err(EtcdError::Corrupt));
    for unknown in [machine.run(alarm(Activate, 99)).0, machine.run(alarm(Get, 99)).0] {
        assert!(unknown.is_ok(), "an unknown kind of alarm is stored, and nobody dies of it");
    }
}

#[test]
fn compaction_has_its_bounds() {
    let mut machine = Machine::new();
    assert_eq!(machine.compact(-1), Err(EtcdError::Compacted));
    assert!(machine.compact(0).is_ok(), "once, on a fresh store");
    assert_eq!(machine.compact(0), Err(EtcdError::Compacted));
    assert_eq!(machine.compact(2), Err(EtcdError::FutureRev));
    machine.put(p("k", "v")).unwrap();
    assert!(machine.compact(2).is_ok());
}

#[test]
fn everything_is_there_after_a_restart() {
    let mut machine = Machine::new();
    let context =
        ConfChangeContext { id: 1, peer_urls: Some(vec!["http://a:1".into()]), ..Default::default() };
    let change =
        ConfChange { request_id: 0, kind: ConfChangeKind::AddNode, node_id: 1, context: Some(context) };
    let applied = machine.apply_kind(CommittedKind::ConfChange(change.encode()));
    assert_eq!(applied.conf_changes, [Some(change.clone())]);
    let again = machine.apply_kind(CommittedKind::ConfChange(change.encode()));
    assert_eq!(again.conf_changes, [None], "a second time it is refused, and raft is told so");
    assert_eq!(again.replies[0].1, Err(EtcdError::MemberExist));
    machine.grant(5, 60).unwrap();
    let version = holdfast_proto::membershippb::ClusterVersionSetRequest { ver: "3.7.0".into() };
    let request = pb::InternalRaftRequest { cluster_version_set: Some(version), ..Default::default() };
    machine.run(request).0.unwrap();

    let reopened = Applier::open(machine.store.clone(), 2, 1).unwrap();
    assert_eq!(reopened.applied(), machine.next - 1);
    assert_eq!(reopened.applied_term().unwrap(), 1);
    assert_eq!(reopened.membership().voters_and_learners(), (vec![1], vec![]));
    assert_eq!(reopened.membership().version(), Some("3.7.0"));
    assert!(reopened.lessor().unwrap().contains(5));
    let view = machine.store.view().unwrap();
    let conf_state = view.aux(trees::META, b"confState").unwrap().unwrap();
    assert_eq!(conf_state, br#"{"voters":[1],"auto_leave":false}"#);
}

#[test]
fn an_entry_that_cannot_be_applied_stops_the_member() {
    let mut machine = Machine::new();
    let entry = |kind| vec![Committed { index: 1, term: 1, kind }];
    let garbage = machine.applier.apply(entry(CommittedKind::Request(Bytes::from_static(&[0xff; 4]))), false);
    assert!(matches!(garbage, Err(ApplyError::Decode { index: 1, .. })));
    let unknown = pb::InternalRaftRequest { id: 1, ..Default::default() }.encode_to_vec();
    let unknown = machine.applier.apply(entry(CommittedKind::Request(unknown.into())), false);
    assert!(matches!(unknown, Err(ApplyError::UnknownRequest { index: 1, .. })));
}

#[test]
fn the_hash_of_etcds_vectors() {
    let mut machine = Machine::new();
    let hash = |machine: &Machine| machine.store.view().unwrap().hash_kv(0).unwrap().hash;
    assert_eq!(hash(&machine), 1_084_519_789);
    machine.put(p("a", "1")).unwrap();
    assert_eq!(hash(&machine), 2_587_454_935);
    machine.txn(then(vec![op_d("a")])).unwrap();
    assert_eq!(hash(&machine), 3_520_211_144);
    machine.txn(then(vec![op_p("x", ""), op_p("b", "2")])).unwrap();
    assert_eq!(hash(&machine), 2_280_090_275);
}
