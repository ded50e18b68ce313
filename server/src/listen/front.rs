//! The service of a listener: gRPC to the one side, plain HTTP to the other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as HttpBody;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

use super::count::{self, GrpcResponseBody, GrpcService};
use crate::http::ClientHttp;
use crate::metrics::Metrics;

/// What answers plain HTTP on a listener.
#[derive(Debug, Clone)]
pub enum HttpService {
    /// A client listener.
    Client(ClientHttp),
    /// Any other: routes alone.
    Plain(Router),
    /// Nothing: HTTP has listeners of its own.
    None,
}

/// The service of one listener.
#[derive(Debug, Clone)]
pub struct Front<G> {
    grpc: Option<G>,
    http: HttpService,
    metrics: Arc<Metrics>,
}

impl<G: GrpcService> Front<G> {
    /// Serves gRPC with `grpc`, where there is one, and everything else with `http`.
    pub fn new(grpc: Option<G>, http: HttpService, metrics: Arc<Metrics>) -> Self {
        Self { grpc, http, metrics }
    }
}

impl<G: GrpcService> Service<Request<Incoming>> for Front<G> {
    type Response = Response<FrontBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<FrontBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if is_grpc(&request)
            && let Some(grpc) = &self.grpc
        {
            let (grpc, metrics) = (grpc.clone(), Arc::clone(&self.metrics));
            return Box::pin(
                async move { Ok(count::call(grpc, metrics, request).await.map(FrontBody::Grpc)) },
            );
        }
        let http = self.http.clone();
        Box::pin(async move { Ok(http.answer(request.map(HttpBody::new)).await.map(FrontBody::Http)) })
    }
}

impl HttpService {
    async fn answer(self, request: Request<HttpBody>) -> Response<HttpBody> {
        match self {
            Self::Client(client) => client.serve(request).await,
            Self::Plain(router) => {
                let Ok(response) = router.oneshot(request).await;
                response
            }
            Self::None => {
                let Ok(response) = Router::new().oneshot(request).await; // 404
                response
            }
        }
    }
}

/// gRPC is HTTP/2 with a content type that begins with `application/grpc`.
fn is_grpc(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_2
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// A response's body, of either side.
#[derive(Debug)]
pub enum FrontBody {
    /// gRPC.
    Grpc(GrpcResponseBody),
    /// Plain HTTP.
    Http(HttpBody),
}

impl Body for FrontBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Grpc(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Http(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Grpc(body) => body.is_end_stream(),
            Self::Http(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Grpc(body) => body.size_hint(),
            Self::Http(body) => body.size_hint(),
        }
    }
}
