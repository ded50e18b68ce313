//! Walks over the versions that a reader at one revision sees, in key order.
//!
//! At the current revision these are the rows of LIVE. At an older one R they are the versions that the rows of LIVE
//! show at R (the living one, or the one before), merged with the rows of HISTORY that were modified by R and superseded
//! after it. A key is never in both: what LIVE shows at R has superseded everything before it by R.
//!
//! HISTORY may hold many rows per key. Stamps skip all that was superseded by R; the first row of a key behind that is
//! the only one that can be visible, because the rows of a key follow each other without overlap. So each key costs
//! one step or one seek, however long its history is.

use super::error::MvccError;
use super::history;
use super::keyrange::KeyRange;
use super::live::VersionInfo;
use super::reader::{KeyedRow, Reader, corrupt, decode_history, decode_live, decode_live_row};
use super::trees::{HISTORY, LIVE};
use crate::tree::{Cursor, TreeRead};
use std::borrow::Cow;

/// A version that is visible at the revision of the scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    /// The user's key.
    pub(crate) key: Cow<'t, [u8]>,
    /// Its numbers.
    pub(crate) info: VersionInfo,
}

/// Visible versions in ascending key order.
pub(crate) struct Scan<'t, 'r> {
    live: LiveWalk<'t, 'r>,
    history: Option<HistoryWalk<'t, 'r>>,
    next_live: Option<Row<'t>>,
    next_history: Option<Row<'t>>,
}

impl<'t, 'r> Scan<'t, 'r> {
    pub(crate) fn new<T: TreeRead>(
        reader: &Reader<'t, T>,
        range: KeyRange<'r>,
        at: i64,
    ) -> Result<Self, MvccError> {
        let mut live = LiveWalk::new(reader, range, at)?;
        if at >= reader.revision {
            return Ok(Self { live, history: None, next_live: None, next_history: None });
        }
        let mut history = Some(HistoryWalk::new(reader, range, at)?);
        let next_live = live.next()?;
        let next_history = next_of(history.as_mut())?;
        Ok(Self { live, history, next_live, next_history })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row<'t>>, MvccError> {
        if self.history.is_none() {
            return self.live.next();
        }
        let history_is_first = match (&self.next_live, &self.next_history) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(live), Some(history)) => history.key < live.key,
        };
        if history_is_first {
            let following = next_of(self.history.as_mut())?;
            Ok(std::mem::replace(&mut self.next_history, following))
        } else if self.next_live.is_some() {
            let following = self.live.next()?;
            Ok(std::mem::replace(&mut self.next_live, following))
        } else {
            Ok(None)
        }
    }
}

fn next_of<'t>(walk: Option<&mut HistoryWalk<'t, '_>>) -> Result<Option<Row<'t>>, MvccError> {
    let Some(walk) = walk else { return Ok(None) };
    Ok(walk.next()?.map(|(key, row)| Row { key, info: row.info }))
}

/// What the rows of LIVE in a range show at a revision, ascending.
struct LiveWalk<'t, 'r> {
    cursor: Cursor<'t>,
    range: KeyRange<'r>,
    at: i64,
}

impl<'t, 'r> LiveWalk<'t, 'r> {
    fn new<T: TreeRead>(reader: &Reader<'t, T>, range: KeyRange<'r>, at: i64) -> Result<Self, MvccError> {
        let mut cursor = reader.tree.cursor(LIVE);
        cursor.seek(range.from())?;
        Ok(Self { cursor, range, at })
    }

    fn next(&mut self) -> Result<Option<Row<'t>>, MvccError> {
        while let Some((key, value)) = self.cursor.entry()? {
            if self.range.is_past(key) {
                return Ok(None);
            }
            let info = decode_live(key, value)?;
            self.cursor.next()?;
            if info.modified.main <= self.at {
                return Ok(Some(Row { key: Cow::Borrowed(key), info }));
            }
            if let Some(&info) = decode_live_row(key, value)?.visible_at(self.at) {
                return Ok(Some(Row { key: Cow::Borrowed(key), info }));
            }
        }
        Ok(None)
    }
}

/// The rows of LIVE in a range, descending: only the current revision can be read this way.
pub(crate) struct DescendingScan<'t, 'r> {
    cursor: Cursor<'t>,
    range: KeyRange<'r>,
}

impl<'t, 'r> DescendingScan<'t, 'r> {
    pub(crate) fn new<T: TreeRead>(reader: &Reader<'t, T>, range: KeyRange<'r>) -> Result<Self, MvccError> {
        let mut cursor = reader.tree.cursor(LIVE);
        match range.end() {
            Some(end) => cursor.seek_before(&end)?,
            None => cursor.seek_last()?,
        }
        Ok(Self { cursor, range })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row<'t>>, MvccError> {
        let Some((key, value)) = self.cursor.entry()? else { return Ok(None) };
        if !self.range.contains(key) {
            return Ok(None);
        }
        let info = decode_live(key, value)?;
        self.cursor.prev()?;
        Ok(Some(Row { key: Cow::Borrowed(key), info }))
    }
}

/// The rows of HISTORY in a range that are visible at a revision, ascending.
pub(crate) struct HistoryWalk<'t, 'r> {
    cursor: Cursor<'t>,
    range: KeyRange<'r>,
    at: i64,
    scratch: Vec<u8>,
}

impl<'t, 'r> HistoryWalk<'t, 'r> {
    pub(crate) fn new<T: TreeRead>(
        reader: &Reader<'t, T>,
        range: KeyRange<'r>,
        at: i64,
    ) -> Result<Self, MvccError> {
        let mut scratch = Vec::new();
        history::put_start(&mut scratch, range.from());
        let mut cursor = reader.tree.cursor(HISTORY);
        cursor.seek(&scratch)?;
        cursor.settle_stamped(superseded_after(at))?;
        Ok(Self { cursor, range, at, scratch })
    }

    pub(crate) fn next(&mut self) -> Result<Option<KeyedRow<'t>>, MvccError> {
        while let Some((row_key, value)) = self.cursor.entry()? {
            let (key, row) = decode_history(row_key, value)?;
            if self.range.is_past(&key) {
                return Ok(None);
            }
            self.leave_key(row_key)?;
            if row.visible_at(self.at) {
                return Ok(Some((key, row)));
            }
        }
        Ok(None)
    }

    /// Steps to the first row of a later key that was superseded after the revision.
    fn leave_key(&mut self, row_key: &[u8]) -> Result<(), MvccError> {
        history::skip_key(row_key, &mut self.scratch)
            .ok_or_else(|| corrupt(HISTORY, row_key, "unreadable key"))?;
        self.cursor.next_stamped(superseded_after(self.at))?;
        // The next row is mostly one of another key; only a key with more history costs the seek.
        if let Some((next, _)) = self.cursor.entry()?
            && next < self.scratch.as_slice()
        {
            self.cursor.seek(&self.scratch)?;
            self.cursor.settle_stamped(superseded_after(self.at))?;
            // In a damaged page whose checksum is right the way could lead back, for ever.
            if self.cursor.entry()?.is_some_and(|(next, _)| next < self.scratch.as_slice()) {
                return Err(corrupt(HISTORY, row_key, "the rows behind it are not in order"));
            }
        }
        Ok(())
    }
}

/// The least stamp of what is newer than `at`.
pub(crate) fn superseded_after(at: i64) -> u64 {
    at as u64 + 1
}
