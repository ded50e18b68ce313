//! The gRPC method `Watch`.
//!
//! A service of its own beside the generated ones: the hub hands out events that are encoded already, and tonic's codec would
//! copy each message into one buffer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::etcdserverpb::WatchRequest;
use holdfast_proto::metadata;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codec::{BufferSettings, CompressionEncoding};
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;
use tower::Service;

use super::body::WatchBody;
use super::handle::WatchHandle;
use super::{Host, requests};

/// The method's path.
pub const PATH: &str = "/etcdserverpb.Watch/Watch";

/// First size of the buffer that requests are read into: they are small, and there is one for each stream.
const REQUEST_BUFFER_BYTES: usize = 256;

/// Answers calls to [`PATH`].
#[derive(Clone)]
pub struct WatchService {
    handle: WatchHandle,
    host: Arc<dyn Host>,
    max_receive_bytes: usize,
    election_timeout: Duration,
}

impl WatchService {
    /// The service on a member's watches. Requests may have `max_receive_bytes`; a stream that insists on a leader looks for
    /// one once in each `election_timeout`.
    pub fn new(
        handle: WatchHandle,
        host: Arc<dyn Host>,
        max_receive_bytes: usize,
        election_timeout: Duration,
    ) -> Self {
        Self { handle, host, max_receive_bytes, election_timeout }
    }

    fn answer<B>(&self, request: Request<B>) -> Result<WatchBody, Status>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let encoding = encoding(&parts.headers)?;
        let decoder = ProstDecoder::<WatchRequest>::new(BufferSettings::new(REQUEST_BUFFER_BYTES, CHUNK));
        let stream = Streaming::new_request(decoder, body, encoding, Some(self.max_receive_bytes));
        let caller = MetadataMap::from_headers(parts.headers);
        let (asks, responses) = self.handle.open();
        let asks = Arc::new(asks);
        let mut tasks = Vec::with_capacity(2);
        if metadata::requires_leader(&caller) {
            let watch =
                requests::insist_on_leader(Arc::clone(&self.host), self.election_timeout, Arc::clone(&asks));
            tasks.push(tokio::spawn(watch).abort_handle());
        }
        tasks.push(tokio::spawn(requests::read(stream, caller, asks)).abort_handle());
        Ok(WatchBody::new(responses, Arc::clone(&self.host), tasks))
    }
}

/// Bytes from which tonic's encoder would send; its decoder has no use for it.
const CHUNK: usize = 32 << 10;

/// How requests are compressed.
fn encoding(headers: &HeaderMap) -> Result<Option<CompressionEncoding>, Status> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(CompressionEncoding::Gzip)),
        Some(other) => Err(Status::unimplemented(format!(
            "grpc: Decompressor is not installed for grpc-encoding {:?}",
            String::from_utf8_lossy(other)
        ))),
    }
}

impl<B> Service<Request<B>> for WatchService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = match self.answer(request) {
            Ok(body) => {
                let mut response = Response::new(tonic::body::Body::new(body));
                let grpc = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert(CONTENT_TYPE, grpc);
                response
            }
            Err(status) => status.into_http(),
        };
        ready(Ok(response))
    }
}
