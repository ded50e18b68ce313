//! Fetching the records of many rows.
//!
//! Rows come in key order, their records lie in revision order. Fetched as they come, each record would be a descent
//! into another corner of a large tree, and the processor would mostly wait for memory. So a batch is fetched in the
//! order of revisions: neighbours share the way down, and a record that follows directly on the one before is reached
//! by one step, because revisions are dense. The answer is in the order of the rows again.

use super::error::MvccError;
use super::live::VersionInfo;
use super::reader::{Reader, corrupt};
use super::revision::{RecordKey, Revision};
use super::trees::RECORDS;
use crate::tree::{Cursor, TreeRead};

/// Below this many rows, sorting is not worth it.
const MIN_BATCH: usize = 8;

impl<'t, T: TreeRead> Reader<'t, T> {
    /// The record of a version: a row without its record is damage.
    pub(crate) fn record(&self, info: &VersionInfo) -> Result<&'t [u8], MvccError> {
        let key = RecordKey::put(info.modified).encode();
        checked(info, self.tree.get(RECORDS, &key)?)
    }

    /// The records of versions, in the same order.
    pub(crate) fn records<'i>(
        &self,
        versions: impl ExactSizeIterator<Item = &'i VersionInfo>,
    ) -> Result<Vec<&'t [u8]>, MvccError> {
        if versions.len() < MIN_BATCH {
            return versions.map(|info| self.record(info)).collect();
        }
        let mut order: Vec<(&VersionInfo, u32)> = versions.zip(0..).collect();
        order.sort_unstable_by_key(|(info, _)| info.modified);
        let mut records: Vec<&'t [u8]> = vec![&[]; order.len()];
        let mut walk: Option<Cursor<'t>> = None;
        for (index, &(info, place)) in order.iter().enumerate() {
            let next = order.get(index + 1).map(|(next, _)| next.modified);
            records[place as usize] = self.fetch(info, next, &mut walk)?;
        }
        Ok(records)
    }

    /// Fetches one record; `walk` stands on the one before if that may be its neighbour.
    fn fetch(
        &self,
        info: &VersionInfo,
        next: Option<Revision>,
        walk: &mut Option<Cursor<'t>>,
    ) -> Result<&'t [u8], MvccError> {
        let key = RecordKey::put(info.modified).encode();
        let has_neighbour = next.is_some_and(|next| follows(info.modified, next));
        if let Some(cursor) = walk {
            cursor.next()?;
            if let Some((found, wire)) = cursor.entry()?
                && found == &*key
            {
                return checked(info, Some(wire));
            }
            *walk = None;
        }
        if !has_neighbour {
            return self.record(info);
        }
        let mut cursor = self.tree.cursor(RECORDS);
        cursor.seek(&key)?;
        let found = cursor.entry()?.filter(|(found, _)| *found == &*key).map(|(_, wire)| wire);
        *walk = Some(cursor);
        checked(info, found)
    }
}

/// Whether nothing is likely to lie between two revisions.
fn follows(earlier: Revision, later: Revision) -> bool {
    later.main - earlier.main <= 1
}

fn checked<'t>(info: &VersionInfo, found: Option<&'t [u8]>) -> Result<&'t [u8], MvccError> {
    let what = match found {
        Some(wire) if wire.len() as u64 == info.record_len => return Ok(wire),
        Some(_) => "the record has another length than its row says",
        None => "a row names this record, but it is missing",
    };
    Err(corrupt(RECORDS, &RecordKey::put(info.modified).encode(), what))
}
