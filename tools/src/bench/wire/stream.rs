//! A call that stays open in both directions, as `Watch` does.

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use prost::Message;

use super::{
    CallError, Caller, Messages, Route,
    connection::{accept, release},
};

/// An open call.
#[derive(Debug)]
pub(crate) struct Stream {
    sender: SendStream<Bytes>,
    body: RecvStream,
    messages: Messages,
}

impl Stream {
    /// Opens the call with its first message, and waits until the server has accepted it.
    pub(crate) async fn open(caller: &mut Caller, route: &Route, first: Bytes) -> Result<Self, CallError> {
        let (response, sender) = caller.open(route, first, false).await?;
        let response = response.await.map_err(|error| CallError::from_h2(&error))?;
        Ok(Self { sender, body: accept(response)?, messages: Messages::default() })
    }

    /// Sends one more message.
    pub(crate) fn send(&mut self, frame: Bytes) -> Result<(), CallError> {
        self.sender.send_data(frame, false).map_err(|error| CallError::from_h2(&error))
    }

    /// The next message of the server; `None` when it has ended the call with success.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, CallError> {
        loop {
            let message = self.messages.decode().map_err(|error| CallError::Malformed(error.to_string()))?;
            if message.is_some() {
                return Ok(message);
            }
            let Some(piece) = self.body.data().await else { break };
            let piece = piece.map_err(|error| CallError::from_h2(&error))?;
            release(&mut self.body, piece.len());
            self.messages.push(piece);
        }
        let trailers = self.body.trailers().await.map_err(|error| CallError::from_h2(&error))?;
        CallError::check(&trailers.unwrap_or_default())?;
        Ok(None)
    }
}
