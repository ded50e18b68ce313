//! Which key each request uses.
//!
//! A key is a number below the key space, written as Go's `binary.PutVarint` writes a signed number (zig-zag,
//! then seven bits to a byte, least significant first) at the start of `key-size` bytes of zero. The buffer is
//! fresh for every key. Go's tool reuses one, so that the rest of a longer number may follow a shorter one; for
//! sequential keys that are written once the two agree, and here a number always has the same key, which is
//! what lets `range --random-keys` find what `put` wrote.

use bytes::{BufMut, Bytes, BytesMut};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Longest form of a 64-bit number: ten groups of seven bits.
const MAX_VARINT_BYTES: usize = 10;

/// What is wrong with the key flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// There is no number below zero to choose.
    #[error("expected positive --key-space-size, got ({0})")]
    EmptySpace(i64),
    /// The greatest number of the space does not fit into the key.
    #[error(
        "--key-size {size} is too small for --key-space-size {space}: the greatest key needs {needed} bytes"
    )]
    TooSmall {
        /// Bytes of a key, as asked.
        size: usize,
        /// Keys in the space, as asked.
        space: i64,
        /// Bytes that the greatest number needs.
        needed: usize,
    },
}

/// The order in which numbers are taken from the key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Request number modulo the space.
    Sequential,
    /// Uniformly at random below the space.
    Random,
}

/// A key space: makes the key of each request.
#[derive(Debug)]
pub(crate) struct KeySpace {
    prefix: Bytes,
    size: usize,
    space: u64,
    order: Order,
    random: SmallRng,
}

impl KeySpace {
    /// Keys of `prefix` and then `size` bytes, numbered below `space`.
    pub(crate) fn new(prefix: &str, size: usize, space: i64, order: Order) -> Result<Self, KeyError> {
        if space <= 0 {
            return Err(KeyError::EmptySpace(space));
        }
        let needed = varint(space - 1).1;
        if size < needed {
            return Err(KeyError::TooSmall { size, space, needed });
        }
        let random = SmallRng::from_rng(&mut rand::rng());
        let prefix = Bytes::copy_from_slice(prefix.as_bytes());
        Ok(Self { prefix, size, space: space.unsigned_abs(), order, random })
    }

    /// The key of request `index`.
    pub(crate) fn key(&mut self, index: u64) -> Bytes {
        let number = match self.order {
            Order::Sequential => index % self.space,
            Order::Random => self.random.random_range(0..self.space),
        };
        self.encode(number as i64)
    }

    fn encode(&self, number: i64) -> Bytes {
        let (digits, length) = varint(number);
        let mut key = BytesMut::with_capacity(self.prefix.len() + self.size);
        key.put_slice(&self.prefix);
        key.put_slice(&digits[..length]);
        key.put_bytes(0, self.size - length);
        key.freeze()
    }
}

/// Go's signed varint of `number`, and how many of the bytes it takes.
fn varint(number: i64) -> ([u8; MAX_VARINT_BYTES], usize) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = [0; MAX_VARINT_BYTES];
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest as u8;
    (bytes, length + 1)
}

/// A value of `size` random bytes; one is made for a whole run.
pub(crate) fn random_value(size: usize) -> Bytes {
    let mut value = vec![0; size];
    rand::rng().fill(value.as_mut_slice());
    value.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    /// The forms that Go's encoding/binary documents and that its own tests use.
    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases: [(i64, &[u8]); 9] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (64, &[0x80, 0x01]),
            (300, &[0xd8, 0x04]),
            (999_999, &[0xfe, 0x88, 0x7a]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (number, expected) in cases {
            let (bytes, length) = varint(number);
            assert_eq!(&bytes[..length], expected, "{number}");
        }
    }

    #[test]
    fn a_key_is_the_number_and_zeros() {
        let mut keys = KeySpace::new("", 8, 1000, Order::Sequential).unwrap();
        assert_eq!(keys.key(0), &[0u8; 8][..]);
        assert_eq!(keys.key(300), &[0xd8, 0x04, 0, 0, 0, 0, 0, 0][..]);
        assert_eq!(keys.key(1000), keys.key(0), "the space wraps around");
        let mut prefixed = KeySpace::new("p/", 3, 1000, Order::Sequential).unwrap();
        assert_eq!(prefixed.key(1), &b"p/\x02\0\0"[..]);
    }

    #[test]
    fn random_keys_are_keys_of_the_sequential_layout() {
        let mut sequential = KeySpace::new("", 8, 200, Order::Sequential).unwrap();
        let written: BTreeSet<Bytes> = (0..200).map(|index| sequential.key(index)).collect();
        assert_eq!(written.len(), 200);
        let mut random = KeySpace::new("", 8, 200, Order::Random).unwrap();
        let read: BTreeSet<Bytes> = (0..5000).map(|index| random.key(index)).collect();
        assert!(read.is_subset(&written));
        assert!(read.len() > 150, "only {} of 200 keys were drawn", read.len());
    }

    #[test]
    fn impossible_spaces_are_refused() {
        assert_eq!(KeySpace::new("", 8, 0, Order::Random).unwrap_err(), KeyError::EmptySpace(0));
        let error = KeySpace::new("", 2, 1_000_000, Order::Random).unwrap_err();
        assert_eq!(error, KeyError::TooSmall { size: 2, space: 1_000_000, needed: 3 });
        assert!(KeySpace::new("", 1, 64, Order::Random).is_ok());
        assert!(KeySpace::new("", 1, 65, Order::Random).is_err());
    }

    #[test]
    fn values_have_the_size_asked() {
        assert_eq!(random_value(256).len(), 256);
        assert_ne!(random_value(32), random_value(32));
    }
}
