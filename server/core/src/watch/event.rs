//! Events in wire form, each encoded once for all who are sent it.

use bytes::Bytes;
use holdfast_engine::mvcc::{Change, MvccError};
use prost::{encode_length_delimiter, length_delimiter_len};

use super::Reader;

// Tags: field number << 3 | wire type (0 = varint, 2 = length-delimited).
/// `WatchResponse.events`, the field with the highest number: events follow the rest of a response.
const EVENTS: u8 = 11 << 3 | 2;
const TYPE: u8 = 1 << 3;
const KV: u8 = 2 << 3 | 2;
const PREV_KV: u8 = 3 << 3 | 2;
/// `Event.EventType.DELETE`; a put is the default, which proto3 does not write.
const DELETE: u8 = 1;

/// One change and the wire forms of its event that have been asked for: as a field of `WatchResponse`, tag and length
/// included, ready to be appended to a response.
pub(super) struct EventFrames<'a> {
    change: &'a Change,
    revision: i64,
    plain: Option<Bytes>,
    with_prev: Option<Bytes>,
}

impl<'a> EventFrames<'a> {
    pub(super) fn new(change: &'a Change, revision: i64) -> Self {
        Self { change, revision, plain: None, with_prev: None }
    }

    /// The frame for a watcher that wants the version before, or does not. A creation has none, and neither has a change
    /// whose predecessor has been compacted.
    pub(super) fn frame<R: Reader>(&mut self, wants_prev: bool, reader: &R) -> Result<Bytes, MvccError> {
        if !wants_prev || self.change.created {
            return Ok(self.plain());
        }
        if let Some(frame) = &self.with_prev {
            return Ok(frame.clone());
        }
        let prev = match reader.get(&self.change.key, self.revision - 1) {
            Ok(prev) => prev,
            Err(MvccError::Compacted { .. }) => None,
            Err(error) => return Err(error),
        };
        let frame = match prev {
            Some(prev) => encode(self.change, Some(&prev)),
            None => self.plain(),
        };
        self.with_prev = Some(frame.clone());
        Ok(frame)
    }

    fn plain(&mut self) -> Bytes {
        self.plain.get_or_insert_with(|| encode(self.change, None)).clone()
    }
}

fn encode(change: &Change, prev: Option<&Bytes>) -> Bytes {
    let field_len = |bytes: &Bytes| 1 + length_delimiter_len(bytes.len()) + bytes.len();
    let type_len = if change.deleted { 2 } else { 0 };
    let event_len = type_len + field_len(&change.kv) + prev.map_or(0, field_len);
    let mut out = Vec::with_capacity(1 + length_delimiter_len(event_len) + event_len);
    put_tag_and_length(&mut out, EVENTS, event_len);
    if change.deleted {
        out.extend_from_slice(&[TYPE, DELETE]);
    }
    put_tag_and_length(&mut out, KV, change.kv.len());
    out.extend_from_slice(&change.kv);
    if let Some(prev) = prev {
        put_tag_and_length(&mut out, PREV_KV, prev.len());
        out.extend_from_slice(prev);
    }
    debug_assert_eq!(out.len(), out.capacity());
    Bytes::from(out)
}

fn put_tag_and_length(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    encode_length_delimiter(len, out).expect("a vector has room for ten more bytes");
}
