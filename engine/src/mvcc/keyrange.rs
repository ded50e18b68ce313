//! Ranges of user keys in etcd's convention (`key`, `range_end`).
//!
//! An empty `range_end` means exactly `key`; the single byte 0 means every key from `key` on; anything else is the
//! half-open `[key, range_end)`, which is empty, and no error, when `range_end` ≤ `key`. A prefix is a range whose
//! end the client computes: the server knows none.

use std::borrow::Cow;

/// A set of consecutive user keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange<'a> {
    from: &'a [u8],
    until: Until<'a>,
}

/// Where a range stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until<'a> {
    /// After its first key: a range of one.
    First,
    /// Before this key.
    Before(&'a [u8]),
    /// Nowhere.
    Open,
}

impl<'a> KeyRange<'a> {
    /// The range that a request with these two fields means.
    pub fn new(key: &'a [u8], range_end: &'a [u8]) -> Self {
        let until = match range_end {
            [] => Until::First,
            [0] => Until::Open,
            end => Until::Before(end),
        };
        Self { from: key, until }
    }

    /// Every key.
    pub const fn all() -> Self {
        Self { from: &[], until: Until::Open }
    }

    /// The first key that may be in the range.
    pub fn from(&self) -> &'a [u8] {
        self.from
    }

    /// The one key of a range without `range_end`.
    pub fn single(&self) -> Option<&'a [u8]> {
        (self.until == Until::First).then_some(self.from)
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        matches!(self.until, Until::Before(end) if end <= self.from)
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.from && !self.is_past(key)
    }

    /// The first key behind the range; `None` when it is open.
    pub fn end(&self) -> Option<Cow<'a, [u8]>> {
        match self.until {
            Until::First => Some(Cow::Owned(successor(self.from))),
            Until::Before(end) => Some(Cow::Borrowed(end)),
            Until::Open => None,
        }
    }

    /// Whether `key`, which is not below the start, lies behind the end.
    pub(crate) fn is_past(&self, key: &[u8]) -> bool {
        match self.until {
            Until::First => key > self.from,
            Until::Before(end) => key >= end,
            Until::Open => false,
        }
    }

    /// The part of the range from `key` on. `key` must not be below its start; a range of one key is consumed by
    /// anything above that key.
    pub(crate) fn starting_at<'b>(&self, key: &'b [u8]) -> KeyRange<'b>
    where
        'a: 'b,
    {
        debug_assert!(key >= self.from);
        let until = match self.until {
            // `[key, key)` is the empty range.
            Until::First if key > self.from => Until::Before(key),
            other => other,
        };
        KeyRange { from: key, until }
    }

    /// The part of the range before `key`.
    pub(crate) fn ending_before<'b>(&self, key: &'b [u8]) -> KeyRange<'b>
    where
        'a: 'b,
    {
        KeyRange { from: self.from, until: Until::Before(key) }
    }
}

/// The smallest key above `key`.
pub(crate) fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// The `range_end` of all keys that start with `prefix`: its last byte below 255 raised by one and the rest dropped;
/// the open end when there is no such byte.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    match prefix.iter().rposition(|&byte| byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        None => vec![0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_end_is_one_key() {
        let range = KeyRange::new(b"a", b"");
        assert!(range.contains(b"a") && !range.contains(b"a\0") && !range.contains(b""));
        assert_eq!(range.single(), Some(&b"a"[..]));
        assert_eq!(range.end().as_deref(), Some(&b"a\0"[..]));
        assert!(range.starting_at(b"b").is_empty());
    }

    #[test]
    fn a_zero_byte_is_the_open_end() {
        let range = KeyRange::new(b"a", b"\0");
        assert!(range.contains(b"a") && range.contains(&[0xff; 9]) && !range.contains(b"A"));
        assert!(!range.is_empty());
        assert_eq!(range.end(), None);
        assert!(KeyRange::new(b"\0", b"\0").contains(b"\0"));
    }

    #[test]
    fn other_ends_are_exclusive_and_may_leave_nothing() {
        let range = KeyRange::new(b"a", b"c");
        assert!(range.contains(b"a") && range.contains(b"bzz") && !range.contains(b"c"));
        for (key, end) in [(&b"b"[..], &b"a"[..]), (b"b", b"b"), (b"a", b"\0\0")] {
            assert!(KeyRange::new(key, end).is_empty());
            assert!(!KeyRange::new(key, end).contains(key));
        }
    }

    #[test]
    fn prefixes_end_where_clients_say() {
        assert_eq!(prefix_end(b"foo"), b"fop");
        assert_eq!(prefix_end(b"a\xff\xff"), b"b");
        assert_eq!(prefix_end(b"\xff\xff"), b"\0");
    }
}
