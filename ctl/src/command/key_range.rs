//! Ranges of keys as `get`, `del` and `watch` take them: one key, `[key, range_end)`, all keys with a prefix,
//! all keys from one on.

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;

use crate::failure::Failure;

/// "No end" in a request, and also the first key there is.
const ZERO: Bytes = Bytes::from_static(&[0]);

/// A range as requests carry it: no end means the key alone, the end `\0` means all keys from `key` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) key: Bytes,
    pub(super) end: Bytes,
}

/// What the flags make of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The key, or the range up to the second argument.
    Exact,
    /// `--prefix`.
    Prefix,
    /// `--from-key`.
    FromKey,
}

impl Extent {
    /// The extent that the two flags ask for.
    pub(super) fn from_flags(prefix: bool, from_key: bool) -> Result<Self, Failure> {
        match (prefix, from_key) {
            (true, true) => Err(Failure::bad_args(
                "`--prefix` and `--from-key` cannot be set at the same time, choose one",
            )),
            (true, false) => Ok(Self::Prefix),
            (false, true) => Ok(Self::FromKey),
            (false, false) => Ok(Self::Exact),
        }
    }
}

impl KeyRange {
    /// The range of the arguments `<key> [range_end]`.
    pub(super) fn new(extent: Extent, key: &[u8], range_end: Option<&[u8]>) -> Result<Self, Failure> {
        if extent != Extent::Exact && range_end.is_some() {
            return Err(Failure::bad_args(
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
            ));
        }
        let own = Bytes::copy_from_slice(key);
        Ok(match extent {
            Extent::Exact => {
                Self { key: own, end: range_end.map_or_else(Bytes::new, Bytes::copy_from_slice) }
            }
            _ if key.is_empty() => Self { key: ZERO, end: ZERO },
            Extent::Prefix => Self { key: own, end: prefix_end(key) },
            Extent::FromKey => Self { key: own, end: ZERO },
        })
    }

    /// The request that deletes it.
    pub(super) fn into_delete(self, prev_kv: bool) -> pb::DeleteRangeRequest {
        pb::DeleteRangeRequest { key: self.key, range_end: self.end, prev_kv }
    }
}

/// The first key behind all keys that begin with `prefix`; "no end" if there is none.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let Some(last) = prefix.iter().rposition(|byte| *byte < 0xff) else { return ZERO };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_extents() {
        for (extent, key, end, expected) in [
            (Extent::Exact, &b"a"[..], None, (&b"a"[..], &b""[..])),
            (Extent::Exact, b"a", Some(&b"c"[..]), (b"a", b"c")),
            (Extent::Exact, b"", None, (b"", b"")),
            (Extent::Prefix, b"ab", None, (b"ab", b"ac")),
            (Extent::Prefix, b"a\xff\xff", None, (b"a\xff\xff", b"b")),
            (Extent::Prefix, b"\xff", None, (b"\xff", b"\0")),
            (Extent::Prefix, b"", None, (b"\0", b"\0")),
            (Extent::FromKey, b"a", None, (b"a", b"\0")),
            (Extent::FromKey, b"", None, (b"\0", b"\0")),
        ] {
            let range = KeyRange::new(extent, key, end).unwrap();
            assert_eq!((&range.key[..], &range.end[..]), expected);
        }
        assert_eq!(KeyRange::new(Extent::Prefix, b"a", Some(b"b")).unwrap_err().code(), 128);
        assert_eq!(Extent::from_flags(true, true).unwrap_err().code(), 128);
    }
}
