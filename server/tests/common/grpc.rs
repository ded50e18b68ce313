//! The gRPC client of the tests.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;
use pb::cluster_client::ClusterClient;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// How long a call may take, so that a server that never answers fails a test instead of stopping it.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Longer than anything that a test receives.
const MESSAGE_LIMIT: usize = 1 << 30;

/// One connection to a server, with a client for each service.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) channel: Channel,
    pub(crate) kv: KvClient<Channel>,
    pub(crate) watch: WatchClient<Channel>,
    pub(crate) lease: LeaseClient<Channel>,
    pub(crate) cluster: ClusterClient<Channel>,
    pub(crate) maintenance: MaintenanceClient<Channel>,
}

impl Client {
    /// Connects to a server that is running.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::try_connect(url).await.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    /// Connects.
    pub(crate) async fn try_connect(url: &str) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect_timeout(CALL_LIMIT).connect().await?;
        // The streams of a watch have no end, so the limit is not the channel's but each call's.
        Ok(Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT),
            watch: WatchClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT),
            lease: LeaseClient::new(channel.clone()),
            cluster: ClusterClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            channel,
        })
    }

    /// Puts a key; returns the revision.
    pub(crate) async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<i64, Status> {
        let put = pb::PutRequest { key: key.into(), value: value.into(), ..Default::default() };
        let response = limited(self.kv.clone().put(put)).await?;
        Ok(response.into_inner().header.unwrap().revision)
    }

    /// Puts all of `keys`, many at a time.
    pub(crate) async fn put_all(&self, keys: &BTreeMap<String, Bytes>) {
        let entries: Vec<(String, Bytes)> =
            keys.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for part in entries.chunks(entries.len().div_ceil(32).max(1)) {
            let (part, client) = (part.to_vec(), self.clone());
            tasks.spawn(async move {
                for (key, value) in part {
                    client.put(key, value).await.unwrap();
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    }

    /// Deletes a key; returns how many there were.
    pub(crate) async fn delete(&self, key: impl Into<Bytes>) -> Result<i64, Status> {
        let delete = pb::DeleteRangeRequest { key: key.into(), ..Default::default() };
        Ok(limited(self.kv.clone().delete_range(delete)).await?.into_inner().deleted)
    }

    /// Reads a key, linearizably.
    pub(crate) async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Status> {
        let range = self.range(pb::RangeRequest { key: key.into(), ..Default::default() }).await?;
        Ok(range.kvs.into_iter().next().map(|kv| kv.value))
    }

    /// Reads a range.
    pub(crate) async fn range(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Status> {
        Ok(limited(self.kv.clone().range(request)).await?.into_inner())
    }

    /// Reads all keys that begin with `prefix` in pages of one revision.
    pub(crate) async fn all(&self, prefix: &str) -> Result<pb::RangeResponse, Status> {
        let mut request = pb::RangeRequest {
            key: prefix.to_owned().into(),
            range_end: end_of_prefix(prefix),
            limit: 5000,
            ..Default::default()
        };
        let mut all = self.range(request.clone()).await?;
        let mut more = all.more;
        while more {
            let last = all.kvs.last().expect("a page with more after it is not empty");
            request.key = [&last.key[..], b"\0"].concat().into();
            request.revision = all.header.as_ref().unwrap().revision;
            let page = self.range(request.clone()).await?;
            more = page.more;
            all.kvs.extend(page.kvs);
        }
        Ok(all)
    }

    /// Runs a transaction.
    pub(crate) async fn txn(&self, request: pb::TxnRequest) -> Result<pb::TxnResponse, Status> {
        Ok(limited(self.kv.clone().txn(request)).await?.into_inner())
    }

    /// Compacts.
    pub(crate) async fn compact(&self, revision: i64, physical: bool) -> Result<(), Status> {
        let request = pb::CompactionRequest { revision, physical };
        limited(self.kv.clone().compact(request)).await.map(|_| ())
    }

    /// Grants a lease.
    pub(crate) async fn grant(&self, id: i64, ttl: i64) -> Result<pb::LeaseGrantResponse, Status> {
        let request = pb::LeaseGrantRequest { id, ttl };
        Ok(limited(self.lease.clone().lease_grant(request)).await?.into_inner())
    }

    /// The hash of the history up to `revision`, or up to now.
    pub(crate) async fn hash_kv(&self, revision: i64) -> Result<pb::HashKvResponse, Status> {
        let request = pb::HashKvRequest { revision };
        Ok(limited(self.maintenance.clone().hash_kv(request)).await?.into_inner())
    }

    /// Sets, clears or lists alarms.
    pub(crate) async fn alarm(
        &self,
        action: i32,
        member_id: u64,
        alarm: i32,
    ) -> Result<pb::AlarmResponse, Status> {
        let request = pb::AlarmRequest { action, member_id, alarm };
        Ok(limited(self.maintenance.clone().alarm(request)).await?.into_inner())
    }
}

/// Fails a call that is not answered.
pub(crate) async fn limited<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    tokio::time::timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| panic!("no answer within {CALL_LIMIT:?}"))
}

/// A put as an operation of a transaction.
pub(crate) fn put_op(key: &str, value: &str) -> pb::RequestOp {
    let put =
        pb::PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() };
    pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
}

/// The first key behind all that begin with `prefix`, which is not empty and plain ASCII.
pub(crate) fn end_of_prefix(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().expect("a prefix is not empty") += 1;
    end.into()
}

/// The code and text of a call that must fail.
pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("this call must fail");
    (status.code(), status.message().to_owned())
}
