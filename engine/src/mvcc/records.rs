//! All records of one state of the store, copied out in chunks: for snapshots.
//!
//! Records never change, and up to the revision of a state none is added later; only compaction removes some. So a
//! copy needs no pinned root: as long as compaction is held back, every walk meets the same records, over whichever
//! root. The second walk of a snapshot, which a client may slow down, lets compaction go on behind it.

use super::error::MvccError;
use super::hold::{EVERYTHING, RevisionHold};
use super::reader::decode_record_key;
use super::store::Store;
use super::trees::RECORDS;
use super::view::View;
use crate::tree::TreeRead;

/// The records of one state of the store, kept from compaction. Made by [`Store::hold_records`].
pub struct HeldRecords {
    store: Store,
    hold: RevisionHold,
    revision: i64,
}

impl Store {
    /// Pins the newest state and keeps its records from physical compaction, for `limit_ticks` ticks. The view is for
    /// the small trees and should be dropped soon; the records stay readable without it.
    pub fn hold_records(&self, limit_ticks: u64) -> Result<(View, HeldRecords), MvccError> {
        let hold = self.holds().hold(EVERYTHING, limit_ticks);
        let view = self.view()?;
        let revision = view.revision();
        Ok((view, HeldRecords { store: self.clone(), hold, revision }))
    }
}

impl HeldRecords {
    /// The revision of the state.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Walks over all records, by revision. May be repeated.
    pub fn walk(&self) -> RecordWalk<'_> {
        RecordWalk { records: self, from: Some(Vec::new()), lets_go: false }
    }

    /// The last walk: compaction may remove what it has passed.
    pub fn last_walk(&mut self) -> RecordWalk<'_> {
        RecordWalk { records: self, from: Some(Vec::new()), lets_go: true }
    }
}

/// A walk over records, see [`HeldRecords`].
pub struct RecordWalk<'h> {
    records: &'h HeldRecords,
    /// Key of the next record; `None` behind the last.
    from: Option<Vec<u8>>,
    lets_go: bool,
}

impl RecordWalk<'_> {
    /// Copies the next records over `chunk`: no more when they make `max_bytes`, and at least one. False when there was
    /// none left. [`MvccError::Outlived`] when the hold is older than its limit.
    pub fn next_chunk(&mut self, chunk: &mut RecordChunk, max_bytes: usize) -> Result<bool, MvccError> {
        chunk.bytes.clear();
        chunk.lengths.clear();
        let Some(from) = self.from.take() else { return Ok(false) };
        let HeldRecords { store, hold, revision } = self.records;
        let view = store.view()?;
        if hold.is_broken() {
            return Err(MvccError::Outlived { revision: *revision });
        }
        let mut cursor = view.tree().cursor(RECORDS);
        cursor.seek(&from)?;
        while let Some((key, wire)) = cursor.entry()? {
            let main = decode_record_key(key)?.revision.main;
            if main > *revision {
                break;
            }
            if chunk.bytes.len() >= max_bytes && !chunk.lengths.is_empty() {
                self.from = Some(key.to_vec());
                if self.lets_go {
                    // One less: a compaction at `main` itself would not be held, and the chunk may end inside it.
                    hold.raise(main - 1);
                }
                break;
            }
            chunk.bytes.extend_from_slice(key);
            chunk.bytes.extend_from_slice(wire);
            chunk.lengths.push((key.len(), wire.len()));
            cursor.next()?;
        }
        Ok(!chunk.lengths.is_empty())
    }
}

/// Records that were copied out.
#[derive(Default)]
pub struct RecordChunk {
    bytes: Vec<u8>,
    lengths: Vec<(usize, usize)>,
}

impl RecordChunk {
    /// Key and wire form of each, by revision.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |&(key_len, wire_len)| {
            let (key, behind) = rest.split_at(key_len);
            let (wire, behind) = behind.split_at(wire_len);
            rest = behind;
            (key, wire)
        })
    }
}
