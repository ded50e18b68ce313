//! A snapshot of ours is a snapshot for etcd.

use std::process::Command;

use holdfast_proto::etcdserverpb as pb;

use crate::common::ctl::{self, Ctl};
use crate::common::grpc::{Client, limited, put_op};
use crate::common::home::plain_command;
use crate::common::real::{self, Etcd};
use crate::common::{Home, Server};

/// A server with a history: many keys, several versions, deletions, leases, a compaction.
async fn with_history() -> (Home, Server, Client) {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.grant(0x77, 5000).await.unwrap();
    for n in 0..300 {
        client.put(format!("k{n:04}"), format!("value {n}")).await.unwrap();
    }
    for n in (0..300).step_by(3) {
        client.put(format!("k{n:04}"), vec![n as u8; 5000]).await.unwrap();
    }
    for n in (0..300).step_by(7) {
        client.delete(format!("k{n:04}")).await.unwrap();
    }
    let success = (0..100).map(|n| put_op(&format!("txn{n:03}"), "x")).collect();
    client.txn(pb::TxnRequest { success, ..Default::default() }).await.unwrap();
    let leased =
        pb::PutRequest { key: "kleased".into(), value: "1".into(), lease: 0x77, ..Default::default() };
    limited(client.kv.clone().put(leased)).await.unwrap();
    client.compact(350, true).await.unwrap();
    client.put("k-last", vec![b'x'; 1_000_000]).await.unwrap();
    client.delete("k-last").await.unwrap();
    (home, server, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn etcd_35_restores_and_serves_it() {
    let Some(etcd) = real::etcd35() else { return };
    let utl = plain_command(&etcd.utl);
    restored_and_served(&etcd, utl).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn etcd_34_restores_and_serves_it() {
    let Some(etcd) = real::etcd34() else { return };
    // There was no offline tool then; the client did its work.
    let mut ctl = plain_command(&etcd.ctl);
    ctl.env("ETCDCTL_API", "3");
    restored_and_served(&etcd, ctl).await;
}

/// Takes a snapshot with etcd's client, restores it with etcd's tool, serves it with etcd's server, and compares.
async fn restored_and_served(etcd: &Etcd, mut restore: Command) {
    let (home, server, client) = with_history().await;
    let theirs = Home::of(etcd.server.clone());
    let ctl = Ctl::new(&etcd.ctl, &server.endpoint(), home.folder());
    ctl.ok(&["snapshot", "save", "snapshot.db"]);
    let file = home.folder().join("snapshot.db");

    restore.args(["snapshot", "restore"]).arg(&file).arg("--data-dir").arg(theirs.data());
    let peer = theirs.peer_url();
    restore.args(["--name", "m1", "--initial-cluster", &format!("m1={peer}")]);
    restore.args(["--initial-advertise-peer-urls", &peer]);
    let restored = ctl::run(restore, "");
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let etcd = theirs.start();
    let other = Client::connect(&etcd.url()).await;

    let everything = pb::RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    let (ours, others) =
        (client.range(everything.clone()).await.unwrap(), other.range(everything.clone()).await.unwrap());
    assert_eq!(ours.header.as_ref().unwrap().revision, others.header.as_ref().unwrap().revision);
    assert_eq!(ours.kvs, others.kvs, "keys, values, revisions, versions and leases");
    let (ours, others) = (client.hash_kv(0).await.unwrap(), other.hash_kv(0).await.unwrap());
    assert_eq!((ours.hash, ours.compact_revision), (others.hash, others.compact_revision));
    // The past from the compaction on has come along, too.
    let past = pb::RangeRequest { revision: 380, ..everything };
    assert_eq!(client.range(past.clone()).await.unwrap().kvs, other.range(past).await.unwrap().kvs);
    let mut lease = other.lease.clone();
    let left = lease.lease_time_to_live(pb::LeaseTimeToLiveRequest { id: 0x77, keys: true }).await.unwrap();
    assert_eq!(left.into_inner().keys, ["kleased"]);
    // And both go on alike.
    client.put("after", "1").await.unwrap();
    other.put("after", "1").await.unwrap();
    assert_eq!(client.hash_kv(0).await.unwrap().hash, other.hash_kv(0).await.unwrap().hash);
    etcd.terminate();
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn etcdutl_reads_it() {
    let Some(etcd) = real::etcd35() else { return };
    let (home, server, client) = with_history().await;
    let ctl = Ctl::new(&etcd.ctl, &server.endpoint(), home.folder());
    let revision = client.hash_kv(0).await.unwrap().header.unwrap().revision;
    // Taken while others write: it is the state of one revision.
    let writing = {
        let client = client.clone();
        tokio::spawn(async move {
            for n in 0_u32.. {
                if client.put("busy", n.to_string()).await.is_err() {
                    return;
                }
            }
        })
    };
    let saved =
        tokio::task::spawn_blocking(move || ctl.run(&["snapshot", "save", "snapshot.db"], "")).await.unwrap();
    assert_eq!(saved.code, Some(0), "{saved:?}");
    writing.abort();
    let mut status = plain_command(&etcd.utl);
    status.args(["snapshot", "status", "snapshot.db", "-w", "json"]).current_dir(home.folder());
    let status = ctl::run(status, "");
    assert_eq!(status.code, Some(0), "{status:?}");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let length = std::fs::metadata(home.folder().join("snapshot.db")).unwrap().len();
    assert_eq!(length % 512, 32, "a digest of 32 bytes follows");
    assert!(status["revision"].as_i64().unwrap() >= revision, "{status}");
    assert!(status["totalKey"].as_i64().unwrap() >= 350, "{status}");
    server.terminate();
}
