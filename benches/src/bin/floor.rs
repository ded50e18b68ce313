//! The floor of the transport: a gRPC server of etcd's `KV` service that decodes every request and answers it
//! with nothing.
//!
//! What it spends on a request no server on the same stack can go below, so that the rest of a server's time is
//! what its own code costs. It is built with the release profile, the allocator and the runtime of the real
//! server. `floor ADDRESS` serves until it is killed.

use std::{env, process::ExitCode};

use holdfast_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
    kv_server::{Kv, KvServer},
};
use tonic::{
    Request, Response, Status,
    codegen::BoxStream,
    transport::{Server, server::TcpIncoming},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Nothing;

#[tonic::async_trait]
impl Kv for Nothing {
    type RangeStreamStream = BoxStream<RangeStreamResponse>;

    async fn range(&self, _: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        Ok(Response::new(RangeResponse::default()))
    }

    async fn range_stream(
        &self,
        _: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("the floor has unary calls only"))
    }

    async fn put(&self, _: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Ok(Response::new(PutResponse::default()))
    }

    async fn delete_range(
        &self,
        _: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        Ok(Response::new(DeleteRangeResponse::default()))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Ok(Response::new(TxnResponse::default()))
    }

    async fn compact(&self, _: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        Ok(Response::new(CompactionResponse::default()))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(address) = env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("usage: floor ADDRESS:PORT");
        return ExitCode::FAILURE;
    };
    let incoming = match TcpIncoming::bind(address) {
        // On the listener, since `serve_with_incoming` ignores the server's own setting.
        Ok(incoming) => incoming.with_nodelay(Some(true)),
        Err(error) => {
            eprintln!("cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match Server::builder().add_service(KvServer::new(Nothing)).serve_with_incoming(incoming).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}
