//! Ranges of keys that watchers follow.

use std::sync::Arc;

/// The range of a request holds no key: its end lies at or before its first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyRange;

/// A set of consecutive keys, never empty. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchRange {
    pub(super) from: Arc<[u8]>,
    pub(super) until: Until,
}

/// Where a range stops; ordered by how far it reaches from the same first key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// After its first key: a range of one.
    First,
    /// Before this key, which lies above the first.
    Before(Arc<[u8]>),
    /// Nowhere.
    Open,
}

impl WatchRange {
    /// The range that the fields of a create request mean: etcd's convention (no end: the key alone; the single byte
    /// zero: everything from the key on), where an empty key counts as the smallest one.
    ///
    /// # Errors
    /// [`EmptyRange`] when the end lies at or before the key.
    pub fn of_request(key: &[u8], range_end: &[u8]) -> Result<Self, EmptyRange> {
        // Copies: a slice of the request would keep its whole receive buffer alive.
        let from: &[u8] = if key.is_empty() { &[0] } else { key };
        let until = match range_end {
            [] => Until::First,
            [0] => Until::Open,
            end if end > from => Until::Before(end.into()),
            _ => return Err(EmptyRange),
        };
        Ok(Self { from: from.into(), until })
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.until {
            Until::First => key == &*self.from,
            Until::Before(end) => key >= &*self.from && key < &**end,
            Until::Open => key >= &*self.from,
        }
    }
}

impl Until {
    /// Whether `key`, which is not below the first key, is in the range.
    pub(super) fn reaches(&self, from: &[u8], key: &[u8]) -> bool {
        match self {
            Self::First => key == from,
            Self::Before(end) => key < &**end,
            Self::Open => true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_fields_mean_what_they_mean_in_etcd() {
        let range = |key: &[u8], end: &[u8]| WatchRange::of_request(key, end);
        let single = range(b"foo", b"").unwrap();
        assert!(single.contains(b"foo") && !single.contains(b"foo\0") && !single.contains(b"fo"));
        let open = range(b"b", b"\0").unwrap();
        assert!(open.contains(b"b") && open.contains(b"\xff\xff") && !open.contains(b"a"));
        let half_open = range(b"b", b"d").unwrap();
        assert!(half_open.contains(b"b") && half_open.contains(b"c\xff") && !half_open.contains(b"d"));
        let smallest = range(b"", b"").unwrap();
        assert!(smallest.contains(b"\0") && !smallest.contains(b"\0\0"));
        assert!(range(b"", b"\0").unwrap().contains(b"\0\0"));
        for (key, end) in [(&b"b"[..], &b"a"[..]), (b"b", b"b"), (b"b", b"\0\0")] {
            assert_eq!(range(key, end), Err(EmptyRange));
        }
    }
}
