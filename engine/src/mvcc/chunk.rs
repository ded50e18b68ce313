//! Cutting a range into parts that can be read in a bounded time.
//!
//! A scan at a past revision passes rows that it does not show: keys created later, keys that were dead. Between two
//! rows that it shows there may be millions of them. So a part is not bounded by what it shows but by what it passes:
//! at most so many rows of LIVE, and so many keys of HISTORY.

use super::error::MvccError;
use super::history;
use super::keyrange::KeyRange;
use super::reader::{Reader, corrupt, decode_history};
use super::scan::{Row, Scan, superseded_after};
use super::trees::{HISTORY, LIVE};
use crate::tree::{TreeId, TreeRead};

impl<'t, T: TreeRead> Reader<'t, T> {
    /// Gives the rows of the first part of `range` that are visible at `at` to `each`, ascending, until it returns
    /// false. Returns where the part ends, `None` when it is the last one.
    pub(crate) fn ascending_part(
        &self,
        range: KeyRange<'_>,
        at: i64,
        rows: usize,
        mut each: impl FnMut(Row<'t>) -> bool,
    ) -> Result<Option<Vec<u8>>, MvccError> {
        if range.is_empty() {
            return Ok(None);
        }
        let end = self.part_end(&range, at, rows)?;
        let part = end.as_ref().map_or(range, |end| range.ending_before(end));
        let mut scan = Scan::new(self, part, at)?;
        while let Some(row) = scan.next()? {
            if !each(row) {
                break;
            }
        }
        Ok(end)
    }

    /// Gives the rows of the last part of `range` that are visible at `at` to `each`, descending, until it returns
    /// false. Returns where the part starts, `None` when it is the first one.
    pub(crate) fn descending_part(
        &self,
        range: KeyRange<'_>,
        at: i64,
        rows: usize,
        each: impl FnMut(Row<'t>) -> bool,
    ) -> Result<Option<Vec<u8>>, MvccError> {
        if range.is_empty() {
            return Ok(None);
        }
        let start = self.part_start(&range, at, rows)?;
        let part = start.as_ref().map_or(range, |start| range.starting_at(start));
        let mut scan = Scan::new(self, part, at)?;
        let mut shown = Vec::new();
        while let Some(row) = scan.next()? {
            shown.push(row);
        }
        let _ = shown.into_iter().rev().all(each);
        Ok(start)
    }

    /// Where the first part of `range` ends: a scan at `at` before that key passes at most `rows` rows of LIVE and
    /// `rows` keys of HISTORY. `None` when the whole range is no longer than that. Lies above the start of the range.
    fn part_end(&self, range: &KeyRange<'_>, at: i64, rows: usize) -> Result<Option<Vec<u8>>, MvccError> {
        let mut end: Option<Vec<u8>> = None;
        let mut cursor = self.tree.cursor(LIVE);
        cursor.seek(range.from())?;
        let mut passed = 0;
        while let Some((key, _)) = cursor.entry()?
            && !range.is_past(key)
        {
            if passed == rows {
                end = Some(key.to_vec());
                break;
            }
            passed += 1;
            cursor.next()?;
        }
        if at >= self.revision {
            return Ok(end);
        }
        let mut next = Vec::new();
        history::put_start(&mut next, range.from());
        let mut cursor = self.tree.cursor(HISTORY);
        cursor.seek(&next)?;
        cursor.settle_stamped(superseded_after(at))?;
        let mut passed = 0;
        while let Some((row_key, value)) = cursor.entry()? {
            let (key, _) = decode_history(row_key, value)?;
            if range.is_past(&key) || end.as_ref().is_some_and(|end| *key >= **end) {
                break;
            }
            if passed == rows {
                end = Some(key.into_owned());
                break;
            }
            passed += 1;
            next.clear();
            history::put_prefix(&mut next, &key);
            next.push(history::ABOVE_NUMBERS);
            cursor.next_stamped(superseded_after(at))?;
            if cursor.entry()?.is_some_and(|(row_key, _)| row_key < next.as_slice()) {
                cursor.seek(&next)?;
                cursor.settle_stamped(superseded_after(at))?;
                if cursor.entry()?.is_some_and(|(row_key, _)| row_key < next.as_slice()) {
                    return Err(disorder(HISTORY, row_key));
                }
            }
        }
        match end {
            Some(end) if end.as_slice() <= range.from() => Err(disorder(LIVE, &end)),
            end => Ok(end),
        }
    }

    /// Where the last part of `range` starts: a scan at `at` from that key to the end of the range passes at most
    /// `rows` rows of LIVE and `rows` keys of HISTORY. `None` when the whole range is no longer than that. Lies below
    /// the end of the range.
    fn part_start(&self, range: &KeyRange<'_>, at: i64, rows: usize) -> Result<Option<Vec<u8>>, MvccError> {
        let mut start: Option<Vec<u8>> = None;
        let mut cursor = self.tree.cursor(LIVE);
        match range.end() {
            Some(end) => cursor.seek_before(&end)?,
            None => cursor.seek_last()?,
        }
        let mut passed = 0;
        while let Some((key, _)) = cursor.entry()?
            && key > range.from()
        {
            passed += 1;
            if passed == rows {
                start = Some(key.to_vec());
                break;
            }
            cursor.prev()?;
        }
        if at >= self.revision {
            return Ok(start);
        }
        let mut before = Vec::new();
        let mut cursor = self.tree.cursor(HISTORY);
        if let Some(end) = range.end() {
            history::put_start(&mut before, &end);
            cursor.seek_before(&before)?;
        } else {
            cursor.seek_last()?;
        }
        let mut passed = 0;
        while let Some((row_key, value)) = cursor.entry()? {
            let (key, _) = decode_history(row_key, value)?;
            if *key <= *range.from() || start.as_ref().is_some_and(|start| *key < **start) {
                break;
            }
            passed += 1;
            if passed == rows {
                start = Some(key.into_owned());
                break;
            }
            before.clear();
            history::put_start(&mut before, &key);
            cursor.prev()?;
            if cursor.entry()?.is_some_and(|(row_key, _)| row_key >= before.as_slice()) {
                cursor.seek_before(&before)?;
                if cursor.entry()?.is_some_and(|(row_key, _)| row_key >= before.as_slice()) {
                    return Err(disorder(HISTORY, row_key));
                }
            }
        }
        match start {
            Some(start) if range.is_past(&start) => Err(disorder(LIVE, &start)),
            start => Ok(start),
        }
    }
}

/// In a damaged page whose checksum is right the way could lead back, and a walk in parts would never end.
fn disorder(tree: TreeId, key: &[u8]) -> MvccError {
    corrupt(tree, key, "the rows around it are not in order")
}
