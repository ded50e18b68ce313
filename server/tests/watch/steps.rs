//! The steps that both servers must answer alike, in one order, on one store.

use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request;

use crate::common::grpc::{Client, put_op};
use crate::stream::{Stream, create};

/// All steps.
pub(crate) async fn all(client: &Client) {
    identifiers(client).await;
    ranges(client).await;
    live_history_and_filters(client).await;
    future(client).await;
    leases(client).await;
    half_closed(client).await;
    fragments(client).await;
    batches(client).await;
    long_transaction(client).await;
    compaction(client).await;
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn delete_op(key: &str) -> pb::RequestOp {
    let delete = pb::DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() };
    pb::RequestOp { request: Some(Request::RequestDeleteRange(delete)) }
}

async fn transaction(client: &Client, success: Vec<pb::RequestOp>) -> i64 {
    let txn = pb::TxnRequest { success, ..Default::default() };
    client.txn(txn).await.unwrap().header.unwrap().revision
}

async fn identifiers(client: &Client) {
    let duplicate = "(mvcc: duplicate watch ID provided on the WatchStream)";
    let empty = "(mvcc: watcher range is empty)";
    let mut stream = Stream::open(client);
    stream.send(None).await;
    let with_id = |watch_id| pb::WatchCreateRequest { watch_id, ..create("foo", "") };
    stream.create(create("foo", "")).await;
    stream.create(with_id(7)).await;
    stream.create(with_id(7)).await;
    stream.create(create("foo", "")).await;
    let refused = format!("-1@1 created canceled {duplicate}");
    stream
        .expect(&[lines(["0@1 created", "7@1 created"]), vec![refused], lines(["1@1 created"])].concat())
        .await;
    stream.create(create("b", "a")).await;
    stream.create(create("b", "b")).await;
    let refused = format!("-1@1 created canceled {empty}");
    stream.expect(&[refused.clone(), refused]).await;
    stream.cancel(1234).await;
    stream.expect(&[]).await;
    stream.cancel(7).await;
    stream.create(with_id(7)).await;
    stream.create(with_id(-9)).await;
    stream.expect(&lines(["7@1 canceled", "7@1 created", "-9@1 created"])).await;
    // An identifier in use is skipped, one that was given up does not come again.
    stream.cancel(1).await;
    stream.create(with_id(2)).await;
    stream.create(create("foo", "")).await;
    stream.expect(&lines(["1@1 canceled", "2@1 created", "3@1 created"])).await;
}

async fn ranges(client: &Client) {
    let mut smallest = Stream::open(client);
    smallest.create(create("", "")).await;
    smallest.expect(&lines(["0@1 created"])).await;
    let mut all = Stream::open(client);
    all.create(create("", "\0")).await;
    all.expect(&lines(["0@1 created"])).await;
    let mut from_b = Stream::open(client);
    from_b.create(create("b", "\0")).await;
    from_b.expect(&lines(["0@1 created"])).await;
    assert_eq!(client.put("a", "1").await.unwrap(), 2);
    assert_eq!(client.put("\0", "2").await.unwrap(), 3);
    assert_eq!(client.put("b", "3").await.unwrap(), 4);
    smallest.expect(&lines(["0@3; put \0=2 3/3/1/0"])).await;
    all.expect(&lines(["0@2; put a=1 2/2/1/0", "0@3; put \0=2 3/3/1/0", "0@4; put b=3 4/4/1/0"])).await;
    from_b.expect(&lines(["0@4; put b=3 4/4/1/0"])).await;
}

async fn live_history_and_filters(client: &Client) {
    let mut live = Stream::open(client);
    live.create(create("h", "i")).await;
    live.expect(&lines(["0@4 created"])).await;
    client.put("h1", "1").await.unwrap();
    client.put("h2", "2").await.unwrap();
    let last = transaction(client, vec![put_op("h1", "3"), delete_op("h2"), put_op("h0", "4")]).await;
    assert_eq!(last, 7);
    live.expect(&lines([
        "0@5; put h1=1 5/5/1/0",
        "0@6; put h2=2 6/6/1/0",
        "0@7; put h1=3 5/7/2/0; del h2= 0/7/0/0; put h0=4 7/7/1/0",
    ]))
    .await;

    let from_5 = || pb::WatchCreateRequest { start_revision: 5, ..create("h", "i") };
    let filtered = |filters| pb::WatchCreateRequest { filters, ..from_5() };
    let (first, del, others) =
        ("put h1=1 5/5/1/0; put h2=2 6/6/1/0; put h1=3 5/7/2/0", "del h2= 0/7/0/0", "put h0=4 7/7/1/0");
    for (request, events) in [
        (from_5(), format!("; {first}; {del}; {others}")),
        (
            pb::WatchCreateRequest { prev_kv: true, ..from_5() },
            format!("; {first} was h1=1 5/5/1/0; {del} was h2=2 6/6/1/0; {others}"),
        ),
        (filtered(vec![0]), format!("; {del}")),
        (filtered(vec![1]), format!("; {first}; {others}")),
        (filtered(vec![0, 1]), String::new()),
        (filtered(vec![5]), format!("; {first}; {del}; {others}")),
    ] {
        let mut stream = Stream::open(client);
        stream.create(request).await;
        let mut expected = lines(["0@7 created"]);
        if !events.is_empty() {
            expected.push(format!("0@7{events}"));
        }
        stream.expect(&expected).await;
    }
}

async fn future(client: &Client) {
    let mut stream = Stream::open(client);
    stream.create(pb::WatchCreateRequest { start_revision: 10, ..create("f", "") }).await;
    stream.expect(&lines(["0@7 created"])).await;
    for value in ["8", "9", "10", "11"] {
        client.put("f", value).await.unwrap();
    }
    stream.expect(&lines(["0@10; put f=10 8/10/3/0", "0@11; put f=11 8/11/4/0"])).await;
}

async fn leases(client: &Client) {
    let mut stream = Stream::open(client);
    stream.create(pb::WatchCreateRequest { prev_kv: true, ..create("l", "") }).await;
    stream.expect(&lines(["0@11 created"])).await;
    client.grant(77, 600).await.unwrap();
    let put = pb::PutRequest { key: "l".into(), value: "leased".into(), lease: 77, ..Default::default() };
    client.kv.clone().put(put).await.unwrap();
    client.lease.clone().lease_revoke(pb::LeaseRevokeRequest { id: 77 }).await.unwrap();
    stream
        .expect(&lines(["0@12; put l=leased 12/12/1/77", "0@13; del l= 0/13/0/0 was l=leased 12/12/1/77"]))
        .await;
}

async fn half_closed(client: &Client) {
    let mut stream = Stream::open(client);
    stream.create(create("c", "")).await;
    stream.expect(&lines(["0@13 created"])).await;
    stream.half_close();
    client.put("c", "after").await.unwrap();
    stream.expect(&lines(["0@14; put c=after 14/14/1/0"])).await;
}

async fn fragments(client: &Client) {
    for key in ["m1", "m2", "m3", "m4", "m5"] {
        client.put(key, vec![b'v'; 1_000_000]).await.unwrap();
    }
    let mut stream = Stream::open(client);
    let request = pb::WatchCreateRequest { start_revision: 15, fragment: true, ..create("m", "n") };
    stream.create(request).await;
    let put = |n: u8| format!("put m{}=1000000 bytes {n}/{n}/1/0", n - 14);
    let parts = [
        "0@19 created".to_owned(),
        format!("0@19 fragment; {}; {}", put(15), put(16)),
        format!("0@19 fragment; {}; {}", put(17), put(18)),
        format!("0@19; {}", put(19)),
    ];
    stream.expect(&parts).await;
}

async fn batches(client: &Client) {
    for n in 20..1120 {
        assert_eq!(client.put("k", n.to_string()).await.unwrap(), n);
    }
    let mut stream = Stream::open(client);
    stream.create(pb::WatchCreateRequest { start_revision: 20, ..create("k", "") }).await;
    let batch = |from: i64, to: i64| {
        let put = |n: i64| format!("; put k={n} 20/{n}/{}/0", n - 19);
        (from..=to).map(put).fold("0@1119".to_owned(), |line, event| line + &event)
    };
    stream.expect(&["0@1119 created".to_owned(), batch(20, 1019), batch(1020, 1119)]).await;
}

async fn long_transaction(client: &Client) {
    let mut stream = Stream::open(client);
    stream.create(create("t", "u")).await;
    stream.expect(&lines(["0@1119 created"])).await;
    let ops = (0..128).map(|n| put_op(&format!("t{n}"), "")).collect();
    assert_eq!(transaction(client, ops).await, 1120);
    let events = (0..128).map(|n| format!("; put t{n}= 1120/1120/1/0"));
    stream.expect(&[events.fold("0@1120".to_owned(), |line, event| line + &event)]).await;
}

async fn compaction(client: &Client) {
    client.compact(1119, true).await.unwrap();
    let mut stream = Stream::open(client);
    let request = |start_revision| pb::WatchCreateRequest { watch_id: 9, start_revision, ..create("k", "") };
    stream.create(request(2)).await;
    stream.expect(&lines(["9@1120 created", "9@0 canceled compacted 1119"])).await;
    stream.create(request(1119)).await;
    stream.cancel(9).await;
    let refused =
        "-1@1120 created canceled (mvcc: duplicate watch ID provided on the WatchStream)".to_owned();
    stream.expect(&[refused, "9@1120 canceled".to_owned()]).await;
    let from_compacted = pb::WatchCreateRequest { prev_kv: true, ..request(1119) };
    stream.create(from_compacted).await;
    stream.expect(&lines(["9@1120 created", "9@1120; put k=1119 20/1119/1100/0"])).await;
}
