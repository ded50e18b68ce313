//! Calls whose answer is a stream.
//!
//! The stream stays with the caller, which knows what to do when it breaks: a watch goes on where it was, a
//! snapshot fails.

use holdfast_proto::{
    etcdserverpb as pb,
    metadata::{HAS_LEADER, HAS_LEADER_TRUE},
};
use pb::{
    kv_client::KvClient, lease_client::LeaseClient, maintenance_client::MaintenanceClient,
    watch_client::WatchClient,
};
use tokio_stream::Stream;
use tonic::{Request, Streaming, metadata::MetadataValue};

use super::{
    Client,
    call::{Repeat, request},
    error::CallError,
};

impl Client {
    /// Reads keys in pieces, and puts them together again. The limit for an answer holds for each piece.
    pub(crate) async fn range_stream(
        &mut self,
        message: pb::RangeRequest,
    ) -> Result<pb::RangeResponse, CallError> {
        let limit = self.options.max_receive_bytes;
        let mut pieces = self
            .call(Repeat::Safe, message, async move |channel, request| {
                KvClient::new(channel).max_decoding_message_size(limit).range_stream(request).await
            })
            .await?;
        self.limited(async move |_| {
            let mut whole = pb::RangeResponse::default();
            while let Some(piece) = pieces.message().await? {
                let Some(mut piece) = piece.range_response else { continue };
                let mut kvs = std::mem::take(&mut whole.kvs);
                kvs.append(&mut piece.kvs);
                // Header, count and "more" stand in one of the pieces only.
                whole = pb::RangeResponse {
                    header: piece.header.or(whole.header),
                    kvs,
                    more: piece.more || whole.more,
                    count: piece.count.max(whole.count),
                };
            }
            Ok(whole)
        })
        .await
    }

    /// Streams the member's database.
    pub(crate) async fn snapshot(&mut self) -> Result<Streaming<pb::SnapshotResponse>, CallError> {
        let limit = self.options.max_receive_bytes;
        self.call(Repeat::Safe, pb::SnapshotRequest {}, async move |channel, request| {
            MaintenanceClient::new(channel).max_decoding_message_size(limit).snapshot(request).await
        })
        .await
    }

    /// Opens a stream of watches; ends when the server has no leader.
    pub(crate) async fn watch(
        &mut self,
        requests: impl Stream<Item = pb::WatchRequest> + Send + 'static,
    ) -> Result<Streaming<pb::WatchResponse>, CallError> {
        let channel = self.channel().await;
        let limit = self.options.max_receive_bytes;
        let request = self.with_leader(requests);
        Ok(WatchClient::new(channel).max_decoding_message_size(limit).watch(request).await?.into_inner())
    }

    /// Opens a stream of lease renewals; ends when the server has no leader.
    pub(crate) async fn lease_keep_alive(
        &mut self,
        requests: impl Stream<Item = pb::LeaseKeepAliveRequest> + Send + 'static,
    ) -> Result<Streaming<pb::LeaseKeepAliveResponse>, CallError> {
        let channel = self.channel().await;
        let request = self.with_leader(requests);
        Ok(LeaseClient::new(channel).lease_keep_alive(request).await?.into_inner())
    }

    fn with_leader<Q>(&self, message: Q) -> Request<Q> {
        let mut request = request(message, self.token());
        request.metadata_mut().insert(HAS_LEADER, MetadataValue::from_static(HAS_LEADER_TRUE));
        request
    }
}
