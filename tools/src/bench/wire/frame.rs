//! gRPC's framing of messages: one byte that says whether it is compressed, four bytes of length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Bytes before a message.
const PREFIX_BYTES: usize = 5;
/// Requests are cut from blocks of this size, so that most need no allocation.
const BLOCK_BYTES: usize = 64 * 1024;
/// Largest answer that is accepted: the largest that a 32-bit signed length can tell, as in Go's client.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// Why the bytes of an answer are not messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// No compression was offered, so none may be used.
    #[error("a message is compressed, which was not offered")]
    Compressed,
    /// The length exceeds what is accepted.
    #[error("a message of {0} bytes is longer than the {MAX_MESSAGE_BYTES} that are accepted")]
    TooLong(usize),
    /// The message is not of the type expected.
    #[error("a message cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
}

/// Lays requests out as frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    block: BytesMut,
}

impl Frames {
    /// `message` with its prefix.
    pub(crate) fn encode(&mut self, message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        if self.block.capacity() < PREFIX_BYTES + length {
            self.block = BytesMut::with_capacity(BLOCK_BYTES.max(PREFIX_BYTES + length));
        }
        self.block.put_u8(0);
        self.block.put_u32(u32::try_from(length).expect("a request is far below four gigabytes"));
        message.encode(&mut self.block).expect("the block has room for the message");
        self.block.split().freeze()
    }
}

/// Takes the messages out of the bytes of an answer, in whatever pieces they come.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// What has come and is not taken yet, when it is one piece: the usual case, in which nothing is copied.
    whole: Bytes,
    /// What has come, when it had to be put together.
    joined: BytesMut,
}

impl Messages {
    /// Adds the next piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.joined.is_empty() && self.whole.is_empty() {
            self.whole = piece;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.whole));
        self.joined.extend_from_slice(&piece);
    }

    /// The next message, if all of it is there.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<Bytes>, FrameError> {
        let pending: &[u8] = if self.joined.is_empty() { &self.whole } else { &self.joined };
        let Some((prefix, rest)) = pending.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 {
            return Err(FrameError::Compressed);
        }
        if length > MAX_MESSAGE_BYTES {
            return Err(FrameError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        Ok(Some(if self.joined.is_empty() {
            self.whole.advance(PREFIX_BYTES);
            self.whole.split_to(length)
        } else {
            self.joined.advance(PREFIX_BYTES);
            self.joined.split_to(length).freeze()
        }))
    }

    /// The next message, decoded.
    pub(crate) fn decode<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        self.next_bytes()?.map(|bytes| Ok(M::decode(bytes)?)).transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use holdfast_proto::etcdserverpb::PutRequest;

    fn put(value: usize) -> PutRequest {
        PutRequest { key: Bytes::from_static(b"k"), value: vec![7; value].into(), ..PutRequest::default() }
    }

    #[test]
    fn messages_survive_any_cut() {
        let mut frames = Frames::default();
        let sent: Vec<PutRequest> = [0, 1, 300, BLOCK_BYTES + 1, 5].into_iter().map(put).collect();
        let stream: Vec<u8> = sent.iter().flat_map(|message| frames.encode(message)).collect();
        for piece in [1, 2, 3, 5, 7, 64, 1000, stream.len()] {
            let mut messages = Messages::default();
            let mut received = Vec::new();
            for bytes in stream.chunks(piece) {
                messages.push(Bytes::copy_from_slice(bytes));
                while let Some(message) = messages.decode::<PutRequest>().unwrap() {
                    received.push(message);
                }
            }
            assert_eq!(received, sent, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        let of = |bytes: &'static [u8]| {
            let mut messages = Messages::default();
            messages.push(Bytes::from_static(bytes));
            messages.decode::<PutRequest>()
        };
        assert_eq!(of(&[1, 0, 0, 0, 0]), Err(FrameError::Compressed));
        assert_eq!(of(&[0, 0xff, 0xff, 0xff, 0xff]), Err(FrameError::TooLong(u32::MAX as usize)));
        assert!(matches!(of(&[0, 0, 0, 0, 1, 0xff]), Err(FrameError::Decode(_))));
        assert_eq!(of(&[0, 0, 0, 0]), Ok(None));
    }
}
