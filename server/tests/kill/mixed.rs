//! Everything that writes, under kills: puts, deletions, transactions, leases, compaction.
//!
//! Each of several clients has keys of its own and a model of them. An operation that was acknowledged is in the model; one
//! that was cut off by a kill has happened whole or not at all, and the state after the restart tells which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::Status;

use crate::common::grpc::{Client, limited, put_op};
use crate::common::{Home, offline};
use crate::scenario::seed;

const CLIENTS: usize = 16;
const KEYS: usize = 60;
const KILLS: usize = 6;

/// What a client's keys hold, each with its lease.
type Keys = BTreeMap<String, (String, i64)>;

/// One client's part of the state.
struct Model {
    prefix: String,
    lease: i64,
    keys: Keys,
    /// What the keys hold if the operation that was cut off has happened.
    cut_off: Option<Keys>,
    /// The newest acknowledged revision.
    revision: i64,
    random: StdRng,
    operations: u64,
}

impl Model {
    fn new(number: usize, seed: u64) -> Self {
        Self {
            prefix: format!("/client{number:02}/"),
            lease: 1000 + number as i64,
            keys: Keys::new(),
            cut_off: None,
            revision: 1,
            random: StdRng::seed_from_u64(seed ^ number as u64),
            operations: 0,
        }
    }

    fn key(&mut self) -> String {
        format!("{}{:03}", self.prefix, self.random.random_range(0..KEYS))
    }

    fn value(&mut self) -> String {
        self.operations += 1;
        let length = if self.random.random_bool(0.02) { 20_000 } else { self.random.random_range(0..300) };
        format!("{}-{}", self.operations, "x".repeat(length))
    }

    /// Does one operation after the other until one is cut off.
    async fn work(mut self, client: Client) -> Self {
        // The lease may be there from before the kill.
        let _ = client.grant(self.lease, 100_000).await;
        loop {
            let mut after = self.keys.clone();
            let done = match self.random.random_range(0..100) {
                0..55 => self.put(&client, &mut after).await,
                55..75 => self.delete(&client, &mut after).await,
                75..97 => self.transact(&client, &mut after).await,
                97 => self.revoke(&client, &mut after).await,
                _ => self.compact(&client).await,
            };
            let Ok(revision) = done else {
                self.cut_off = Some(after);
                return self;
            };
            self.revision = self.revision.max(revision);
            self.keys = after;
        }
    }

    async fn put(&mut self, client: &Client, after: &mut Keys) -> Result<i64, Status> {
        let (key, value) = (self.key(), self.value());
        let lease = if self.random.random_bool(0.2) { self.lease } else { 0 };
        after.insert(key.clone(), (value.clone(), lease));
        let put = pb::PutRequest { key: key.into(), value: value.into(), lease, ..Default::default() };
        Ok(limited(client.kv.clone().put(put)).await?.into_inner().header.unwrap().revision)
    }

    /// Deletes a range of keys.
    async fn delete(&mut self, client: &Client, after: &mut Keys) -> Result<i64, Status> {
        let (from, to) = (self.key(), self.key());
        let before = after.len();
        after.retain(|key, _| *key < from || *key >= to);
        let delete = pb::DeleteRangeRequest { key: from.into(), range_end: to.into(), ..Default::default() };
        let response = limited(client.kv.clone().delete_range(delete)).await?.into_inner();
        assert_eq!(response.deleted as usize, before - after.len(), "{}: {:?}", self.prefix, response.header);
        Ok(response.header.unwrap().revision)
    }

    /// Puts two keys and deletes a third, in one revision.
    async fn transact(&mut self, client: &Client, after: &mut Keys) -> Result<i64, Status> {
        let (gone, key, other) = (self.key(), self.key(), self.key());
        if gone == key || gone == other || key == other {
            return Ok(0);
        }
        let (value, another) = (self.value(), self.value());
        let delete = pb::DeleteRangeRequest { key: gone.clone().into(), ..Default::default() };
        let delete = pb::RequestOp { request: Some(Request::RequestDeleteRange(delete)) };
        let success = vec![put_op(&key, &value), delete, put_op(&other, &another)];
        after.remove(&gone);
        after.insert(key, (value, 0));
        after.insert(other, (another, 0));
        let response = client.txn(pb::TxnRequest { success, ..Default::default() }).await?;
        Ok(response.header.unwrap().revision)
    }

    /// Ends the client's lease, and with it all of its keys; then takes a new one.
    async fn revoke(&mut self, client: &Client, after: &mut Keys) -> Result<i64, Status> {
        let id = self.lease;
        after.retain(|_, (_, lease)| *lease != id);
        let request = pb::LeaseRevokeRequest { id };
        let response = limited(client.lease.clone().lease_revoke(request)).await?.into_inner();
        // Cut off here, the lease is gone already: both are what a later look may find.
        self.keys = after.clone();
        client.grant(id, 100_000).await?;
        Ok(response.header.unwrap().revision)
    }

    async fn compact(&mut self, client: &Client) -> Result<i64, Status> {
        let physical = self.random.random_bool(0.3);
        match client.compact(self.revision, physical).await {
            Ok(()) => Ok(0),
            // Somebody else has compacted further.
            Err(status) if status.code() == tonic::Code::OutOfRange => Ok(0),
            Err(status) => Err(status),
        }
    }

    /// Looks whether the server holds what it must, and takes over what it holds.
    async fn verify(&mut self, client: &Client) {
        let all = client.all(&self.prefix).await.unwrap();
        let revision = all.header.as_ref().unwrap().revision;
        assert!(revision >= self.revision, "the revision went back to {revision} from {}", self.revision);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let there: Keys = all.kvs.iter().map(|kv| (text(&kv.key), (text(&kv.value), kv.lease))).collect();
        let cut_off = self.cut_off.take();
        assert!(
            there == self.keys || cut_off.as_ref() == Some(&there),
            "{} holds neither what was acknowledged nor what was cut off:\nheld: {}\nacknowledged: {}\ncut off: {}",
            self.prefix,
            brief(&there),
            brief(&self.keys),
            cut_off.as_ref().map(brief).unwrap_or_default(),
        );
        self.keys = there;
        self.revision = revision;
        let request = pb::LeaseTimeToLiveRequest { id: self.lease, keys: true };
        let attached =
            limited(client.lease.clone().lease_time_to_live(request)).await.unwrap().into_inner().keys;
        let mut attached: Vec<String> = attached.iter().map(|key| text(key)).collect();
        attached.sort_unstable();
        let expected: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, (_, lease))| *lease == self.lease)
            .map(|(key, _)| key.clone())
            .collect();
        assert_eq!(attached, expected, "the keys of lease {}", self.lease);
    }
}

/// Keys with the numbers of the operations that wrote them.
fn brief(keys: &Keys) -> String {
    let number = |value: &str| value.split('-').next().unwrap_or_default().to_owned();
    keys.iter()
        .map(|(key, (value, lease))| format!("{key}={}/{lease} ", number(value)))
        .collect::<Vec<_>>()
        .concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_write_survives_kills_whole_or_not_at_all() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let home = Home::holdfast().with(&["--compaction-batch-limit", "50"]);
    let mut server = home.start();
    let mut models: Vec<Model> = (0..CLIENTS).map(|number| Model::new(number, seed)).collect();
    for _ in 0..KILLS {
        let mut working = Vec::new();
        for model in models.drain(..) {
            let client = Client::connect(&server.url()).await;
            working.push(tokio::spawn(model.work(client)));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(50..1500))).await;
        server.kill();
        for task in working {
            models.push(task.await.unwrap());
        }
        offline::check(&home.db()).unwrap_or_else(|fault| panic!("after a kill: {fault}"));
        server = home.start();
        let client = Arc::new(Client::connect(&server.url()).await);
        for model in &mut models {
            model.verify(&client).await;
        }
    }
    server.terminate();
    let contents = offline::check(&home.db()).unwrap();
    let keys: usize = models.iter().map(|model| model.keys.len()).sum();
    assert_eq!(contents.keys, keys as u64);
    println!("{} revisions, {keys} keys at the end", contents.revision);
}
