//! KV: everything but Range, which has a service of its own.

use holdfast_core::apply::{self, Reply};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::etcdserverpb::kv_server::Kv;
use holdfast_proto::etcdserverpb::request_op::Request as Op;
use tonic::{Request, Response, Status};

use super::{Services, checks, complete_header, unexpected_reply};

impl Services {
    /// Answers a transaction that only reads, where it holds up nobody.
    async fn read_only(&self, request: pb::TxnRequest) -> Result<pb::TxnResponse, Status> {
        let view = self.member().view()?;
        let ranges = || {
            request.success.iter().chain(&request.failure).filter_map(|op| match &op.request {
                Some(Op::RequestRange(range)) => Some(range),
                _ => None,
            })
        };
        self.member().count_ranges(ranges().count());
        let short = ranges().all(super::range::is_short)
            && request.compare.iter().all(|compare| compare.range_end.is_empty());
        let answered = if short {
            apply::read_only_txn(&view, &request)
        } else {
            super::on_scan_thread(move || apply::read_only_txn(&view, &request)).await?
        };
        Ok(answered.map_err(|error| self.member().store_failed(error))??)
    }
}

#[tonic::async_trait]
impl Kv for Services {
    /// Not reached: the route of `range.rs` takes the path.
    async fn range(&self, _: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        Err(Status::internal("holdfast: Range is served by a route of its own, which is missing"))
    }

    type RangeStreamStream = super::range_stream::Messages;

    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        super::range_stream::answer(self, request.into_inner()).await.map(Response::new)
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        let envelope = pb::InternalRaftRequest { put: Some(request.into_inner()), ..Default::default() };
        self.member().require_space(&envelope).await?;
        checks::put(envelope.put.as_ref().expect("set two lines above"))?;
        match self.member().propose(envelope).await? {
            Reply::Put(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let request = request.into_inner();
        checks::delete_range(&request)?;
        let envelope = pb::InternalRaftRequest { delete_range: Some(request), ..Default::default() };
        match self.member().propose(envelope).await? {
            Reply::DeleteRange(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let envelope = pb::InternalRaftRequest { txn: Some(request.into_inner()), ..Default::default() };
        self.member().require_space(&envelope).await?;
        let request = envelope.txn.as_ref().expect("set two lines above");
        checks::txn(request, self.0.max_txn_ops)?;
        let mut response = if apply::is_read_only(request) {
            if !apply::is_serializable(request) {
                self.member().read_barrier().await?;
            }
            self.read_only(envelope.txn.unwrap_or_default()).await?
        } else {
            match self.member().propose(envelope).await? {
                Reply::Txn(response) => response,
                _ => return Err(unexpected_reply()),
            }
        };
        complete_header(self.member(), &mut response.header);
        Ok(Response::new(response))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let request = request.into_inner();
        let envelope = pb::InternalRaftRequest { compaction: Some(request), ..Default::default() };
        let outcome = self.member().propose(envelope).await;
        // Also when the revision was compacted before: that compaction may still be under way.
        if request.physical && matches!(outcome, Ok(_) | Err(EtcdError::Compacted)) {
            let revision = self.member().view()?.compact_revision();
            tokio::select! {
                done = self.member().wait_compacted(revision) => done?,
                () = self.stopped() => return Err(EtcdError::Stopped.into()),
            }
        }
        match outcome? {
            Reply::Compaction(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }
}
