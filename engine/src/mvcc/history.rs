//! Rows of HISTORY: (user key, revision) → a version that was superseded, and by what.
//!
//! ```text
//! key    the user's key, each byte 00 written as 00 FF
//!        00 01                                (end of the user's key)
//!        ordered number  mod revision, main
//!        ordered number  mod revision, sub
//! value  varint  main revision of what superseded it   (first, because it is the row's stamp)
//!        varint  its sub revision × 2, + 1 if it was a deletion
//!        varint  mod − create revision, version, length of the record, lease: as in LIVE
//! ```
//!
//! Byte order is (user key, revision): the end mark is smaller than everything that can follow a longer key, escaped
//! zero included, and the numbers are in their order-preserving form. The version was readable from its modification
//! up to, not including, the revision that superseded it; at any revision at most one row of a key is.

use super::live::VersionInfo;
use super::revision::Revision;
use super::varint::{put_ordered, put_varint, take_ordered, take_varint};
use std::borrow::Cow;

const ZERO: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 0x01;
/// Above the first byte of every ordered number.
pub(crate) const ABOVE_NUMBERS: u8 = 0xff;

/// One superseded version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoryRow {
    /// What superseded it.
    pub(crate) by: Revision,
    /// Whether that was a deletion.
    pub(crate) by_tombstone: bool,
    /// The version itself.
    pub(crate) info: VersionInfo,
}

impl HistoryRow {
    /// Whether this version is what a reader at `revision` sees.
    pub(crate) fn visible_at(&self, revision: i64) -> bool {
        self.info.modified.main <= revision && revision < self.by.main
    }

    /// Writes the row's value over `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        put_varint(out, self.by.main as u64);
        put_varint(out, (self.by.sub as u64) << 1 | u64::from(self.by_tombstone));
        self.info.encode_tail(out);
    }

    /// Reads the value of the row of the version written at `modified`; `None` when it is none.
    pub(crate) fn decode(modified: Revision, mut value: &[u8]) -> Option<Self> {
        let main = i64::try_from(take_varint(&mut value)?).ok()?;
        let sub = take_varint(&mut value)?;
        let by = Revision::new(main, (sub >> 1) as i64);
        let info = VersionInfo::decode_tail(value, modified)?;
        Some(Self { by, by_tombstone: sub & 1 == 1, info })
    }
}

/// Main revision of what superseded the version; see [`super::live::stamp`] for unreadable rows.
pub(crate) fn stamp(_key: &[u8], mut value: &[u8]) -> u64 {
    take_varint(&mut value).unwrap_or(u64::MAX)
}

/// Appends the escaped user key without its end mark: at or below every row of that key and of the keys behind it,
/// above every row of the keys before it. So ranges of user keys are ranges of rows.
pub(crate) fn put_start(out: &mut Vec<u8>, key: &[u8]) {
    out.reserve(key.len() + 16);
    let mut rest = key;
    while let Some(zero) = rest.iter().position(|&byte| byte == ZERO) {
        out.extend_from_slice(&rest[..zero]);
        out.extend_from_slice(&[ZERO, ESCAPED_ZERO]);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends what all rows of `key`, and no others, start with.
pub(crate) fn put_prefix(out: &mut Vec<u8>, key: &[u8]) {
    put_start(out, key);
    out.extend_from_slice(&[ZERO, END]);
}

/// Writes the key of the row (`key`, `modified`) over `out`.
pub(crate) fn encode_key(key: &[u8], modified: Revision, out: &mut Vec<u8>) {
    out.clear();
    put_prefix(out, key);
    put_ordered(out, modified.main as u64);
    put_ordered(out, modified.sub as u64);
}

/// Turns the key of a row, over `out`, into a position behind all rows of the same user key and before the next one's.
pub(crate) fn skip_key(row_key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let end = end_of_user_key(row_key)?;
    out.clear();
    out.extend_from_slice(&row_key[..end + 2]);
    out.push(ABOVE_NUMBERS);
    Some(())
}

/// Reads the key of a row: user key (borrowed unless it holds a zero byte) and revision. `None` when it is none.
pub(crate) fn decode_key(row_key: &[u8]) -> Option<(Cow<'_, [u8]>, Revision)> {
    let end = end_of_user_key(row_key)?;
    let mut numbers = &row_key[end + 2..];
    let main = i64::try_from(take_ordered(&mut numbers)?).ok()?;
    let sub = i64::try_from(take_ordered(&mut numbers)?).ok()?;
    if !numbers.is_empty() {
        return None;
    }
    Some((unescape(&row_key[..end]), Revision::new(main, sub)))
}

/// Where the end mark stands; `None` when there is none or a zero byte is escaped wrongly.
fn end_of_user_key(row_key: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += row_key.get(at..)?.iter().position(|&byte| byte == ZERO)?;
        match *row_key.get(at + 1)? {
            END => return Some(at),
            ESCAPED_ZERO => at += 2,
            _ => return None,
        }
    }
}

fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    if !escaped.contains(&ZERO) {
        return Cow::Borrowed(escaped);
    }
    let mut key = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(zero) = rest.iter().position(|&byte| byte == ZERO) {
        key.extend_from_slice(&rest[..=zero]);
        rest = &rest[zero + 2..]; // a checked key has its mark behind each zero
    }
    key.extend_from_slice(rest);
    Cow::Owned(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    /// Keys full of the bytes that matter to the escape.
    fn nasty_key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), Just(b'a')], 0..6)
    }

    fn row_key(key: &[u8], modified: Revision) -> Vec<u8> {
        let mut out = vec![9];
        encode_key(key, modified, &mut out);
        out
    }

    #[test]
    fn broken_keys_are_refused() {
        for bad in [&b""[..], b"a", b"a\0", b"a\0\x02\x01\x05\0", b"a\0\x01", b"a\0\x01\x01\x05", b"a\0\xff"]
        {
            assert_eq!(decode_key(bad), None, "{bad:?}");
        }
        let mut long = row_key(b"a", Revision::new(5, 0));
        long.push(0);
        assert_eq!(decode_key(&long), None);
    }

    proptest! {
        #[test]
        fn byte_order_is_key_then_revision(
            a in nasty_key(), b in nasty_key(), x in 0i64..400, y in 0i64..400, s in 0i64..3, t in 0i64..3
        ) {
            let (left, right) = ((a.clone(), Revision::new(x, s)), (b.clone(), Revision::new(y, t)));
            let (rows_a, rows_b) = (row_key(&a, left.1), row_key(&b, right.1));
            prop_assert_eq!(rows_a.cmp(&rows_b), left.cmp(&right));
            let (key, revision) = decode_key(&rows_a).unwrap();
            prop_assert_eq!((key.into_owned(), revision), left);
        }

        #[test]
        fn starts_and_skips_stand_between_keys(a in nasty_key(), b in nasty_key(), main in 0i64..i64::MAX) {
            let mut start = Vec::new();
            put_start(&mut start, &b);
            let row = row_key(&a, Revision::new(main, 0));
            prop_assert_eq!(row < start, a < b);
            let mut skip = Vec::new();
            skip_key(&row, &mut skip).unwrap();
            prop_assert!(row < skip);
            prop_assert_eq!(skip < row_key(&b, Revision::new(0, 0)), a < b);
        }

        #[test]
        fn rows_come_back(
            main in 1..i64::MAX, age in 0i64..9, by in 1i64..i64::MAX, by_sub in 0i64..1 << 40, by_tombstone: bool,
            version in 1i64..99, lease: i64, record_len: u64,
        ) {
            let modified = Revision::new(main, 1);
            let info = VersionInfo { create_revision: main - age, modified, version, lease, record_len };
            let row = HistoryRow { by: Revision::new(by, by_sub), by_tombstone, info };
            let mut value = vec![1];
            row.encode(&mut value);
            prop_assert_eq!(HistoryRow::decode(modified, &value), Some(row));
            prop_assert_eq!(stamp(b"", &value), by as u64);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
            let _ = HistoryRow::decode(Revision::new(1, 0), &bytes);
            let _ = skip_key(&bytes, &mut Vec::new());
        }
    }
}
