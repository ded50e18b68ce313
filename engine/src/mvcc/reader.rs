//! Reads, over any root: the newest published one, a pinned older one, or that of a transaction that is being written.
//!
//! A [`Reader`] is a tree and the position in history at which it is read. Everything that [`super::View`] and
//! [`super::ApplyTxn`] answer is made here and in the modules beside (`scan`, `count`, `range`, `changes`, `hash`), so
//! that both answer the same.

use super::error::{MvccError, printable};
use super::history::{self, HistoryRow};
use super::live::{self, LiveRow, VersionInfo};
use super::revision::{RecordKey, Revision};
use super::trees::{HISTORY, LIVE, RECORDS, name};
use crate::tree::{TreeId, TreeRead};
use bytes::Bytes;
use std::borrow::Cow;

/// A root, and the revisions that can be read in it.
pub(crate) struct Reader<'t, T> {
    pub(crate) tree: &'t T,
    /// The current revision.
    pub(crate) revision: i64,
    /// The oldest readable one, −1 if never compacted.
    pub(crate) compact_revision: i64,
}

impl<T> Clone for Reader<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reader<'_, T> {}

impl<'t, T: TreeRead> Reader<'t, T> {
    /// The revision that a request means: 0 or less is the current one.
    pub(crate) fn at(&self, revision: i64) -> Result<i64, MvccError> {
        if revision > self.revision {
            return Err(MvccError::FutureRevision { revision, current: self.revision });
        }
        if revision <= 0 {
            return Ok(self.revision);
        }
        if revision < self.compact_revision {
            return Err(self.compacted(revision));
        }
        Ok(revision)
    }

    pub(crate) fn compacted(&self, revision: i64) -> MvccError {
        MvccError::Compacted { revision, compact_revision: self.compact_revision }
    }

    /// The version of `key` that a reader at `at` sees; `at` comes from [`Reader::at`].
    pub(crate) fn version(&self, key: &[u8], at: i64) -> Result<Option<VersionInfo>, MvccError> {
        if at == self.revision {
            return self.live(key);
        }
        if let Some(row) = self.live_row(key)?
            && let Some(info) = row.visible_at(at)
        {
            return Ok(Some(*info));
        }
        let row = self.last_superseded(key, Revision::new(at.saturating_add(1), 0))?;
        Ok(row.filter(|row| row.visible_at(at)).map(|row| row.info))
    }

    /// The newest version of a living key.
    pub(crate) fn live(&self, key: &[u8]) -> Result<Option<VersionInfo>, MvccError> {
        match self.tree.get(LIVE, key)? {
            None => Ok(None),
            Some(value) => Ok(Some(decode_live(key, value)?)),
        }
    }

    /// The row of a living key.
    pub(crate) fn live_row(&self, key: &[u8]) -> Result<Option<LiveRow>, MvccError> {
        match self.tree.get(LIVE, key)? {
            None => Ok(None),
            Some(value) => Ok(Some(decode_live_row(key, value)?)),
        }
    }

    /// The newest version of `key` in HISTORY that was written before `bound`, readable or not.
    pub(crate) fn last_superseded(
        &self,
        key: &[u8],
        bound: Revision,
    ) -> Result<Option<HistoryRow>, MvccError> {
        Ok(self.last_superseded_entry(key, bound)?.map(|(_, row)| row))
    }

    /// The same, with the key of the row.
    pub(crate) fn last_superseded_entry(
        &self,
        key: &[u8],
        bound: Revision,
    ) -> Result<Option<(&'t [u8], HistoryRow)>, MvccError> {
        let mut row_key = Vec::new();
        history::encode_key(key, bound, &mut row_key);
        let mut cursor = self.tree.cursor(HISTORY);
        cursor.seek_before(&row_key)?;
        let Some((found, value)) = cursor.entry()? else { return Ok(None) };
        let (found_key, row) = decode_history(found, value)?;
        Ok((*found_key == *key).then_some((found, row)))
    }

    /// The superseded version of `key` that was written at exactly `modified`, wherever it stands.
    pub(crate) fn superseded(&self, key: &[u8], modified: Revision) -> Result<Option<HistoryRow>, MvccError> {
        if let Some(LiveRow { info: by, previous: Some(info) }) = self.live_row(key)?
            && info.modified == modified
        {
            return Ok(Some(HistoryRow { by: by.modified, by_tombstone: false, info }));
        }
        let mut row_key = Vec::new();
        history::encode_key(key, modified, &mut row_key);
        match self.tree.get(HISTORY, &row_key)? {
            None => Ok(None),
            Some(value) => Ok(Some(decode_history(&row_key, value)?.1)),
        }
    }

    /// The `KeyValue` of one key in wire form.
    pub(crate) fn get(&self, key: &[u8], revision: i64) -> Result<Option<Bytes>, MvccError> {
        let at = self.at(revision)?;
        match self.version(key, at)? {
            None => Ok(None),
            Some(info) => Ok(Some(Bytes::copy_from_slice(self.record(&info)?))),
        }
    }
}

pub(crate) fn decode_live(key: &[u8], value: &[u8]) -> Result<VersionInfo, MvccError> {
    live::decode(value).ok_or_else(|| corrupt(LIVE, key, "unreadable row"))
}

pub(crate) fn decode_live_row(key: &[u8], value: &[u8]) -> Result<LiveRow, MvccError> {
    LiveRow::decode(value).ok_or_else(|| corrupt(LIVE, key, "unreadable row"))
}

/// A row of HISTORY and its user key.
pub(crate) type KeyedRow<'k> = (Cow<'k, [u8]>, HistoryRow);

pub(crate) fn decode_history<'k>(row_key: &'k [u8], value: &[u8]) -> Result<KeyedRow<'k>, MvccError> {
    let (key, modified) =
        history::decode_key(row_key).ok_or_else(|| corrupt(HISTORY, row_key, "unreadable key"))?;
    let row =
        HistoryRow::decode(modified, value).ok_or_else(|| corrupt(HISTORY, row_key, "unreadable row"))?;
    Ok((key, row))
}

pub(crate) fn decode_record_key(key: &[u8]) -> Result<RecordKey, MvccError> {
    RecordKey::decode(key).ok_or_else(|| corrupt(RECORDS, key, "not the key of a record"))
}

pub(crate) fn corrupt(tree: TreeId, key: &[u8], what: &'static str) -> MvccError {
    MvccError::Corrupt { tree: name(tree), key: printable(key), what }
}
