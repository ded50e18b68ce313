//! Fetching the records of many rows.
//!
//! Rows come in key order, their records lie in revision order. Fetched as they come, each record would be a descent
//! into another corner of a large tree, and the processor would mostly wait for memory. So a batch is fetched in the
//! order of revisions. Where many follow one another (keys written in key order), a cursor walks over them, because
//! revisions are dense; those that stand alone are looked up together ([`TreeRead::get_each`]). The answer is in the
//! order of the rows again.

use super::error::MvccError;
use super::live::VersionInfo;
use super::reader::{Reader, corrupt};
use super::revision::{EncodedRecordKey, RecordKey, Revision};
use super::trees::RECORDS;
use crate::tree::TreeRead;

/// Below this many rows, sorting is not worth it.
const MIN_BATCH: usize = 8;
/// Look-ups handed down at a time: their keys fit the nearest cache.
const PIECE: usize = 256;
/// So many revisions in a row are worth a cursor.
const MIN_RUN: usize = 6;

/// A record that is wanted: its revision, and the place of its row.
type Wanted = (Revision, u32);

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
        let mut records: Vec<&'t [u8]> = vec![&[]; versions.len()];
        self.each_record(versions, |place, record| records[place] = record)?;
        Ok(records)
    }

    /// Gives the record of each version to `each`, with the version's place among `versions`, in whatever order they
    /// are come by. They are in the processor's caches then, and may not be later.
    pub(crate) fn each_record<'i>(
        &self,
        versions: impl ExactSizeIterator<Item = &'i VersionInfo>,
        mut each: impl FnMut(usize, &'t [u8]),
    ) -> Result<(), MvccError> {
        if versions.len() < MIN_BATCH {
            for (place, info) in versions.enumerate() {
                each(place, self.record(info)?);
            }
            return Ok(());
        }
        let versions: Vec<&VersionInfo> = versions.collect();
        let mut order: Vec<Wanted> = versions.iter().map(|info| info.modified).zip(0..).collect();
        order.sort_unstable();
        let mut put = |place: u32, found: Option<&'t [u8]>| {
            each(place as usize, checked(versions[place as usize], found)?);
            Ok(())
        };
        let mut alone = Vec::new();
        for run in order.chunk_by(|&(earlier, _), &(later, _)| follows(earlier, later)) {
            if run.len() < MIN_RUN {
                alone.extend_from_slice(run);
            } else {
                self.walk(run, &mut put)?;
            }
        }
        self.look_up(&alone, &mut put)
    }

    /// Fetches the records of neighbouring revisions.
    fn walk(
        &self,
        run: &[Wanted],
        put: &mut impl FnMut(u32, Option<&'t [u8]>) -> Result<(), MvccError>,
    ) -> Result<(), MvccError> {
        let mut cursor = self.tree.cursor(RECORDS);
        for (index, &(revision, place)) in run.iter().enumerate() {
            let key = RecordKey::put(revision).encode();
            if index > 0 {
                cursor.next()?;
            }
            let mut found = cursor.entry()?;
            // At first the cursor stands nowhere, and later a tombstone may lie between.
            if found.is_none_or(|(at, _)| at != &*key) {
                cursor.seek(&key)?;
                found = cursor.entry()?.filter(|(at, _)| *at == &*key);
            }
            put(place, found.map(|(_, wire)| wire))?;
        }
        Ok(())
    }

    /// Fetches records that lie anywhere.
    fn look_up(
        &self,
        alone: &[Wanted],
        put: &mut impl FnMut(u32, Option<&'t [u8]>) -> Result<(), MvccError>,
    ) -> Result<(), MvccError> {
        let mut keys: Vec<EncodedRecordKey> = Vec::with_capacity(alone.len().min(PIECE));
        for piece in alone.chunks(PIECE) {
            keys.clear();
            keys.extend(piece.iter().map(|&(revision, _)| RecordKey::put(revision).encode()));
            let mut put_all = Ok(());
            self.tree.get_each(RECORDS, &keys, |i, found| {
                if put_all.is_ok() {
                    put_all = put(piece[i].1, found);
                }
            })?;
            put_all?;
        }
        Ok(())
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
