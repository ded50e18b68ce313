//! The row decoders, given anything. See [`crate::fuzz`].

use super::history::{self, HistoryRow};
use super::keyvalue::KeyValue;
use super::leases;
use super::live::{self, LiveRow};
use super::revision::{RecordKey, Revision};
use super::varint::{put_ordered, put_varint, take_ordered, take_varint};

/// What a decoder accepts is accepted again, and the same, once it has been written.
pub(crate) fn rows_come_back(bytes: &[u8]) {
    if let Some(kv) = KeyValue::decode(bytes) {
        let wire = kv.encode();
        assert_eq!(wire.len(), kv.encoded_len());
        assert_eq!(KeyValue::decode(&wire), Some(kv));
    }
    if let Some(key) = RecordKey::decode(bytes) {
        assert_eq!(&*key.encode(), bytes, "a record has one key");
    }
    if let Some(revision) = Revision::from_bytes(bytes) {
        assert_eq!(revision.to_bytes(), bytes);
    }
    let mut out = Vec::new();
    let _ = (live::stamp(b"", bytes), history::stamp(b"", bytes));
    if let Some(row) = LiveRow::decode(bytes) {
        assert_eq!(live::decode(bytes), Some(row.info));
        row.encode(&mut out);
        assert_eq!(LiveRow::decode(&out), Some(row));
    }
    if let Some((key, modified)) = history::decode_key(bytes) {
        history::encode_key(&key, modified, &mut out);
        assert_eq!(out, bytes, "a row has one key");
    }
    let _ = history::skip_key(bytes, &mut out);
    let modified = Revision::new(bytes.len() as i64, 0);
    if let Some(row) = HistoryRow::decode(modified, bytes) {
        row.encode(&mut out);
        assert_eq!(HistoryRow::decode(modified, &out), Some(row));
    }
    if let Some((lease, key)) = leases::decode_key(bytes) {
        leases::encode_key(lease, key, &mut out);
        assert_eq!(out, bytes);
    }
    numbers_come_back(bytes);
}

fn numbers_come_back(bytes: &[u8]) {
    let mut out = Vec::new();
    let mut rest = bytes;
    if let Some(number) = take_ordered(&mut rest) {
        put_ordered(&mut out, number);
        assert_eq!(out, &bytes[..bytes.len() - rest.len()], "an ordered number has one spelling");
    }
    let mut rest = bytes;
    if let Some(number) = take_varint(&mut rest) {
        out.clear();
        put_varint(&mut out, number);
        assert_eq!(take_varint(&mut &out[..]), Some(number));
    }
}
