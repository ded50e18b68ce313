//! The response stream of a watch call: gRPC messages made of bytes that are ready.
//!
//! Small pieces are gathered into chunks, large events go out as the bytes that all watchers share. So whatever the length of
//! a response, the body holds one chunk.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use holdfast_core::watch::Response;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::task::AbortHandle;
use tonic::Status;

use super::Host;
use super::handle::Responses;

/// Length of a chunk from which it is sent. As much as two frames of HTTP/2 by default.
const CHUNK_BYTES: usize = 32 << 10;

/// Events of this length are not copied into a chunk.
const SHARED_BYTES: usize = 16 << 10;

/// The prefix of a gRPC message: a flag that says that it is not compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The body of the response.
pub(super) struct WatchBody {
    responses: Responses,
    host: Arc<dyn Host>,
    /// What is gathered.
    chunk: BytesMut,
    /// A large event, to be sent behind the chunk.
    shared: Option<Bytes>,
    /// A response that is being sent, and how many of its events have been.
    current: Option<(Response, usize)>,
    end: Option<Status>,
    ended: bool,
    /// The tasks of the call, which end with it.
    tasks: Vec<AbortHandle>,
}

impl WatchBody {
    pub(super) fn new(responses: Responses, host: Arc<dyn Host>, tasks: Vec<AbortHandle>) -> Self {
        let chunk = BytesMut::new();
        Self { responses, host, chunk, shared: None, current: None, end: None, ended: false, tasks }
    }

    /// Moves events of the current response into the chunk until it is full, a large event comes, or none are left.
    fn gather(&mut self) {
        let Some((response, sent)) = &mut self.current else { return };
        while self.chunk.len() < CHUNK_BYTES {
            let Some(event) = response.frames().get(*sent) else {
                self.current = None;
                return;
            };
            *sent += 1;
            if event.len() >= SHARED_BYTES {
                self.shared = Some(event.clone());
                return;
            }
            self.chunk.extend_from_slice(event);
        }
    }

    fn begin(&mut self, response: Response) {
        let head = response.head(self.host.identity());
        let len = head.len() + response.frames().iter().map(Bytes::len).sum::<usize>();
        let Ok(prefix) = u32::try_from(len) else {
            // More than four gigabytes in one revision: gRPC has no way to say it.
            let text = format!("grpc: trying to send message larger than max ({len} vs. {})", u32::MAX);
            self.end = Some(Status::resource_exhausted(text));
            return;
        };
        self.chunk.reserve((PREFIX_BYTES + len).min(CHUNK_BYTES));
        self.chunk.put_u8(0);
        self.chunk.put_u32(prefix);
        self.chunk.extend_from_slice(&head);
        self.current = Some((response, 0));
    }

    fn is_full(&self) -> bool {
        self.chunk.len() >= CHUNK_BYTES || self.shared.is_some() || self.end.is_some()
    }

    /// What goes out next, of what is here.
    fn take(&mut self) -> Option<Frame<Bytes>> {
        if !self.chunk.is_empty() {
            return Some(Frame::data(self.chunk.split().freeze()));
        }
        if let Some(event) = self.shared.take() {
            return Some(Frame::data(event));
        }
        let status = self.end.take()?;
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if let Err(status) = status.add_header(&mut trailers) {
            tracing::warn!(%status, "a status does not fit into trailers");
        }
        Some(Frame::trailers(trailers))
    }
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        while !this.is_full() {
            if this.current.is_some() {
                this.gather();
                continue;
            }
            match this.responses.poll_next(context) {
                Poll::Ready(Ok(response)) => this.begin(response),
                Poll::Ready(Err(status)) => this.end = Some(status),
                Poll::Pending => break,
            }
        }
        match this.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
