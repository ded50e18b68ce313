//! Keys and values: the same for every contender, made from a number, at next to no cost.
//!
//! A key is computed from its number. A value is a piece of a pool of random bytes, so that no time goes into making it,
//! and still no two neighbours are alike and compression finds nothing.

use clap::ValueEnum;

/// Bytes of the pool of values: small enough to stay in a processor's cache.
const POOL_BYTES: usize = 1 << 18;
/// What the keys of a registry begin with.
const REGISTRY: &[u8; 24] = b"/registry/pods/default/p";
const LONGEST_KEY: usize = 40;

/// What keys and values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Shape {
    /// Keys of 24 random bytes, values of 150: those of redb's own comparison.
    #[value(name = "24+150")]
    Random,
    /// Keys of 40 bytes with a common start, values of 256: as in an etcd that serves Kubernetes.
    #[value(name = "40+256")]
    Registry,
}

impl Shape {
    /// Bytes of a value.
    pub(crate) fn value_bytes(self) -> usize {
        match self {
            Self::Random => 150,
            Self::Registry => 256,
        }
    }

    /// Bytes of a key.
    pub(crate) fn key_bytes(self) -> usize {
        match self {
            Self::Random => 24,
            Self::Registry => LONGEST_KEY,
        }
    }
}

/// How the order of keys goes with that of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Order {
    /// Key by key.
    Ascending,
    /// Not at all.
    Random,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    bytes: [u8; LONGEST_KEY],
    len: usize,
}

impl Key {
    /// Its bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Where keys and values come from.
#[derive(Debug)]
pub(crate) struct Data {
    shape: Shape,
    pool: Vec<u8>,
}

impl Data {
    pub(crate) fn new(shape: Shape) -> Self {
        let pool = (0..POOL_BYTES as u64 / 8).flat_map(|n| mix(n).to_le_bytes()).collect();
        Self { shape, pool }
    }

    /// The key of a number. No two numbers have the same.
    #[inline]
    pub(crate) fn key(&self, order: Order, number: u64) -> Key {
        let mixed = mix(number);
        let first = match order {
            Order::Ascending => number,
            Order::Random => mixed,
        };
        let mut bytes = [0; LONGEST_KEY];
        match self.shape {
            Shape::Random => {
                bytes[..8].copy_from_slice(&first.to_be_bytes());
                bytes[8..16].copy_from_slice(&mix(mixed).to_be_bytes());
                bytes[16..24].copy_from_slice(&mix(!mixed).to_be_bytes());
            }
            Shape::Registry => {
                bytes[..24].copy_from_slice(REGISTRY);
                for (place, byte) in bytes[24..].iter_mut().enumerate() {
                    *byte = b"0123456789abcdef"[(first >> (60 - 4 * place)) as usize & 15];
                }
            }
        }
        Key { bytes, len: self.shape.key_bytes() }
    }

    /// The value of a number.
    #[inline]
    pub(crate) fn value(&self, number: u64) -> &[u8] {
        let len = self.shape.value_bytes();
        let start = mix(!number) as usize % (POOL_BYTES - len);
        &self.pool[start..start + len]
    }
}

/// A number that looks random for each number, and a different one for each: the finishing steps of `SplitMix64`
/// (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_are_different_and_ascend_when_asked_to() {
        for shape in [Shape::Random, Shape::Registry] {
            let data = Data::new(shape);
            let keys = |order| (0..1000).map(move |n| data_key(shape, order, n));
            assert!(keys(Order::Ascending).is_sorted());
            assert!(!keys(Order::Random).is_sorted());
            assert_eq!(keys(Order::Random).collect::<BTreeSet<_>>().len(), 1000);
            assert!(keys(Order::Random).all(|key| key.len() == shape.key_bytes()));
            assert!((0..1000).all(|n| data.value(n).len() == shape.value_bytes()));
            assert_ne!(data.value(1), data.value(2));
        }
    }

    /// The same stand in the test of the program in Go: all contenders get the same bytes.
    #[test]
    fn keys_and_values_are_those_of_the_others() {
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        for (shape, ascending, random, value) in [
            (
                Shape::Random,
                "00000000000f424167b5d1fb24d1ce381ed7826871e75b7c",
                "cc79d960fa6f5abf67b5d1fb24d1ce381ed7826871e75b7c",
                "52d72527ca44bfdd",
            ),
            (
                Shape::Registry,
                "2f72656769737472792f706f64732f64656661756c742f7030303030303030303030306634323431",
                "2f72656769737472792f706f64732f64656661756c742f7063633739643936306661366635616266",
                "bed1c275088ed1f1",
            ),
        ] {
            let data = Data::new(shape);
            assert_eq!(hex(data.key(Order::Ascending, 1_000_001).bytes()), ascending);
            assert_eq!(hex(data.key(Order::Random, 1_000_001).bytes()), random);
            assert_eq!(hex(&data.value(1_000_001)[..8]), value);
        }
    }

    fn data_key(shape: Shape, order: Order, number: u64) -> Vec<u8> {
        Data::new(shape).key(order, number).bytes().to_vec()
    }
}
