//! Connections, and calls with one answer.

use std::{
    cell::{Cell, RefCell},
    net::ToSocketAddrs,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{self, SendRequest},
};
use http::{HeaderValue, Request, Uri, header};
use tokio::net::TcpStream;

use super::{CallError, Messages};

/// Bytes that the server may send ahead on one stream: a range of many keys must not wait for our permission.
const STREAM_WINDOW: u32 = 16 << 20;
/// The same for all streams of a connection, well above one stream's, so that none blocks the others.
const CONNECTION_WINDOW: u32 = 256 << 20;
/// Pause before a broken connection is dialled again, so that a server that is away is not flooded.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);

/// Why a connection could not be made.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    /// The endpoint is not an address that can be dialled.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("{endpoint}: {reason}")]
    Refused {
        /// The endpoint as given.
        endpoint: String,
        /// What the system or the HTTP/2 handshake said.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("context deadline exceeded")]
    TimedOut,
}

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dial {
    /// Longest time for one; zero is no limit.
    pub(crate) timeout: Duration,
    /// Token that authenticates every call.
    pub(crate) token: Option<HeaderValue>,
}

/// One connection, made anew when it breaks.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: String,
    dial: Dial,
    sender: RefCell<SendRequest<Bytes>>,
    /// How often it has been made; callers compare it to see that another has already dialled again.
    generation: Cell<u64>,
    redialling: tokio::sync::Mutex<()>,
}

/// The ready header block of one method on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Route(Request<()>);

impl Connection {
    /// Dials `endpoint`: `host:port`, with or without `http://`.
    pub(crate) async fn open(endpoint: &str, dial: &Dial) -> Result<Rc<Self>, DialError> {
        let sender = connect(endpoint, dial).await?;
        Ok(Rc::new(Self {
            endpoint: endpoint.to_owned(),
            dial: dial.clone(),
            sender: RefCell::new(sender),
            generation: Cell::new(0),
            redialling: tokio::sync::Mutex::new(()),
        }))
    }

    /// The endpoint as given.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The header block for `path`, such as `/etcdserverpb.KV/Put`.
    pub(crate) fn route(&self, path: &'static str) -> Route {
        let authority = address(&self.endpoint).expect("the endpoint was dialled");
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path).build();
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = uri.expect("the endpoint was dialled and the path is one of ours");
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(token) = &self.dial.token {
            headers.insert("token", token.clone());
        }
        Route(request)
    }

    /// A handle for one client.
    pub(crate) fn caller(self: &Rc<Self>) -> Caller {
        Caller {
            connection: Rc::clone(self),
            sender: self.sender.borrow().clone(),
            generation: self.generation.get(),
        }
    }

    /// Makes the connection anew unless somebody else has since `seen`.
    async fn renew(&self, seen: u64) {
        let _turn = self.redialling.lock().await;
        if self.generation.get() != seen {
            return;
        }
        match connect(&self.endpoint, &self.dial).await {
            Ok(sender) => {
                *self.sender.borrow_mut() = sender;
                self.generation.set(seen + 1);
            }
            Err(_) => tokio::time::sleep(REDIAL_PAUSE).await,
        }
    }
}

/// `host:port` of an endpoint.
fn address(endpoint: &str) -> Result<&str, DialError> {
    let refuse =
        |reason: &str| DialError::Endpoint { endpoint: endpoint.to_owned(), reason: reason.to_owned() };
    let address = match endpoint.split_once("://") {
        None => endpoint,
        Some(("http", address)) => address,
        Some(("https", _)) => return Err(refuse("TLS is not available in this build")),
        Some((scheme, _)) => return Err(refuse(&format!("scheme {scheme:?} is not supported"))),
    };
    let address = address.trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() || address.contains('/') {
        return Err(refuse("expected host:port"));
    }
    Ok(address)
}

async fn connect(endpoint: &str, dial: &Dial) -> Result<SendRequest<Bytes>, DialError> {
    if dial.timeout.is_zero() {
        return handshake(endpoint).await;
    }
    tokio::time::timeout(dial.timeout, handshake(endpoint)).await.unwrap_or(Err(DialError::TimedOut))
}

async fn handshake(endpoint: &str) -> Result<SendRequest<Bytes>, DialError> {
    let refused = |reason: String| DialError::Refused { endpoint: endpoint.to_owned(), reason };
    let addresses = address(endpoint)?.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
    let addresses: Vec<_> = addresses.collect();
    let socket =
        TcpStream::connect(addresses.as_slice()).await.map_err(|error| refused(error.to_string()))?;
    socket.set_nodelay(true).map_err(|error| refused(error.to_string()))?;
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false);
    let (sender, driver) = builder.handshake(socket).await.map_err(|error| refused(error.to_string()))?;
    // A failure of the connection reaches every call on it, so that the driver's own result adds nothing.
    tokio::task::spawn_local(async move { drop(driver.await) });
    sender.ready().await.map_err(|error| refused(error.to_string()))
}

/// How much of an answer the caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Only that it came, and its length.
    Nothing,
    /// The messages in it.
    Messages,
}

/// A successful answer.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// Bytes of the body, prefixes included.
    pub(crate) bytes: u64,
    /// The messages, unless they were not wanted.
    pub(crate) messages: Messages,
}

impl Reply {
    /// The only message of the answer.
    pub(crate) fn message<M: prost::Message + Default>(&mut self) -> Result<M, CallError> {
        let message = self.messages.decode().map_err(|error| CallError::Malformed(error.to_string()))?;
        message.ok_or_else(|| CallError::Malformed("the answer holds no whole message".to_owned()))
    }
}

/// One client's handle on a connection: one call at a time.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    connection: Rc<Connection>,
    sender: SendRequest<Bytes>,
    generation: u64,
}

impl Caller {
    /// The connection below.
    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Sends `frame` and waits for the whole answer. When the connection has broken it is made anew before the
    /// error is returned, so that the next call has one.
    pub(crate) async fn call(&mut self, route: &Route, frame: Bytes, keep: Keep) -> Result<Reply, CallError> {
        let outcome = self.exchange(route, frame, keep).await;
        if let Err(CallError::Connection(_)) = &outcome {
            self.connection.renew(self.generation).await;
            self.sender = self.connection.sender.borrow().clone();
            self.generation = self.connection.generation.get();
        }
        outcome
    }

    async fn exchange(&mut self, route: &Route, frame: Bytes, keep: Keep) -> Result<Reply, CallError> {
        let (response, _) = self.open(route, frame, true).await?;
        let response = response.await.map_err(|error| CallError::from_h2(&error))?;
        let mut body = accept(response)?;
        let mut reply = Reply::default();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(|error| CallError::from_h2(&error))?;
            release(&mut body, piece.len());
            reply.bytes += piece.len() as u64;
            if keep == Keep::Messages {
                reply.messages.push(piece);
            }
        }
        let trailers = body.trailers().await.map_err(|error| CallError::from_h2(&error))?;
        CallError::check(&trailers.unwrap_or_default())?;
        Ok(reply)
    }

    /// Opens a stream with its first message; `last` closes our side of it.
    pub(super) async fn open(
        &mut self,
        route: &Route,
        frame: Bytes,
        last: bool,
    ) -> Result<(client::ResponseFuture, h2::SendStream<Bytes>), CallError> {
        std::future::poll_fn(|context| self.sender.poll_ready(context))
            .await
            .map_err(|error| CallError::Connection(format!("connection error: desc = \"{error}\"")))?;
        let (response, mut stream) =
            self.sender.send_request(route.0.clone(), false).map_err(|error| CallError::from_h2(&error))?;
        stream.send_data(frame, last).map_err(|error| CallError::from_h2(&error))?;
        Ok((response, stream))
    }
}

/// Gives the flow-control window back for bytes that have been taken.
pub(super) fn release(body: &mut RecvStream, bytes: usize) {
    // It fails only for more than was received.
    drop(body.flow_control().release_capacity(bytes));
}

/// The body of an answer that has one; the error of one that has only headers.
pub(super) fn accept(response: http::Response<RecvStream>) -> Result<RecvStream, CallError> {
    if response.status() != http::StatusCode::OK {
        return Err(CallError::Malformed(format!("unexpected HTTP status {}", response.status())));
    }
    if response.headers().contains_key("grpc-status") {
        CallError::check(response.headers())?;
        return Err(CallError::Malformed("the answer has a status of success, and no message".to_owned()));
    }
    Ok(response.into_body())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn endpoints_have_a_port_and_no_tls() {
        for endpoint in ["h:1", "http://h:1", "http://h:1/", "127.0.0.1:1", "[::1]:1"] {
            assert!(address(endpoint).unwrap().ends_with(":1"), "{endpoint}");
        }
        for endpoint in ["h", "http://h", "https://h:1", "unix://x:1", "h:x", "h:70000", "http://h:1/path"] {
            assert!(address(endpoint).is_err(), "{endpoint}");
        }
    }
}
