//! Messages against bytes that etcd wrote: captured on the wire or read from data directories of releases 3.4 to 3.7.

#![allow(clippy::unwrap_used, missing_docs)]

mod entries;
mod hostile;
mod raft;
mod store;

/// Bytes from hexadecimal digits; anything else, such as spaces, is for the reader.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text}");
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Asserts that `message` encodes to these bytes and that they decode to it.
pub(crate) fn assert_golden<M>(message: &M, bytes: &[u8])
where
    M: prost::Message + Default + PartialEq + std::fmt::Debug,
{
    assert_eq!(M::decode(bytes).unwrap(), *message);
    assert_eq!(message.encode_to_vec(), bytes);
}
