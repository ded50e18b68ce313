//! Rows of LIVE: user key → the newest version of a living key.
//!
//! ```text
//! key    the user's key, as it is
//! value  varint  mod revision, main          (first, because it is the row's stamp)
//!        varint  mod revision, sub
//!        varint  mod − create revision
//!        varint  version
//!        varint  length of the record in wire form
//!        varint  lease, left out when there is none
//! ```
//!
//! So a range knows the numbers and the size of every version, and answers `keys_only`, filters, sorts and counts,
//! without touching a record.

use super::keyvalue::KeyValue;
use super::revision::Revision;
use super::varint::{put_varint, take_varint};

/// What a row says of one version of a key, be it the living one or a superseded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Main revision of the creation.
    pub create_revision: i64,
    /// When this version was written: the key of its record.
    pub modified: Revision,
    /// Its number, counted from 1 at the creation.
    pub version: i64,
    /// The lease it is attached to, or 0.
    pub lease: i64,
    /// Bytes of the record in wire form.
    pub record_len: u64,
}

impl VersionInfo {
    /// The version as `keys_only` answers it.
    pub fn keys_only<'a>(&self, key: &'a [u8]) -> KeyValue<'a> {
        KeyValue {
            key,
            create_revision: self.create_revision,
            mod_revision: self.modified.main,
            version: self.version,
            value: &[],
            lease: self.lease,
        }
    }

    /// Appends what LIVE and HISTORY have in common.
    pub(super) fn encode_tail(&self, out: &mut Vec<u8>) {
        debug_assert!(self.create_revision <= self.modified.main);
        put_varint(out, (self.modified.main - self.create_revision) as u64);
        put_varint(out, self.version as u64);
        put_varint(out, self.record_len);
        if self.lease != 0 {
            put_varint(out, self.lease as u64);
        }
    }

    /// Reads the rest of a row whose version was written at `modified`.
    pub(super) fn decode_tail(mut input: &[u8], modified: Revision) -> Option<Self> {
        let age = i64::try_from(take_varint(&mut input)?).ok()?;
        let version = i64::try_from(take_varint(&mut input)?).ok()?;
        let record_len = take_varint(&mut input)?;
        let lease = if input.is_empty() { 0 } else { take_varint(&mut input)? as i64 };
        let create_revision = modified.main.checked_sub(age)?;
        input.is_empty().then_some(Self { create_revision, modified, version, lease, record_len })
    }
}

/// Writes a row's value over `out`.
pub(crate) fn encode(info: &VersionInfo, out: &mut Vec<u8>) {
    out.clear();
    put_varint(out, info.modified.main as u64);
    put_varint(out, info.modified.sub as u64);
    info.encode_tail(out);
}

/// Reads a row's value; `None` when it is none.
pub(crate) fn decode(mut value: &[u8]) -> Option<VersionInfo> {
    let main = i64::try_from(take_varint(&mut value)?).ok()?;
    let sub = i64::try_from(take_varint(&mut value)?).ok()?;
    VersionInfo::decode_tail(value, Revision::new(main, sub))
}

/// Main revision of the last change of the key. An unreadable row is stamped as changed for ever, so that every scan
/// meets it and reports it.
pub(crate) fn stamp(_key: &[u8], mut value: &[u8]) -> u64 {
    take_varint(&mut value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_row_is_small() {
        let info = VersionInfo {
            create_revision: 1_000_000,
            modified: Revision::new(1_000_000, 0),
            version: 1,
            lease: 0,
            record_len: 300,
        };
        let mut row = Vec::new();
        encode(&info, &mut row);
        assert_eq!(row.len(), 8);
    }

    proptest! {
        #[test]
        fn rows_come_back(
            main in 1..i64::MAX, sub in 0..i64::MAX, create in 1..i64::MAX, version in 0..i64::MAX, lease: i64, record_len: u64
        ) {
            let create_revision = create.min(main);
            let info =
                VersionInfo { create_revision, modified: Revision::new(main, sub), version, lease, record_len };
            let mut row = vec![7; 3];
            encode(&info, &mut row);
            prop_assert_eq!(decode(&row), Some(info));
            prop_assert_eq!(stamp(b"", &row), main as u64);
            row.push(0);
            prop_assert_eq!(decode(&row).filter(|_| lease != 0), None);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = stamp(b"", &bytes);
        }
    }
}
