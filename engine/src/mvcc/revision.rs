//! Revisions, and the keys of RECORDS made of them.
//!
//! Every change of the store has a revision: `main` counts transactions, `sub` the changes inside one. A key of
//! RECORDS is etcd's own: `main` as 8 bytes with the highest first, the byte `_`, `sub` likewise; a deletion
//! (tombstone) has the byte `t` behind that. So the tree's byte order is the order of history.

use std::fmt;

/// Bytes of an encoded revision.
pub const REVISION_BYTES: usize = 17;
/// Bytes of a tombstone's key: a revision and its mark.
pub const TOMBSTONE_KEY_BYTES: usize = 18;

const SEPARATOR: u8 = b'_';
const TOMBSTONE_MARK: u8 = b't';

/// The place of one change in the history of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Number of the transaction; ordinary data starts at 2, because an empty store is at revision 1.
    pub main: i64,
    /// Position of the change inside its transaction, from 0.
    pub sub: i64,
}

impl Revision {
    /// The revision `main`_`sub`.
    pub const fn new(main: i64, sub: i64) -> Self {
        Self { main, sub }
    }

    /// etcd's 17 bytes. Both numbers must be ≥ 0: a negative one would sort behind all others.
    pub fn to_bytes(self) -> [u8; REVISION_BYTES] {
        debug_assert!(self.main >= 0 && self.sub >= 0, "negative revision {self}");
        let mut bytes = [0; REVISION_BYTES];
        bytes[..8].copy_from_slice(&self.main.to_be_bytes());
        bytes[8] = SEPARATOR;
        bytes[9..].copy_from_slice(&self.sub.to_be_bytes());
        bytes
    }

    /// Reads exactly 17 bytes; `None` when they are not a revision.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (main, rest) = bytes.split_first_chunk::<8>()?;
        let (&separator, sub) = rest.split_first()?;
        let main = i64::from_be_bytes(*main);
        let sub = i64::from_be_bytes(sub.try_into().ok()?);
        (separator == SEPARATOR && main >= 0 && sub >= 0).then_some(Self { main, sub })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.main, self.sub)
    }
}

/// A key of RECORDS: the revision of a change, and whether that change deleted its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// When the change happened.
    pub revision: Revision,
    /// Whether it was a deletion.
    pub tombstone: bool,
}

impl RecordKey {
    /// The key of a put at `revision`.
    pub const fn put(revision: Revision) -> Self {
        Self { revision, tombstone: false }
    }

    /// The key of a deletion at `revision`.
    pub const fn tombstone(revision: Revision) -> Self {
        Self { revision, tombstone: true }
    }

    /// The 17 or 18 bytes as they stand in the tree.
    pub fn encode(self) -> EncodedRecordKey {
        let mut bytes = [TOMBSTONE_MARK; TOMBSTONE_KEY_BYTES];
        bytes[..REVISION_BYTES].copy_from_slice(&self.revision.to_bytes());
        EncodedRecordKey { bytes, len: if self.tombstone { TOMBSTONE_KEY_BYTES } else { REVISION_BYTES } }
    }

    /// Reads a key of RECORDS; `None` when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (revision, mark) = bytes.split_at_checked(REVISION_BYTES)?;
        let revision = Revision::from_bytes(revision)?;
        match mark {
            [] => Some(Self::put(revision)),
            [TOMBSTONE_MARK] => Some(Self::tombstone(revision)),
            _ => None,
        }
    }
}

/// The bytes of a [`RecordKey`], without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct EncodedRecordKey {
    bytes: [u8; TOMBSTONE_KEY_BYTES],
    len: usize,
}

impl std::ops::Deref for EncodedRecordKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for EncodedRecordKey {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_those_of_etcd() {
        // The sample of an etcd data file: revision 6_0.
        let expected = [0, 0, 0, 0, 0, 0, 0, 6, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(*RecordKey::put(Revision::new(6, 0)).encode(), expected);
        let tombstone = RecordKey::tombstone(Revision::new(8, 2)).encode();
        assert_eq!(tombstone.len(), 18);
        assert_eq!(tombstone[17], b't');
        assert_eq!(RecordKey::decode(&tombstone), Some(RecordKey::tombstone(Revision::new(8, 2))));
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = RecordKey::tombstone(Revision::new(1, 1)).encode();
        let mut wrong_mark = good.to_vec();
        wrong_mark[17] = b'x';
        let mut wrong_separator = good.to_vec();
        wrong_separator[8] = b'-';
        let mut negative = good.to_vec();
        negative[0] = 0x80;
        for bad in [&good[..16], &[&good[..], &[0]].concat(), &wrong_mark, &wrong_separator, &negative] {
            assert_eq!(RecordKey::decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn byte_order_is_the_order_of_history(a in 0..i64::MAX, b in 0..i64::MAX, c in 0i64..3, d in 0i64..3) {
            let (x, y) = (Revision::new(a, c), Revision::new(b, d));
            prop_assert_eq!(x.to_bytes().cmp(&y.to_bytes()), x.cmp(&y));
            prop_assert_eq!(Revision::from_bytes(&x.to_bytes()), Some(x));
        }
    }
}
