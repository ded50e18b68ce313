//! Rows of LIVE: user key → the newest version of a living key.
//!
//! ```text
//! key    the user's key, as it is
//! value  varint  mod revision, main          (first, because it is the row's stamp)
//!        varint  mod revision, sub
//!        varint  mod − create revision
//!        varint  version
//!        varint  length of the record in wire form
//!        varint  lease, left out when there is none
//!        the version before (see below), left out when there is none:
//!        varint  mod revision − its mod revision, main
//!        varint  its mod revision, sub
//!        varint  length of its record
//!        varint  its lease, left out when there is none
//! ```
//!
//! **The version before** is the one that the living version superseded, as far as it was of the same lifetime: created
//! at the same revision, its number one less. It stands here instead of in HISTORY, so that overwriting a key touches
//! one row in one tree. When the key changes again the version moves to HISTORY, unless compaction has removed its
//! record by then. Compaction itself leaves it where it is: no reader that may still read asks for it, because the
//! living version was written at or before the compacted revision.
//!
//! So a range knows the numbers and the size of every version, and answers `keys_only`, filters, sorts and counts,
//! without touching a record.

use super::keyvalue::KeyValue;
use super::revision::Revision;
use super::varint::{put_varint, take_varint};

/// What a row says of one version of a key, be it the living one or a superseded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Main revision of the creation.
    pub create_revision: i64,
    /// When this version was written: the key of its record.
    pub modified: Revision,
    /// Its number, counted from 1 at the creation.
    pub version: i64,
    /// The lease it is attached to, or 0.
    pub lease: i64,
    /// Bytes of the record in wire form.
    pub record_len: u64,
}

impl VersionInfo {
    /// The version as `keys_only` answers it.
    pub fn keys_only<'a>(&self, key: &'a [u8]) -> KeyValue<'a> {
        KeyValue {
            key,
            create_revision: self.create_revision,
            mod_revision: self.modified.main,
            version: self.version,
            value: &[],
            lease: self.lease,
        }
    }

    /// Whether a row of the version `next` can carry this one as the version before.
    fn precedes(&self, next: &Self) -> bool {
        self.create_revision == next.create_revision
            && self.version.checked_add(1) == Some(next.version)
            && self.modified < next.modified
    }

    /// Appends what LIVE and HISTORY have in common.
    pub(super) fn encode_tail(&self, out: &mut Vec<u8>) {
        debug_assert!(self.create_revision <= self.modified.main);
        put_varint(out, (self.modified.main - self.create_revision) as u64);
        put_varint(out, self.version as u64);
        put_varint(out, self.record_len);
        if self.lease != 0 {
            put_varint(out, self.lease as u64);
        }
    }

    /// Reads the rest of a row whose version was written at `modified`.
    pub(super) fn decode_tail(mut input: &[u8], modified: Revision) -> Option<Self> {
        let info = Self::take_tail(&mut input, modified)?;
        input.is_empty().then_some(info)
    }

    /// Reads what both trees' rows have in common off the front of `input`.
    fn take_tail(input: &mut &[u8], modified: Revision) -> Option<Self> {
        let age = i64::try_from(take_varint(input)?).ok()?;
        let version = i64::try_from(take_varint(input)?).ok()?;
        let record_len = take_varint(input)?;
        let lease = if input.is_empty() { 0 } else { take_varint(input)? as i64 };
        let create_revision = modified.main.checked_sub(age)?;
        Some(Self { create_revision, modified, version, lease, record_len })
    }
}

/// A row of LIVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveRow {
    /// The newest version.
    pub(crate) info: VersionInfo,
    /// The version before, if it stands here: see the module head.
    pub(crate) previous: Option<VersionInfo>,
}

impl LiveRow {
    /// The version that a reader at `at` sees, if it is one of this row.
    pub(crate) fn visible_at(&self, at: i64) -> Option<&VersionInfo> {
        if self.info.modified.main <= at {
            return Some(&self.info);
        }
        self.previous.as_ref().filter(|previous| previous.modified.main <= at)
    }

    /// Writes the row's value over `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode(&self.info, out);
        let Some(previous) = &self.previous else { return };
        debug_assert!(previous.precedes(&self.info));
        if self.info.lease == 0 {
            put_varint(out, 0);
        }
        put_varint(out, (self.info.modified.main - previous.modified.main) as u64);
        put_varint(out, previous.modified.sub as u64);
        put_varint(out, previous.record_len);
        if previous.lease != 0 {
            put_varint(out, previous.lease as u64);
        }
    }

    /// Reads a row's value; `None` when it is none.
    pub(crate) fn decode(mut value: &[u8]) -> Option<Self> {
        let info = take_newest(&mut value)?;
        if value.is_empty() {
            return Some(Self { info, previous: None });
        }
        let before = i64::try_from(take_varint(&mut value)?).ok()?;
        let sub = i64::try_from(take_varint(&mut value)?).ok()?;
        // A damaged row must not make a revision below zero, which has no key, or a version older than its key.
        let created = info.create_revision;
        let main = info.modified.main.checked_sub(before).filter(|main| *main >= created.max(0))?;
        let previous = VersionInfo {
            create_revision: info.create_revision,
            modified: Revision::new(main, sub),
            version: info.version.checked_sub(1)?,
            record_len: take_varint(&mut value)?,
            lease: if value.is_empty() { 0 } else { take_varint(&mut value)? as i64 },
        };
        (value.is_empty() && previous.precedes(&info)).then_some(Self { info, previous: Some(previous) })
    }
}

/// Writes the value of the row of a new version over `out`, with the newest version of the row `old` as the one before.
/// Returns that version if the row cannot carry it.
pub(crate) fn replace(info: VersionInfo, old: Option<&LiveRow>, out: &mut Vec<u8>) -> Option<VersionInfo> {
    let old = old.map(|old| old.info);
    let previous = old.filter(|old| old.precedes(&info));
    LiveRow { info, previous }.encode(out);
    old.filter(|_| previous.is_none())
}

/// Writes the value of a row without a version before over `out`.
fn encode(info: &VersionInfo, out: &mut Vec<u8>) {
    out.clear();
    put_varint(out, info.modified.main as u64);
    put_varint(out, info.modified.sub as u64);
    info.encode_tail(out);
}

/// Reads the newest version of a row's value; `None` when there is none. What follows is not looked at.
pub(crate) fn decode(mut value: &[u8]) -> Option<VersionInfo> {
    take_newest(&mut value)
}

fn take_newest(value: &mut &[u8]) -> Option<VersionInfo> {
    let main = i64::try_from(take_varint(value)?).ok()?;
    let sub = i64::try_from(take_varint(value)?).ok()?;
    VersionInfo::take_tail(value, Revision::new(main, sub))
}

/// Main revision of the last change of the key. An unreadable row is stamped as changed for ever, so that every scan
/// meets it and reports it.
pub(crate) fn stamp(_key: &[u8], mut value: &[u8]) -> u64 {
    take_varint(&mut value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_row_is_small() {
        let info = VersionInfo {
            create_revision: 1_000_000,
            modified: Revision::new(1_000_000, 0),
            version: 1,
            lease: 0,
            record_len: 300,
        };
        let mut row = Vec::new();
        encode(&info, &mut row);
        assert_eq!(row.len(), 8);
    }

    /// A version and the one before it.
    fn versions() -> impl Strategy<Value = (VersionInfo, VersionInfo)> {
        let numbers = (1..i64::MAX, 0..i64::MAX, 1..i64::MAX, 0..i64::MAX - 1);
        let mods = (0..i64::MAX, 0..i64::MAX);
        (numbers, mods, any::<(i64, u64)>(), any::<(i64, u64)>()).prop_map(
            |((main, sub, create, version), (before, before_sub), (lease, len), (old_lease, old_len))| {
                let create_revision = create.min(main);
                let span = main - create_revision;
                let old = if span == 0 { main } else { create_revision + before % span };
                let old_sub = if old == main { before_sub % sub.max(1) } else { before_sub };
                let info = VersionInfo {
                    create_revision,
                    modified: Revision::new(main, sub.max(1)),
                    version: version + 1,
                    lease,
                    record_len: len,
                };
                let modified = Revision::new(old, old_sub);
                (info, VersionInfo { modified, version, lease: old_lease, record_len: old_len, ..info })
            },
        )
    }

    #[test]
    fn a_version_of_another_lifetime_goes_to_history() {
        let version = |create_revision, main, version| VersionInfo {
            create_revision,
            modified: Revision::new(main, 0),
            version,
            lease: 0,
            record_len: 9,
        };
        let old = version(4, 7, 2);
        let before = LiveRow { info: old, previous: Some(version(4, 6, 1)) };
        let mut value = Vec::new();
        for next in [version(9, 9, 1), version(4, 9, 2), version(4, 7, 3)] {
            assert_eq!(replace(next, Some(&before), &mut value), Some(old), "{next:?}");
            assert_eq!(LiveRow::decode(&value), Some(LiveRow { info: next, previous: None }));
        }
        assert_eq!(replace(version(4, 9, 3), Some(&before), &mut value), None);
        let row = LiveRow { info: version(4, 9, 3), previous: Some(old) };
        assert_eq!(LiveRow::decode(&value), Some(row));
        assert_eq!(row.visible_at(9), Some(&row.info));
        assert_eq!((row.visible_at(8), row.visible_at(7)), (Some(&old), Some(&old)));
        assert_eq!(row.visible_at(6), None);
    }

    proptest! {
        #[test]
        fn rows_come_back((info, old) in versions()) {
            let mut value = vec![7; 3];
            for previous in [None, Some(old)] {
                let row = LiveRow { info, previous };
                row.encode(&mut value);
                prop_assert_eq!(LiveRow::decode(&value), Some(row));
                prop_assert_eq!(decode(&value), Some(info));
                prop_assert_eq!(stamp(b"", &value), info.modified.main as u64);
            }
            value.push(0);
            prop_assert_eq!(LiveRow::decode(&value).filter(|_| old.lease != 0), None);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = (decode(&bytes), LiveRow::decode(&bytes));
            let _ = stamp(b"", &bytes);
        }
    }
}
