//! The accept loops, and the end of everything that they have started.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use super::bind::{Listener, Socket};
use super::connection::{self, Settings};
use super::socket::Stream;

/// Pause after the system has refused a connection for want of something (descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listeners and the connections that came through them.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// `max_connections` holds for all listeners together.
    pub fn new(max_connections: usize) -> Self {
        let connections = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Self { stop: watch::Sender::new(false), loops: JoinSet::new(), connections }
    }

    /// Serves a listener from now on. Must be called within a tokio runtime.
    pub fn add<S, B>(&mut self, listener: Listener, service: S, settings: Settings)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (stopping, permits) = (self.stop.subscribe(), Arc::clone(&self.connections));
        self.loops.spawn(accept_loop(listener, service, settings, stopping, permits));
    }

    /// Stops accepting, tells clients to go, and cuts off those that are still there after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let all_gone = async { while self.loops.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all_gone).await.is_err() {
            self.loops.abort_all(); // drops each loop's connections with it
            while self.loops.join_next().await.is_some() {}
        }
    }
}

async fn accept_loop<S, B>(
    listener: Listener,
    service: S,
    settings: Settings,
    mut stopping: watch::Receiver<bool>,
    permits: Arc<Semaphore>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    let stopped = stopping.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &permits, settings.first_bytes_timeout) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let served =
                    connection::serve(stream, peer, service.clone(), settings.clone(), stopped.clone());
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(address = listener.address(), error = %error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Waits for room, then for a connection.
async fn next(
    listener: &Listener,
    permits: &Arc<Semaphore>,
    patience: Duration,
) -> io::Result<(Stream, String, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = match &listener.socket {
        Socket::Tcp(socket) => {
            let (stream, peer) = socket.accept().await?;
            (Stream::tcp(stream, patience), peer.to_string())
        }
        Socket::Unix(socket, _) => (Stream::unix(socket.accept().await?.0, patience), "@".to_owned()),
    };
    Ok((stream, peer, permit))
}

/// Errors of the connection that was to be accepted, not of the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
