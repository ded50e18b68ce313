//! `mvccpb.KeyValue` in its wire form, read in place and written by hand.
//!
//! RECORDS stores each change as the bytes that go over the wire: proto3, fields by ascending number, zero and empty
//! ones left out, which is how etcd writes them and what `HashKV` is computed over. The codec borrows key and value
//! from the page, so that a read costs no copy before the answer is built. It needs no generated code: the engine
//! knows nothing of gRPC.

use super::varint::{put_varint, take_varint, varint_len};

/// Longest record that is decoded: far above the largest request that any server accepts (`--max-request-bytes`),
/// far below what could exhaust the memory of a small machine.
pub const MAX_RECORD_BYTES: usize = 512 << 20;

// Tags: field number << 3 | wire type (0 = varint, 2 = length-delimited).
const KEY: u8 = 0x0a;
const CREATE_REVISION: u8 = 0x10;
const MOD_REVISION: u8 = 0x18;
const VERSION: u8 = 0x20;
const VALUE: u8 = 0x2a;
const LEASE: u8 = 0x30;

/// One version of a key; key and value are borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyValue<'a> {
    /// The user's key.
    pub key: &'a [u8],
    /// Main revision of the creation of the key; 0 in a tombstone.
    pub create_revision: i64,
    /// Main revision of this change; 0 in a stored tombstone, the revision of the deletion in a delete event.
    pub mod_revision: i64,
    /// Changes since the creation, which counts as 1; 0 in a tombstone.
    pub version: i64,
    /// The user's value.
    pub value: &'a [u8],
    /// Lease that the key is attached to, 0 for none. Negative ones are legal.
    pub lease: i64,
}

impl<'a> KeyValue<'a> {
    /// Bytes of the wire form.
    pub fn encoded_len(&self) -> usize {
        bytes_len(self.key.len())
            + number_len(self.create_revision)
            + number_len(self.mod_revision)
            + number_len(self.version)
            + bytes_len(self.value.len())
            + number_len(self.lease)
    }

    /// Appends the wire form.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_bytes(out, KEY, self.key);
        put_number(out, CREATE_REVISION, self.create_revision);
        put_number(out, MOD_REVISION, self.mod_revision);
        put_number(out, VERSION, self.version);
        put_bytes(out, VALUE, self.value);
        put_number(out, LEASE, self.lease);
    }

    /// The wire form in a vector of exactly its size.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Reads a wire form. As proto3 asks: any order, the last of a repeated field counts, unknown fields are skipped.
    /// `None` when the bytes are no such message, or more than [`MAX_RECORD_BYTES`].
    pub fn decode(wire: &'a [u8]) -> Option<Self> {
        if wire.len() > MAX_RECORD_BYTES {
            return None;
        }
        let mut input = wire;
        let mut kv = Self::default();
        while !input.is_empty() {
            let tag = take_varint(&mut input)?;
            match u8::try_from(tag) {
                Ok(KEY) => kv.key = take_bytes(&mut input)?,
                Ok(CREATE_REVISION) => kv.create_revision = take_varint(&mut input)? as i64,
                Ok(MOD_REVISION) => kv.mod_revision = take_varint(&mut input)? as i64,
                Ok(VERSION) => kv.version = take_varint(&mut input)? as i64,
                Ok(VALUE) => kv.value = take_bytes(&mut input)?,
                Ok(LEASE) => kv.lease = take_varint(&mut input)? as i64,
                _ => skip_field(&mut input, tag)?,
            }
        }
        Some(kv)
    }

    /// The same version without its value: what `keys_only` answers.
    #[must_use]
    pub fn without_value(self) -> Self {
        Self { value: &[], ..self }
    }
}

/// Where the key stands inside a wire form written by [`KeyValue::encode_into`]: a `Bytes` of the record can be
/// sliced to its key without a copy.
pub(crate) fn key_span(key_len: usize) -> std::ops::Range<usize> {
    let start = if key_len == 0 { 0 } else { 1 + varint_len(key_len as u64) };
    start..start + key_len
}

fn bytes_len(len: usize) -> usize {
    if len == 0 { 0 } else { 1 + varint_len(len as u64) + len }
}

fn number_len(number: i64) -> usize {
    if number == 0 { 0 } else { 1 + varint_len(number as u64) }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(tag);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn put_number(out: &mut Vec<u8>, tag: u8, number: i64) {
    if number != 0 {
        out.push(tag);
        put_varint(out, number as u64);
    }
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(bytes)
}

/// Skips a field that is not ours. Field number 0 and the long-dead groups are errors.
fn skip_field(input: &mut &[u8], tag: u64) -> Option<()> {
    if tag >> 3 == 0 || tag > u64::from(u32::MAX) {
        return None;
    }
    let fixed = match tag & 7 {
        0 => return take_varint(input).map(drop),
        1 => 8,
        2 => return take_bytes(input).map(drop),
        5 => 4,
        _ => return None,
    };
    *input = input.get(fixed..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wire_form_is_that_of_etcd() {
        // Sample record of an etcd data file.
        let kv =
            KeyValue { key: b"/tmp", create_revision: 6, mod_revision: 6, version: 1, value: b"t", lease: 0 };
        let expected = [0x0a, 4, b'/', b't', b'm', b'p', 0x10, 6, 0x18, 6, 0x20, 1, 0x2a, 1, b't'];
        assert_eq!(kv.encode(), expected);
        assert_eq!(KeyValue::decode(&expected), Some(kv));
        assert_eq!(&expected[key_span(4)], b"/tmp");
    }

    #[test]
    fn a_tombstone_is_its_key_alone() {
        let tombstone = KeyValue { key: b"a", ..KeyValue::default() };
        assert_eq!(tombstone.encode(), [0x0a, 1, b'a']);
    }

    #[test]
    fn unknown_fields_are_skipped_and_broken_ones_refused() {
        let known = [0x0a, 1, b'k', 0x18, 9];
        // Fields 7 (varint), 8 (64 bits), 9 (bytes), 10 (32 bits).
        let unknown = [0x38, 1, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 0x4a, 2, 0, 0, 0x55, 1, 2, 3, 4];
        let both = [&known[..2], b"k", &unknown, &known[3..]].concat();
        let kv = KeyValue::decode(&both).unwrap();
        assert_eq!((kv.key, kv.mod_revision), (&b"k"[..], 9));
        for bad in
            [&[0x0a][..], &[0x0a, 5, 1], &[0x00, 1], &[0x3b], &[0x41, 1], &[0x10], &[0x0a, 0xff, 0xff, 0xff]]
        {
            assert_eq!(KeyValue::decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_version_comes_back(
            key: Vec<u8>, value: Vec<u8>, create_revision: i64, mod_revision: i64, version: i64, lease: i64
        ) {
            let kv = KeyValue { key: &key, create_revision, mod_revision, version, value: &value, lease };
            let wire = kv.encode();
            prop_assert_eq!(wire.len(), kv.encoded_len());
            prop_assert_eq!(&wire[key_span(key.len())], &key[..]);
            prop_assert_eq!(KeyValue::decode(&wire), Some(kv));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = KeyValue::decode(&bytes);
        }
    }
}
