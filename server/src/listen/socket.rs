//! One accepted connection as a stream of bytes, with the deadline for its first ones.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

/// Length of the HTTP/2 preface. (An HTTP/1 request line may be shorter; such a connection ends when it then stays silent.)
const FIRST_BYTES: usize = 24;
/// Idle time after which the kernel asks whether the other side is still there, and time between such questions.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Stream {
    inner: Inner,
    /// Until the first bytes are there: the deadline for them, and how many there are.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Stream {
    /// `patience`: how long the first bytes may take.
    pub(super) fn tcp(stream: TcpStream, patience: Duration) -> Self {
        // Answers are small and must not wait for an acknowledgement (44 ms stalls otherwise). A socket that refuses
        // an option still works.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        let _ = rustix::net::sockopt::set_tcp_keepidle(&stream, KEEPALIVE);
        let _ = rustix::net::sockopt::set_tcp_keepintvl(&stream, KEEPALIVE);
        Self::new(Inner::Tcp(stream), patience)
    }

    /// As [`Stream::tcp`].
    pub(super) fn unix(stream: UnixStream, patience: Duration) -> Self {
        Self::new(Inner::Unix(stream), patience)
    }

    fn new(inner: Inner, patience: Duration) -> Self {
        Self { inner, waiting: Some((Box::pin(tokio::time::sleep(patience)), 0)) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = match &mut this.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        let Some((deadline, have)) = &mut this.waiting else { return polled };
        if polled.is_ready() {
            *have += buf.filled().len() - before;
            if *have >= FIRST_BYTES {
                this.waiting = None;
            }
            return polled;
        }
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Inner::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_send_at_once_and_are_watched() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = Stream::tcp(listener.accept().await.unwrap().0, Duration::from_secs(10));
        let Inner::Tcp(socket) = &stream.inner else { panic!("TCP") };
        assert!(socket.nodelay().unwrap());
        assert!(rustix::net::sockopt::socket_keepalive(socket).unwrap());
    }
}
