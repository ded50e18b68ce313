//! Requests that are well-formed messages and ask for what cannot be.

use holdfast_proto::etcdserverpb as pb;
use pb::compare::TargetUnion;
use pb::request_op::Request;
use tonic::Code;

use crate::common::grpc::{Client, failure, limited, put_op};
use crate::common::{Home, Server};

const EMPTY_KEY: (Code, &str) = (Code::InvalidArgument, "etcdserver: key is not provided");
const NO_KEY: (Code, &str) = (Code::InvalidArgument, "etcdserver: key not found");
const DUPLICATE: (Code, &str) = (Code::InvalidArgument, "etcdserver: duplicate key given in txn request");
const TOO_MANY: (Code, &str) = (Code::InvalidArgument, "etcdserver: too many operations in txn request");
const TOO_LARGE: (Code, &str) = (Code::InvalidArgument, "etcdserver: request is too large");
const BAD_SORT: (Code, &str) = (Code::InvalidArgument, "etcdserver: invalid sort option");
const NO_LEASE: (Code, &str) = (Code::NotFound, "etcdserver: requested lease not found");
const COMPACTED: (Code, &str) = (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
const FUTURE: (Code, &str) = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");

/// A server and a client of it, with keys `a` to `e`, which make revisions 2 to 6.
async fn started() -> (Home, Server, Client) {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for key in ["a", "b", "c", "d", "e"] {
        client.put(key, "1").await.unwrap();
    }
    (home, server, client)
}

fn expect<T: std::fmt::Debug>(result: Result<T, tonic::Status>, (code, text): (Code, &str), what: &str) {
    assert_eq!(failure(result), (code, text.to_owned()), "{what}");
}

fn range(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), ..Default::default() }
}

fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn delete_op(key: &str, end: &str) -> pb::RequestOp {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    op(Request::RequestDeleteRange(pb::DeleteRangeRequest { key, range_end, prev_kv: false }))
}

fn then(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success, ..Default::default() }
}

fn nested(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
    op(Request::RequestTxn(pb::TxnRequest { success, failure, ..Default::default() }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_and_values_that_cannot_be() {
    let (_home, server, client) = started().await;
    expect(client.put("", "x").await, EMPTY_KEY, "put");
    expect(client.range(range("")).await, EMPTY_KEY, "range");
    expect(client.delete("").await, EMPTY_KEY, "delete");
    expect(client.txn(then(vec![put_op("", "x")])).await, EMPTY_KEY, "put in a transaction");
    let compare = pb::Compare { target_union: Some(TargetUnion::Version(0)), ..Default::default() };
    let request = pb::TxnRequest { compare: vec![compare], ..Default::default() };
    expect(client.txn(request).await, EMPTY_KEY, "compare");
    expect(
        client.txn(then(vec![pb::RequestOp { request: None }])).await,
        NO_KEY,
        "an operation that is none",
    );

    let value_provided = (Code::InvalidArgument, "etcdserver: value is provided");
    let lease_provided = (Code::InvalidArgument, "etcdserver: lease is provided");
    for (request, expected) in [
        (pb::PutRequest { ignore_value: true, value: "x".into(), ..put("a") }, value_provided),
        (pb::PutRequest { ignore_lease: true, lease: 5, ..put("a") }, lease_provided),
        (pb::PutRequest { ignore_value: true, ..put("missing") }, NO_KEY),
        (pb::PutRequest { ignore_lease: true, ..put("missing") }, NO_KEY),
        (pb::PutRequest { lease: 777, ..put("a") }, NO_LEASE),
        (pb::PutRequest { lease: -777, ..put("a") }, NO_LEASE),
    ] {
        expect(limited(client.kv.clone().put(request.clone())).await, expected, &format!("{request:?}"));
    }
    for sort_target in [5, 77, -1, i32::MAX] {
        expect(
            client.range(pb::RangeRequest { sort_target, ..range("a") }).await,
            BAD_SORT,
            "unknown target",
        );
        let sorted = pb::RangeRequest { sort_order: 1, sort_target, range_end: "z".into(), ..range("a") };
        let txn = then(vec![op(Request::RequestRange(sorted))]);
        expect(client.txn(txn).await, BAD_SORT, "unknown target in a transaction");
    }
    expect(client.range(pb::RangeRequest { sort_order: 3, ..range("a") }).await, BAD_SORT, "unknown order");
    // Nothing of all this has used a revision, and nothing has harmed.
    assert_eq!(client.put("a", "2").await.unwrap(), 7);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn revisions_that_are_not_there() {
    let (_home, server, client) = started().await;
    let at = |revision| pb::RangeRequest { revision, ..range("a") };
    expect(client.range(at(7)).await, FUTURE, "range");
    expect(client.range(at(i64::MAX)).await, FUTURE, "range");
    expect(client.hash_kv(7).await, FUTURE, "hash");
    expect(client.compact(7, false).await, FUTURE, "compaction");
    expect(client.compact(-1, false).await, COMPACTED, "compaction");
    let read = |revision| op(Request::RequestRange(at(revision)));
    expect(client.txn(then(vec![put_op("q", "1"), read(7)])).await, FUTURE, "transaction");
    assert_eq!(client.get("q").await.unwrap(), None, "a transaction that fails writes nothing");

    client.compact(4, true).await.unwrap();
    expect(client.range(at(3)).await, COMPACTED, "range");
    expect(client.hash_kv(3).await, COMPACTED, "hash");
    expect(client.compact(4, false).await, COMPACTED, "the same again");
    expect(client.compact(3, true).await, COMPACTED, "an earlier one");
    expect(client.txn(then(vec![put_op("q", "1"), read(3)])).await, COMPACTED, "transaction");
    expect(client.txn(then(vec![read(-1)])).await, COMPACTED, "a negative one in a transaction");
    assert_eq!(client.range(at(-1)).await.unwrap().kvs.len(), 1, "a negative one outside means the newest");
    assert_eq!(client.range(at(4)).await.unwrap().kvs.len(), 1, "the compacted revision itself is there");
    assert_eq!(client.put("a", "2").await.unwrap(), 7);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn transactions_that_write_a_key_twice_or_do_too_much() {
    let (home, server, client) = started().await;
    let p = || put_op("d", "2");
    for (txn, what) in [
        (then(vec![p(), p()]), "two puts"),
        (then(vec![p(), delete_op("d", "")]), "put and delete"),
        (then(vec![delete_op("c", "e"), p()]), "delete of a range and put"),
        (then(vec![p(), nested(vec![p()], vec![])]), "put and nested put"),
        (then(vec![p(), nested(vec![delete_op("d", "")], vec![])]), "put and nested delete"),
        (then(vec![nested(vec![p()], vec![]), nested(vec![], vec![p()])]), "two nested ones"),
        (pb::TxnRequest { failure: vec![p(), p()], ..Default::default() }, "in the branch not taken"),
    ] {
        expect(client.txn(txn).await, DUPLICATE, what);
    }
    for txn in [
        then(vec![delete_op("d", ""), delete_op("c", "e")]),
        pb::TxnRequest { success: vec![p()], failure: vec![p()], ..Default::default() },
        then(vec![nested(vec![p()], vec![p()])]),
    ] {
        client.txn(txn).await.unwrap();
    }

    let puts = |count: usize| (0..count).map(|n| put_op(&format!("k{n}"), "1")).collect::<Vec<_>>();
    expect(client.txn(then(puts(129))).await, TOO_MANY, "129 operations");
    client.txn(then(puts(128))).await.unwrap();
    let with_nested = |inner: usize| {
        let mut outer = puts(99);
        outer.push(nested((0..inner).map(|n| put_op(&format!("n{n}"), "1")).collect(), vec![]));
        then(outer)
    };
    expect(client.txn(with_nested(29)).await, TOO_MANY, "29 in a nested one with 28 left");
    client.txn(with_nested(28)).await.unwrap();

    // An open-ended deletion counts as nothing in the check for duplicates; what follows must not fail half-way, since
    // it is in the log by then. Whatever the answer is, the member serves on, and starts again.
    let ignore = pb::PutRequest { ignore_value: true, ..put("e") };
    let _ = client.txn(then(vec![delete_op("a", "\0"), op(Request::RequestPut(ignore.clone()))])).await;
    let ignore = pb::PutRequest { ignore_value: false, ignore_lease: true, ..ignore };
    let _ = client.txn(then(vec![delete_op("a", "\0"), op(Request::RequestPut(ignore))])).await;
    let revision = client.put("a", "still here").await.unwrap();
    server.kill();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    assert_eq!(client.put("a", "and again").await.unwrap(), revision + 1);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_that_are_too_large() {
    let (_home, server, client) = started().await;
    let value = |bytes: usize| vec![b'v'; bytes];
    // The limit of 1.5 MiB is that of the log's entry, which is a little larger than the request.
    client.put("large", value(1_572_804)).await.unwrap();
    expect(client.put("large", value(1_572_864)).await, TOO_LARGE, "put");
    let half =
        |key: &str| op(Request::RequestPut(pb::PutRequest { value: value(800_000).into(), ..put(key) }));
    expect(client.txn(then(vec![half("x"), half("y")])).await, TOO_LARGE, "transaction");
    expect(client.put(value(1_600_000), "x").await, TOO_LARGE, "key");
    client.put(value(1_000_000), "a long key").await.unwrap();
    assert_eq!(client.get(value(1_000_000)).await.unwrap().unwrap(), "a long key");

    // Above that the message itself is refused, with its length in the text.
    let message =
        prost::Message::encoded_len(&pb::PutRequest { value: value(2_100_000).into(), ..put("large") });
    let text = format!("grpc: received message larger than max ({message} vs. 2097152)");
    expect(client.put("large", value(2_100_000)).await, (Code::ResourceExhausted, &text), "message");
    assert_eq!(client.get("large").await.unwrap().unwrap().len(), 1_572_804);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn leases_that_are_not_there_or_cannot_be() {
    let (_home, server, client) = started().await;
    let too_long = (Code::OutOfRange, "etcdserver: too large lease TTL");
    expect(client.grant(1, 9_000_000_001).await, too_long, "TTL");
    expect(client.grant(1, i64::MAX).await, too_long, "TTL");
    for ttl in [0, -5, 1, i64::MIN] {
        assert_eq!(client.grant(0, ttl).await.unwrap().ttl, 2, "TTL {ttl} is raised to the least");
    }
    client.grant(5, 600).await.unwrap();
    expect(
        client.grant(5, 600).await,
        (Code::FailedPrecondition, "etcdserver: lease already exists"),
        "twice",
    );
    assert_eq!(client.grant(-7, 600).await.unwrap().id, -7);
    let mut lease = client.lease.clone();
    for id in [0, 99, -99, i64::MIN] {
        expect(lease.lease_revoke(pb::LeaseRevokeRequest { id }).await, NO_LEASE, "revoke");
        let left = lease.lease_time_to_live(pb::LeaseTimeToLiveRequest { id, keys: true }).await.unwrap();
        let left = left.into_inner();
        assert_eq!((left.id, left.ttl, left.granted_ttl, left.keys.len()), (id, -1, 0, 0));
    }
    let asked = [5, 99, 0, 5].map(|id| pb::LeaseKeepAliveRequest { id });
    let mut answers = lease.lease_keep_alive(tokio_stream::iter(asked)).await.unwrap().into_inner();
    let mut ttls = Vec::new();
    while let Some(answer) = limited(answers.message()).await.unwrap() {
        ttls.push((answer.id, answer.ttl));
    }
    assert_eq!(ttls, [(5, 600), (99, 0), (0, 0), (5, 600)]);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn alarms_that_nobody_knows() {
    let (_home, server, client) = started().await;
    // (action, alarm): unknown actions, unknown kinds, both. Stored or refused, but the member must live.
    for (action, alarm) in [(1, 77), (77, 1), (77, 77), (-1, -1), (2, 77), (0, 77)] {
        if let Err(status) = client.alarm(action, 1, alarm).await {
            assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        }
    }
    let raised = client.alarm(0, 0, 0).await.unwrap().alarms;
    for alarm in raised {
        client.alarm(2, alarm.member_id, alarm.alarm).await.unwrap();
    }
    assert!(client.alarm(0, 0, 0).await.unwrap().alarms.is_empty());
    client.put("a", "2").await.unwrap();
    server.terminate();
}
