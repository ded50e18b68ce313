//! KV: everything but Range, which has a service of its own.

use std::pin::Pin;

use holdfast_core::apply::{self, Reply};
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::etcdserverpb::kv_server::Kv;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Services, checks, complete_header, unexpected_reply};

#[tonic::async_trait]
impl Kv for Services {
    /// Never reached over the network: the route of `range.rs` takes the path. Kept equal to it for callers in the
    /// process.
    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        let (result, header) = super::range::answer(self, request.get_ref()).await?;
        let mut response = apply::range_response(&result, header.revision)
            .map_err(|error| self.member().store_failed(error))?;
        response.header = Some(header);
        Ok(Response::new(response))
    }

    type RangeStreamStream = Pin<Box<dyn Stream<Item = Result<pb::RangeStreamResponse, Status>> + Send>>;

    async fn range_stream(
        &self,
        _: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(super::later::not_yet("RangeStream"))
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
            let view = self.member().view()?;
            apply::read_only_txn(&view, request).map_err(|error| self.member().store_failed(error))??
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
        if request.physical {
            // Also when the revision was compacted before: that compaction may still be under way.
            self.member().wait_compacted(self.member().view()?.compact_revision()).await?;
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
