//! A database that has reached its quota.

use std::time::{Duration, Instant};

use holdfast_proto::etcdserverpb as pb;
use tonic::Code;

use crate::common::Home;
use crate::common::grpc::{Client, failure, limited, put_op};

const QUOTA: u64 = 16 << 20;

fn no_space() -> (Code, String) {
    (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn at_the_quota_writes_are_refused_and_space_can_be_made() {
    let home = Home::holdfast().with(&["--quota-backend-bytes", &QUOTA.to_string()]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.put("first", "kept").await.unwrap();
    let mut acknowledged = 0;
    let error = loop {
        assert!(acknowledged < 1000, "100 MB are in {QUOTA} bytes");
        match client.put(format!("k{acknowledged:04}"), vec![b'x'; 100_000]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break failure::<()>(Err(error)),
        }
    };
    assert_eq!(error, no_space());
    assert!(acknowledged > 80, "only {acknowledged} values of 100 kB are in {QUOTA} bytes");
    let alarms = client.alarm(0, 0, 0).await.unwrap().alarms;
    assert_eq!(alarms.iter().map(|alarm| alarm.alarm).collect::<Vec<_>>(), [pb::AlarmType::Nospace as i32]);

    // Whatever needs space is refused, also after a restart, and whatever makes or needs none is not.
    server.kill();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    assert_eq!(failure(client.put("small", "x").await), no_space());
    assert_eq!(failure(client.grant(1, 100).await), no_space());
    let failing_branch = pb::TxnRequest { failure: vec![put_op("small", "x")], ..Default::default() };
    assert_eq!(failure(client.txn(failing_branch).await), no_space());
    client.txn(pb::TxnRequest::default()).await.unwrap();
    assert_eq!(client.all("k").await.unwrap().count, acknowledged);
    assert_eq!(client.get("first").await.unwrap().unwrap(), "kept");

    let delete = pb::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    let deleted = limited(client.kv.clone().delete_range(delete)).await.unwrap().into_inner();
    assert_eq!(deleted.deleted, acknowledged);
    client.compact(deleted.header.unwrap().revision, true).await.unwrap();
    limited(client.maintenance.clone().defragment(pb::DefragmentRequest {})).await.unwrap();
    assert_eq!(failure(client.put("small", "x").await), no_space(), "an alarm is never cleared by itself");
    client.alarm(2, alarms[0].member_id, alarms[0].alarm).await.unwrap();
    // Pages come back with the checkpoints, which the server makes by itself.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(status) = client.put("small", "x").await {
        assert_eq!(failure::<()>(Err(status)), no_space());
        assert!(Instant::now() < deadline, "no space comes back");
        client.alarm(2, alarms[0].member_id, alarms[0].alarm).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for n in 0..50 {
        client.put(format!("k{n:04}"), vec![b'y'; 100_000]).await.unwrap();
    }
    server.terminate();
}
