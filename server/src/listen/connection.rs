//! HTTP/1.1 or HTTP/2 on one connection, told apart by its first bytes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::limits;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tower::Service;

use super::socket::Stream;
use crate::config::Config;

/// Bytes that a client may send on one stream before we have read them: one message of the default limit fits.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// The same over all streams of a connection. Well above one stream's, so that a stream whose reader is slow (a watch
/// that is busy) does not hold the others back.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of answers that may wait for a client on one stream; more waits in the service that makes them.
const SEND_BUFFER: usize = 1024 * 1024;
/// Bytes of all headers of a request. Tokens are the only long ones.
const HEADER_BYTES: usize = 64 * 1024;

/// A connection that has sent so little after this time is not going to be one.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// What connections are allowed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Streams at once.
    pub max_streams: u32,
    /// Idle time before a ping, and time to answer it; `None` sends none.
    pub keepalive: Option<(Duration, Duration)>,
    /// How long a new connection may take to send as much as an HTTP/2 preface.
    pub first_bytes_timeout: Duration,
    /// How long an HTTP/1 request may take to send its headers, or to follow the one before.
    pub header_timeout: Duration,
}

impl Settings {
    /// As the flags say.
    pub fn new(config: &Config) -> Self {
        Self {
            max_streams: config.max_concurrent_streams,
            keepalive: config.grpc_keepalive_interval.zip(config.grpc_keepalive_timeout),
            ..Self::plain()
        }
    }

    /// For listeners of peers and of metrics, whose clients are few.
    pub fn plain() -> Self {
        Self {
            max_streams: 250,
            keepalive: None,
            first_bytes_timeout: FIRST_BYTES_TIMEOUT,
            header_timeout: limits::HTTP_HEADER_READ,
        }
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new()).title_case_headers(true);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(HEADER_BYTES)
            .max_headers(128);
        let mut http2 = builder.http2();
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADER_BYTES as u32)
            .max_concurrent_streams(self.max_streams);
        if let Some((interval, timeout)) = self.keepalive {
            http2.keep_alive_interval(interval).keep_alive_timeout(timeout);
        }
        builder
    }
}

/// Serves a connection until it ends. When `stopping` turns true the client is told to go (GOAWAY, or `Connection: close`), and
/// the connection ends with its last answer.
pub(super) async fn serve<S, B>(
    stream: Stream,
    peer: String,
    service: S,
    settings: Settings,
    mut stopping: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let builder = settings.builder();
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let stopped = async {
        // An error means that the server is gone, which is the same thing.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = result {
        // Bytes that are no HTTP, a client that vanished, one that was too slow: nothing an operator can do about.
        tracing::debug!("remote-addr" = peer, error = %error, "connection closed");
    }
}
