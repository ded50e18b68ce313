//! Variable-length integers: protobuf's little-endian base 128 for values, and an order-preserving form for keys.
//!
//! The rows of LIVE and HISTORY hold mostly small numbers (a delta, a version, a length), so base 128 makes a row
//! of about ten bytes where fixed fields would take fifty. Keys need another form: byte order must equal numeric
//! order, which base 128 does not give. There a number is written as the count of its significant bytes, then those
//! bytes with the highest first; a longer number is a greater number, so comparing bytes compares numbers.

/// Longest base 128 form of a 64-bit number.
pub(crate) const MAX_VARINT_BYTES: usize = 10;

/// Appends `value` in base 128.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varint`] appends for `value`.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    // Seven bits a byte; zero still takes one byte.
    ((63 - (value | 1).leading_zeros() as usize) / 7) + 1
}

/// Takes a base 128 number off the front of `input`; `None` when it is cut short or does not fit 64 bits.
#[inline]
pub(crate) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        *input = rest;
        return Some(u64::from(first));
    }
    take_long_varint(input)
}

fn take_long_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(MAX_VARINT_BYTES).enumerate() {
        if index == MAX_VARINT_BYTES - 1 && byte > 1 {
            return None; // more than 64 bits
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends the order-preserving form of `value`: 1 to 9 bytes, the first of them at most 8.
pub(crate) fn put_ordered(out: &mut Vec<u8>, value: u64) {
    let skipped = value.leading_zeros() as usize / 8;
    out.push((8 - skipped) as u8);
    out.extend_from_slice(&value.to_be_bytes()[skipped..]);
}

/// Takes an order-preserving number off the front of `input`; `None` when it is not one in its shortest form.
pub(crate) fn take_ordered(input: &mut &[u8]) -> Option<u64> {
    let (&count, rest) = input.split_first()?;
    let count = usize::from(count);
    if count > 8 || rest.len() < count {
        return None;
    }
    let (digits, rest) = rest.split_at(count);
    if digits.first() == Some(&0) {
        return None; // a second spelling of the same number would break the order
    }
    *input = rest;
    Some(digits.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges() -> Vec<u64> {
        let mut all = vec![0, 1, u64::MAX];
        for bit in 0..64 {
            let power = 1u64 << bit;
            all.extend([power - 1, power, power + 1]);
        }
        all
    }

    #[test]
    fn edges_come_back_and_have_the_promised_length() {
        for value in edges() {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_len(value), "{value}");
            let mut input = bytes.as_slice();
            assert_eq!(take_varint(&mut input), Some(value));
            assert!(input.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(take_varint(&mut &bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn too_long_numbers_are_refused() {
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
        assert_eq!(take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2][..]), None);
        assert_eq!(take_ordered(&mut &[9, 1, 1, 1, 1, 1, 1, 1, 1, 1][..]), None);
        assert_eq!(take_ordered(&mut &[2, 0, 1][..]), None);
        assert_eq!(take_ordered(&mut &[2, 1][..]), None);
    }

    proptest! {
        #[test]
        fn ordered_form_keeps_the_order(a: u64, b: u64, shift_a in 0u32..64, shift_b in 0u32..64) {
            let (a, b) = (a >> shift_a, b >> shift_b);
            let (mut bytes_a, mut bytes_b) = (Vec::new(), Vec::new());
            put_ordered(&mut bytes_a, a);
            put_ordered(&mut bytes_b, b);
            prop_assert_eq!(bytes_a.cmp(&bytes_b), a.cmp(&b));
            prop_assert_eq!(take_ordered(&mut bytes_a.as_slice()), Some(a));
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes: Vec<u8>) {
            let _ = take_varint(&mut bytes.as_slice());
            let _ = take_ordered(&mut bytes.as_slice());
        }
    }
}
