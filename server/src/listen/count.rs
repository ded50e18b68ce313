//! Every gRPC call is counted and timed here, at the edge, so that services need not.
//!
//! The request's and the response's bodies are wrapped: messages and bytes are counted as they pass, the code is taken from
//! headers or trailers. A call whose response body is dropped before its trailers was given up by the client, and counts as
//! canceled. The deadline that a client sends along ends the wait for an answer, since the client no longer listens.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast_proto::metadata::CLIENT_API_VERSION;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use super::framework;
use super::messages::MessageCounter;
use crate::metrics::{MethodMetrics, Metrics};

/// A service that answers gRPC: tonic's `Routes`, or one that looks at paths by itself.
pub trait GrpcService:
    Service<
        Request<GrpcRequestBody>,
        Response = Response<tonic::body::Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send,
    > + Clone
    + Send
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<
            Request<GrpcRequestBody>,
            Response = Response<tonic::body::Body>,
            Error = Infallible,
            Future: Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send,
        > + Clone
        + Send
        + 'static
{
}

/// The body of a request on its way to a service.
#[derive(Debug)]
pub struct GrpcRequestBody {
    inner: Incoming,
    counter: MessageCounter,
    call: Arc<Call>,
}

/// The body of a response on its way to the client.
#[derive(Debug)]
pub struct GrpcResponseBody {
    inner: tonic::body::Body,
    counter: MessageCounter,
    call: Arc<Call>,
    path: String,
    ended: bool,
}

/// What both bodies of a call count into.
#[derive(Debug)]
struct Call {
    metrics: Arc<Metrics>,
    method: Option<Arc<MethodMetrics>>,
    begun: Instant,
    /// The request broke off: the client has reset the stream or gone, whatever the service made of that.
    broken_off: AtomicBool,
}

impl Call {
    fn end(&self, code: Code) {
        let code = if self.broken_off.load(Ordering::Relaxed) { Code::Cancelled } else { code };
        if let Some(method) = &self.method {
            method.handled(code, self.begun.elapsed().as_secs_f64());
        }
    }
}

/// Runs a call through the service.
pub(super) async fn call<S: GrpcService>(
    service: S,
    metrics: Arc<Metrics>,
    request: Request<Incoming>,
) -> Response<GrpcResponseBody> {
    let path = request.uri().path().to_owned();
    let method = metrics.grpc.method(&path);
    if let Some(method) = &method {
        method.started();
        let version = request.headers().get(CLIENT_API_VERSION).and_then(|version| version.to_str().ok());
        metrics.server.count_client_request(method.client_request_type(), version);
    }
    let call = Arc::new(Call { metrics, method, begun: Instant::now(), broken_off: AtomicBool::new(false) });
    let deadline = deadline(request.headers());
    let counted = Arc::clone(&call);
    let request =
        request.map(|inner| GrpcRequestBody { inner, counter: MessageCounter::default(), call: counted });
    let mut unfinished = Unfinished(Some(Arc::clone(&call)));
    let answer = service.oneshot(request);
    let answered = match deadline {
        None => Some(answer.await),
        Some(deadline) => tokio::time::timeout(deadline, answer).await.ok(),
    };
    unfinished.0 = None;
    let response = match answered {
        Some(Ok(response)) => response,
        None => Status::deadline_exceeded("context deadline exceeded").into_http(),
    };
    let (mut head, inner) = response.into_parts();
    let ended = match framework::translate(&path, &mut head.headers) {
        Some(code) => {
            call.end(code);
            true
        }
        None => false,
    };
    let body = GrpcResponseBody { inner, counter: MessageCounter::default(), call, path, ended };
    Response::from_parts(head, body)
}

/// Counts a call that is dropped before it was answered: the client has gone.
struct Unfinished(Option<Arc<Call>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.end(Code::Cancelled);
        }
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

impl Body for GrpcRequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let counted = this.counter.take(data);
                    this.call.metrics.network.client_received_bytes.inc_by(counted.bytes);
                    if let Some(method) = &this.call.method {
                        method.received(counted.messages);
                    }
                }
            }
            Some(Err(_)) => this.call.broken_off.store(true, Ordering::Relaxed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Body for GrpcResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &mut frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let counted = this.counter.take(data);
                    this.call.metrics.network.client_sent_bytes.inc_by(counted.bytes);
                    if let Some(method) = &this.call.method {
                        method.sent(counted.messages);
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    let code = framework::translate(&this.path, trailers).unwrap_or(Code::Unknown);
                    this.end(code);
                }
            }
            Some(Err(status)) => this.end(status.code()),
            None => this.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl GrpcResponseBody {
    fn end(&mut self, code: Code) {
        if !self.ended {
            self.ended = true;
            self.call.end(code);
        }
    }
}

impl Drop for GrpcResponseBody {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines() {
        for (text, want) in [
            ("5S", Some(Duration::from_secs(5))),
            ("2H", Some(Duration::from_secs(7200))),
            ("100m", Some(Duration::from_millis(100))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("999999999n", None),
            ("5", None),
            ("S", None),
            ("-1S", None),
            ("5ü", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", http::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(deadline(&headers), want, "{text}");
        }
    }
}
