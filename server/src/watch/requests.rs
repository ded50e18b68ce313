//! The request stream of a watch call.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb::WatchRequest;
use holdfast_proto::etcdserverpb::watch_request::RequestUnion;
use holdfast_proto::{limits, watch as texts};
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

use super::handle::Asks;
use super::{Host, permission};

/// Reads requests until the stream fails. A client that has said all it wants to say goes on listening.
pub(super) async fn read(mut requests: Streaming<WatchRequest>, caller: MetadataMap, asks: Arc<Asks>) {
    loop {
        match requests.message().await {
            Ok(Some(request)) => hand_on(request, &caller, &asks).await,
            Ok(None) => return,
            Err(status) => return asks.finish(status),
        }
    }
}

async fn hand_on(request: WatchRequest, caller: &MetadataMap, asks: &Asks) {
    match request.request_union {
        None => {}
        Some(RequestUnion::CreateRequest(request)) => {
            // A negative start is refused whoever asks.
            if request.start_revision >= 0
                && let Err(error) = permission::check(caller, &request)
            {
                asks.refuse(texts::reason_of_failed_check(error)).await;
            } else {
                asks.create(request).await;
            }
        }
        Some(RequestUnion::CancelRequest(request)) => asks.cancel(request.watch_id).await,
        Some(RequestUnion::ProgressRequest(_)) => asks.progress().await,
    }
}

/// Ends the stream of a client that wants a leader when none has been known for some time.
pub(super) async fn insist_on_leader(host: Arc<dyn Host>, poll_interval: Duration, asks: Arc<Asks>) {
    let mut polls_without = 0;
    while polls_without < limits::NO_LEADER_POLLS {
        tokio::time::sleep(poll_interval).await;
        polls_without = if host.has_leader() { 0 } else { polls_without + 1 };
    }
    asks.finish(Status::from(EtcdError::NoLeader));
}
