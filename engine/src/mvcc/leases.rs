//! Rows of `LEASE_KEYS`: which keys a lease holds.
//!
//! The key is the lease's id (8 bytes, highest first) and the user key behind it; the value is empty. The rows follow
//! from LIVE, where each version names its lease, and are kept in step by every put and delete: revoking a lease, or
//! asking for its keys, must not look at the whole store.

use super::arena::Arena;
use super::error::MvccError;
use super::reader::{Reader, corrupt};
use super::trees::LEASE_KEYS;
use crate::tree::{TreeRead, WriteTxn};
use bytes::Bytes;

/// Bytes of a lease id in front of a row's user key.
pub(crate) const ID_BYTES: usize = 8;

/// Writes a row's key over `out`.
pub(crate) fn encode_key(lease: i64, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(ID_BYTES + key.len());
    out.extend_from_slice(&lease.to_be_bytes());
    out.extend_from_slice(key);
}

/// Splits a row's key; `None` when it is too short.
pub(crate) fn decode_key(row_key: &[u8]) -> Option<(i64, &[u8])> {
    let (id, key) = row_key.split_first_chunk::<ID_BYTES>()?;
    Some((i64::from_be_bytes(*id), key))
}

/// Moves `key` from lease `old` to lease `new`; 0 is no lease.
pub(crate) fn move_key(
    txn: &mut WriteTxn,
    key: &[u8],
    old: i64,
    new: i64,
    scratch: &mut Vec<u8>,
) -> Result<(), MvccError> {
    if old == new {
        return Ok(());
    }
    if old != 0 {
        encode_key(old, key, scratch);
        if !txn.delete(LEASE_KEYS, scratch)? {
            return Err(corrupt(
                LEASE_KEYS,
                scratch,
                "the key's version names this lease, but the row is missing",
            ));
        }
    }
    if new != 0 {
        encode_key(new, key, scratch);
        txn.put(LEASE_KEYS, scratch, &[])?;
    }
    Ok(())
}

impl<T: TreeRead> Reader<'_, T> {
    /// The keys attached to `lease` now, ascending.
    pub(crate) fn lease_keys(&self, lease: i64) -> Result<Vec<Bytes>, MvccError> {
        let mut cursor = self.tree.cursor(LEASE_KEYS);
        cursor.seek(&lease.to_be_bytes())?;
        let mut keys = Arena::new(0, 256);
        while let Some((row_key, _)) = cursor.entry()? {
            let (id, key) =
                decode_key(row_key).ok_or_else(|| corrupt(LEASE_KEYS, row_key, "unreadable key"))?;
            if id != lease {
                break;
            }
            keys.push(key);
            cursor.next()?;
        }
        Ok(keys.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let mut row = Vec::new();
        for lease in [1, -7, i64::MIN, i64::MAX] {
            encode_key(lease, b"k", &mut row);
            assert_eq!(decode_key(&row), Some((lease, &b"k"[..])));
        }
        assert_eq!(decode_key(&[0; 7]), None);
    }
}
