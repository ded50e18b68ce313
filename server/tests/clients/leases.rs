//! Leases: a key with a lease ends with it, not before and not long after.

use std::time::{Duration, Instant};

use holdfast_proto::etcdserverpb as pb;

use crate::common::Home;
use crate::common::grpc::{Client, limited};

/// How much later than its lease a key may end: leases are looked at twice a second, and machines may be busy.
const LATE: Duration = Duration::from_secs(8);

async fn put_leased(client: &Client, key: &str, lease: i64) {
    let put = pb::PutRequest { key: key.to_owned().into(), lease, ..Default::default() };
    limited(client.kv.clone().put(put)).await.unwrap();
}

/// Waits until `key` is gone; returns the moment.
async fn gone(client: &Client, key: &str, limit: Duration) -> Instant {
    let deadline = Instant::now() + limit;
    while client.get(key.to_owned()).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "{key} is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Instant::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_end_with_their_lease_and_renewed_ones_stay() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let before = Instant::now();
    client.grant(1, 3).await.unwrap();
    client.grant(2, 3).await.unwrap();
    for key in ["ends-b", "ends-a"] {
        put_leased(&client, key, 1).await;
    }
    put_leased(&client, "stays", 2).await;
    put_leased(&client, "moved", 1).await;
    put_leased(&client, "moved", 2).await;
    put_leased(&client, "detached", 1).await;
    let revision = client.put("detached", "by a put without a lease").await.unwrap();

    let renewing = {
        let mut lease = client.lease.clone();
        tokio::spawn(async move {
            loop {
                let renew = tokio_stream::once(pb::LeaseKeepAliveRequest { id: 2 });
                let mut answers = lease.lease_keep_alive(renew).await.unwrap().into_inner();
                assert_eq!(limited(answers.message()).await.unwrap().unwrap().ttl, 3);
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        })
    };
    let end = gone(&client, "ends-a", Duration::from_secs(3) + LATE).await;
    assert!(
        end.duration_since(before) >= Duration::from_secs(3),
        "after {:?} already",
        end.duration_since(before)
    );
    assert_eq!(client.get("ends-b").await.unwrap(), None, "all keys of a lease end at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    for key in ["stays", "moved", "detached"] {
        assert!(client.get(key).await.unwrap().is_some(), "{key} has gone");
    }
    let mut lease = client.lease.clone();
    let leases = lease.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().into_inner().leases;
    assert_eq!(leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [2]);

    // One revision, in the order of keys.
    let request = pb::RangeRequest { key: "ends-a".into(), revision, ..Default::default() };
    assert_eq!(client.range(request).await.unwrap().kvs.len(), 1, "it was there until its lease ended");
    assert_eq!(client.put("after", "1").await.unwrap(), revision + 2);
    renewing.abort();
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn leases_outlive_a_kill_and_then_end() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.grant(1, 2).await.unwrap();
    client.grant(2, 1000).await.unwrap();
    put_leased(&client, "short", 1).await;
    put_leased(&client, "long", 2).await;
    server.kill();

    let server = home.start();
    // A member that comes back gives every lease its whole time again.
    let restarted = Instant::now();
    let client = Client::connect(&server.url()).await;
    let mut lease = client.lease.clone();
    let left = lease.lease_time_to_live(pb::LeaseTimeToLiveRequest { id: 2, keys: true }).await.unwrap();
    let left = left.into_inner();
    assert_eq!((left.granted_ttl, left.keys), (1000, vec!["long".into()]));
    assert!((900..=1001).contains(&left.ttl), "{}", left.ttl);
    let end = gone(&client, "short", Duration::from_secs(4) + LATE).await;
    assert!(end.duration_since(restarted) >= Duration::from_millis(1900), "its time was cut");
    assert!(client.get("long").await.unwrap().is_some());
    server.terminate();
}
