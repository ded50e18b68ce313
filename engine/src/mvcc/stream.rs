//! A range read in pieces.
//!
//! An answer of a gigabyte must not be built in memory, and a slow client must not pin a root. The first walk, over
//! rows alone, counts the key-values and their bytes, so that the length of the message can be sent ahead of it; then
//! chunks are fetched one by one. Both walks take a new root for every part of the range and read it at the revision
//! of the stream, which a hold keeps readable (see `hold`): so the two see the same, whatever is written meanwhile.
//! Nothing is kept between two chunks but the place. Only a sort by something else than the key holds its rows; they
//! are chosen over one root, in one go, with no client to wait for.

use super::error::MvccError;
use super::hold::RevisionHold;
use super::keyrange::{KeyRange, successor};
use super::live::VersionInfo;
use super::query::{Plan, RangeQuery};
use super::range::rendered_len;
use super::reader::{Reader, corrupt};
use super::scan::Row;
use super::store::Store;
use super::trees::LIVE;
use super::varint::varint_len;
use super::view::View;
use crate::tree::Snapshot;
use bytes::Bytes;

/// Rows passed over one root: enough to fetch records together, few enough for some milliseconds.
#[cfg(not(test))]
const PART_ROWS: usize = 4096;
/// In tests few, so that small stores have many parts.
#[cfg(test)]
const PART_ROWS: usize = 3;

/// A range read whose sizes are known and whose key-values come in chunks. Made by [`Store::range_stream`].
pub struct RangeStream {
    store: Store,
    hold: RevisionHold,
    at: i64,
    /// The current revision when it began.
    began_at: i64,
    request: Request,
    rest: Rest,
    totals: Totals,
    /// Key-values not handed out yet.
    left: u64,
}

/// The parts of a query that a walk needs again.
struct Request {
    key: Vec<u8>,
    range_end: Vec<u8>,
    filters: RangeQuery<'static>,
}

impl Request {
    fn range(&self) -> KeyRange<'_> {
        KeyRange::new(&self.key, &self.range_end)
    }
}

/// Where the next chunk comes from.
#[derive(Clone)]
enum Rest {
    /// Keys from here on.
    Ascending { from: Vec<u8> },
    /// Keys before this one, or from the end of the range.
    Descending { before: Option<Vec<u8>> },
    /// These rows, from the position on.
    Rows { rows: Vec<(Vec<u8>, VersionInfo)>, next: usize },
    /// Nothing more.
    Nothing,
}

#[derive(Default)]
struct Totals {
    kvs: u64,
    wire_bytes: u64,
    field_bytes: u64,
    count: i64,
    more: bool,
}

impl Totals {
    fn add(&mut self, len: usize) {
        self.kvs += 1;
        self.wire_bytes += len as u64;
        self.field_bytes += (1 + varint_len(len as u64) + len) as u64;
    }
}

impl Store {
    /// Like [`View::range`], but in pieces: the sizes are known at once and the key-values come in chunks, so that the
    /// memory of an answer does not depend on its size, and no state of the store is pinned between two chunks.
    ///
    /// What the stream needs is not compacted physically while it lives, for `limit_ticks` ticks
    /// ([`Store::tick_holds`]); older ones end with [`MvccError::Outlived`].
    pub fn range_stream(&self, query: &RangeQuery<'_>, limit_ticks: u64) -> Result<RangeStream, MvccError> {
        let at = self.view()?.reader().at(query.revision)?;
        let hold = self.holds().hold(at, limit_ticks);
        // Taken after the hold: it lacks nothing that a reader at a revision needs which is not compacted in it.
        let view = self.view()?;
        let reader = view.reader();
        if at < reader.compact_revision {
            return Err(reader.compacted(at));
        }
        let mut totals = Totals { count: reader.count(&query.keys(), at)?, ..Totals::default() };
        let rest = match query.plan() {
            _ if query.count_only => Rest::Nothing,
            Plan::KeyOrder { descending: false } => Rest::Ascending { from: query.key.to_vec() },
            Plan::KeyOrder { descending: true } => Rest::Descending { before: None },
            Plan::Sorted { .. } => chosen_rows(&reader, query, at, &mut totals)?,
        };
        let began_at = view.revision();
        drop(view);
        let filters = RangeQuery { key: &[], range_end: &[], ..*query };
        let request = Request { key: query.key.to_vec(), range_end: query.range_end.to_vec(), filters };
        let mut stream =
            RangeStream { store: self.clone(), hold, at, began_at, request, rest, totals, left: 0 };
        stream.measure()?;
        stream.left = stream.totals.kvs;
        Ok(stream)
    }
}

impl RangeStream {
    /// Number of key-values that it will give.
    pub fn kvs(&self) -> u64 {
        self.totals.kvs
    }

    /// Bytes of them in wire form.
    pub fn wire_bytes(&self) -> u64 {
        self.totals.wire_bytes
    }

    /// Bytes that they take as a repeated message field with a number below 16: tag, length and wire form of each.
    pub fn field_bytes(&self) -> u64 {
        self.totals.field_bytes
    }

    /// Keys of the range at the revision, whatever limit and filters do.
    pub fn count(&self) -> i64 {
        self.totals.count
    }

    /// Whether the limit cuts off key-values that pass the filters.
    pub fn more(&self) -> bool {
        self.totals.more
    }

    /// The revision that is read.
    pub fn revision(&self) -> i64 {
        self.at
    }

    /// The current revision of the store when the stream began: what a response's header tells.
    pub fn began_at(&self) -> i64 {
        self.began_at
    }

    /// The next key-values in wire form: no more than fit into `max_bytes`, but at least one. `None` behind the last.
    pub fn next_chunk(&mut self, max_bytes: usize) -> Result<Option<Vec<Bytes>>, MvccError> {
        while self.left > 0 {
            let view = self.fresh_view()?;
            let (chunk, rest) = self.chunk(&view, max_bytes)?;
            if let Some(rest) = rest {
                self.rest = rest;
            } else if let Rest::Rows { next, .. } = &mut self.rest {
                *next += chunk.len();
            }
            self.left -= chunk.len() as u64;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            if matches!(self.rest, Rest::Nothing) {
                // The length was sent ahead: an answer must not be cut short in silence.
                let what = "a second walk at one revision has met fewer rows than the first";
                return Err(corrupt(LIVE, &self.request.key, what));
            }
        }
        Ok(None)
    }

    /// The next chunk, and where to go on; it may be empty when the part that was looked at holds nothing.
    fn chunk(&self, view: &View, max_bytes: usize) -> Result<(Vec<Bytes>, Option<Rest>), MvccError> {
        let keys_only = self.request.filters.keys_only;
        let mut rows: Vec<Row<'_>> = Vec::new();
        let mut bytes = 0;
        let mut take = |row: &Row<'_>| {
            let len = rendered_len(row, keys_only);
            let fits = rows.is_empty() || bytes + len <= max_bytes;
            let taken = fits && (rows.len() as u64) < self.left;
            if taken {
                bytes += len;
                rows.push(Row { key: row.key.to_vec().into(), info: row.info });
            }
            taken
        };
        let rest = if let Rest::Rows { rows, next } = &self.rest {
            let rows = rows[*next..].iter();
            let _ = rows.map(|(key, info)| Row { key: key.into(), info: *info }).all(|row| take(&row));
            None
        } else {
            Some(self.part(view, take)?)
        };
        Ok((view.reader().render(&rows, keys_only)?, rest))
    }

    /// The newest root, with everything in it that the stream needs.
    fn fresh_view(&self) -> Result<View, MvccError> {
        let view = self.store.view()?;
        if self.hold.is_broken() { Err(MvccError::Outlived { revision: self.at }) } else { Ok(view) }
    }

    /// Counts what the limit lets through; chosen rows have been counted when they were chosen.
    fn measure(&mut self) -> Result<(), MvccError> {
        if matches!(self.rest, Rest::Rows { .. } | Rest::Nothing) {
            return Ok(());
        }
        let begin = self.rest.clone();
        let mut totals = std::mem::take(&mut self.totals);
        let limit = self.request.filters.row_limit().map_or(u64::MAX, |limit| limit as u64);
        let keys_only = self.request.filters.keys_only;
        while !matches!(self.rest, Rest::Nothing) && !totals.more {
            let view = self.fresh_view()?;
            self.rest = self.part(&view, |row| {
                if totals.kvs == limit {
                    totals.more = true;
                    return false;
                }
                totals.add(rendered_len(row, keys_only));
                true
            })?;
        }
        self.totals = totals;
        self.rest = begin;
        Ok(())
    }

    /// Shows the rows of the next part to `take`, until it refuses one, and tells where to go on.
    fn part(&self, view: &View, mut take: impl FnMut(&Row<'_>) -> bool) -> Result<Rest, MvccError> {
        let reader = view.reader();
        let range = self.request.range();
        let filters = &self.request.filters;
        let mut refused: Option<Vec<u8>> = None;
        let each = |row: Row<'_>| {
            let goes_on = !filters.admits(&row.info) || take(&row);
            if !goes_on {
                refused = Some(row.key.into_owned());
            }
            goes_on
        };
        if let Rest::Ascending { from } = &self.rest {
            let range = range.starting_at(from);
            let part = reader.ascending_part(range, self.at, PART_ROWS, each)?;
            in_order(&range, refused.as_deref())?;
            let from = refused.or(part);
            return Ok(from.map_or(Rest::Nothing, |from| Rest::Ascending { from }));
        }
        let Rest::Descending { before } = &self.rest else { return Ok(Rest::Nothing) };
        let range = before.as_ref().map_or(range, |before| range.ending_before(before));
        let part = reader.descending_part(range, self.at, PART_ROWS, each)?;
        in_order(&range, refused.as_deref())?;
        let before = refused.map(|key| successor(&key)).or(part);
        Ok(before.map_or(Rest::Nothing, |before| Rest::Descending { before: Some(before) }))
    }
}

/// Where a walk goes on must lie in what is left of the range: in a damaged page whose checksum is right rows can come
/// in any order.
fn in_order(range: &KeyRange<'_>, key: Option<&[u8]>) -> Result<(), MvccError> {
    match key {
        Some(key) if !range.contains(key) => Err(corrupt(LIVE, key, "the rows around it are not in order")),
        _ => Ok(()),
    }
}

/// The rows of a sorted answer.
fn chosen_rows(
    reader: &Reader<'_, Snapshot>,
    query: &RangeQuery<'_>,
    at: i64,
    totals: &mut Totals,
) -> Result<Rest, MvccError> {
    let selected = reader.select(query, at)?;
    totals.more = selected.more;
    for row in &selected.rows {
        totals.add(rendered_len(row, query.keys_only));
    }
    let rows = selected.rows.into_iter().map(|row| (row.key.into_owned(), row.info)).collect();
    Ok(Rest::Rows { rows, next: 0 })
}
