//! RangeStream: a range in as many messages as it takes.
//!
//! Each message is read when the client has room for it: over the newest state, at the revision of the first one
//! (`engine::mvcc`, modules `stream` and `hold`). So an answer of any size costs the server one message, a slow client
//! pins nothing, and no thread waits for it. It holds back physical compaction, for a limited time.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::try_unfold;
use holdfast_core::apply;
use holdfast_engine::mvcc::{MvccError, RangeResult, RangeStream};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use pb::range_request::{SortOrder, SortTarget};
use tokio_stream::Stream;
use tonic::Status;

use super::{Services, checks, on_scan_thread};
use crate::member::holds::RANGE_TICKS;

/// Bytes of key-values in one message, unless a single one is larger.
const MESSAGE_BYTES: usize = 512 << 10;

/// The stream of a call.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<pb::RangeStreamResponse, Status>> + Send>>;

/// Begins to answer a request: linearizable unless it asks not to be.
pub(super) async fn answer(services: &Services, mut request: pb::RangeRequest) -> Result<Messages, Status> {
    checks::range(&request)?;
    check_order(&request)?;
    let member = services.member();
    if !request.serializable {
        member.read_barrier().await?;
    }
    member.count_ranges(1);
    // Without an order the target says nothing.
    request.sort_target = SortTarget::Key as i32;
    let store = member.store().clone();
    let begun = on_scan_thread(move || {
        let mut stream = store.range_stream(&apply::range_query(&request), RANGE_TICKS)?;
        let first = stream.next_chunk(MESSAGE_BYTES)?;
        Ok((stream, first))
    });
    let (stream, next) = begun.await?.map_err(|error| refusal(services, error))?;
    let begin = Some(State { services: services.clone(), stream, next });
    Ok(Box::pin(try_unfold(begin, |state| async move {
        match state {
            Some(state) => state.message().await.map(Some),
            None => Ok(None),
        }
    })))
}

/// The order of a stream is that of the keys, and it leaves none out.
fn check_order(request: &pb::RangeRequest) -> Result<(), Status> {
    let by_key = request.sort_target == SortTarget::Key as i32;
    let ascending = request.sort_order == SortOrder::Ascend as i32 && by_key;
    if request.sort_order != SortOrder::None as i32 && !ascending {
        return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
    }
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if filters != [0; 4] {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(())
}

/// What the client is told; a store that cannot be read stops the member.
fn refusal(services: &Services, error: MvccError) -> Status {
    match error {
        MvccError::Compacted { .. } | MvccError::Outlived { .. } => EtcdError::Compacted.into(),
        MvccError::FutureRevision { .. } => EtcdError::FutureRev.into(),
        error => services.member().store_failed(error),
    }
}

/// Where the stream stands between two messages.
struct State {
    services: Services,
    stream: RangeStream,
    /// Read ahead by one, because the last message says more than the others.
    next: Option<Vec<Bytes>>,
}

impl State {
    /// The next message, and what is to come behind it: nothing behind the last.
    async fn message(self) -> Result<(pb::RangeStreamResponse, Option<Self>), Status> {
        let Self { services, mut stream, next } = self;
        let kvs = next.unwrap_or_default();
        let reading = on_scan_thread(move || (stream.next_chunk(MESSAGE_BYTES), stream));
        let (next, stream) = tokio::select! {
            read = reading => read?,
            () = services.stopped() => return Err(EtcdError::Stopped.into()),
        };
        let next = next.map_err(|error| refusal(&services, error))?;
        let chunk = RangeResult { kvs, ..RangeResult::default() };
        let mut response = apply::range_response(&chunk, 0).map_err(|error| refusal(&services, error))?;
        response.header = None;
        if next.is_none() {
            response.header = Some(services.member().header_at(stream.began_at()));
            response.more = stream.more();
            response.count = stream.count();
        }
        let rest = next.is_some().then_some(Self { services, stream, next });
        Ok((pb::RangeStreamResponse { range_response: Some(response) }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_orders_and_filters_are_not_supported() {
        let plain = pb::RangeRequest { key: "a".into(), ..Default::default() };
        let (ascend, descend) = (SortOrder::Ascend as i32, SortOrder::Descend as i32);
        let by_value = SortTarget::Value as i32;
        for fine in [
            plain.clone(),
            pb::RangeRequest { sort_order: ascend, ..plain.clone() },
            pb::RangeRequest { sort_target: by_value, ..plain.clone() },
        ] {
            assert!(check_order(&fine).is_ok());
        }
        for (refused, why) in [
            (pb::RangeRequest { sort_order: descend, ..plain.clone() }, "custom sort orders"),
            (
                pb::RangeRequest { sort_order: ascend, sort_target: by_value, ..plain.clone() },
                "custom sort orders",
            ),
            (pb::RangeRequest { min_create_revision: 1, ..plain.clone() }, "revision filters"),
            (pb::RangeRequest { max_mod_revision: 1, ..plain }, "revision filters"),
        ] {
            let status = check_order(&refused).unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unimplemented);
            assert_eq!(status.message(), format!("RangeStream does not support {why}"));
        }
    }
}
