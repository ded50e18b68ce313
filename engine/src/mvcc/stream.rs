//! A range read in pieces.
//!
//! An answer of a gigabyte must not be built in memory. The first walk, over rows alone, counts the key-values and
//! their bytes, so that the length of the message can be sent ahead of it; then chunks are fetched one by one. In key
//! order nothing is held between two chunks but the place; only a sort by something else holds its rows.

use super::error::MvccError;
use super::keyrange::{KeyRange, successor};
use super::live::VersionInfo;
use super::query::{Plan, RangeQuery};
use super::range::rendered_len;
use super::reader::Reader;
use super::scan::{DescendingScan, Row, Scan};
use super::varint::varint_len;
use super::view::View;
use crate::tree::Snapshot;
use bytes::Bytes;

/// A range read whose sizes are known and whose key-values come in chunks. Made by [`View::range_stream`].
pub struct RangeStream {
    view: View,
    at: i64,
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

/// Where the next chunk comes from.
enum Rest {
    /// Keys from here on.
    Ascending { from: Vec<u8> },
    /// Keys before this one, or from the end of the range.
    Descending { before: Option<Vec<u8>> },
    /// These rows, from the position on.
    Rows { rows: Vec<(Vec<u8>, VersionInfo)>, next: usize },
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

impl RangeStream {
    pub(crate) fn new(view: View, query: &RangeQuery<'_>) -> Result<Self, MvccError> {
        let reader = view.reader();
        let at = reader.at(query.revision)?;
        let mut totals = Totals { count: reader.count(&query.keys(), at)?, ..Totals::default() };
        let descending = query.order == super::query::SortOrder::Descend;
        let rest = if query.count_only {
            Rest::Rows { rows: Vec::new(), next: 0 }
        } else {
            match query.plan() {
                Plan::KeyOrder { descending: false } => Rest::Ascending { from: query.key.to_vec() },
                Plan::KeyOrder { .. } if at == view.revision() => Rest::Descending { before: None },
                _ => chosen_rows(&reader, query, at, &mut totals)?,
            }
        };
        let filters = RangeQuery { key: &[], range_end: &[], ..*query };
        let request = Request { key: query.key.to_vec(), range_end: query.range_end.to_vec(), filters };
        let mut stream = Self { view, at, request, rest, totals, left: 0 };
        debug_assert!(descending || !matches!(stream.rest, Rest::Descending { .. }));
        stream.measure()?;
        stream.left = stream.totals.kvs;
        Ok(stream)
    }

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

    /// Reads the rest from a newer state of the same store, so that the older one is no longer pinned; the answer stays
    /// the same. [`MvccError::Compacted`] when the revision can no longer be read there. An answer in descending key
    /// order keeps its old state.
    pub fn move_to(&mut self, view: View) -> Result<(), MvccError> {
        if matches!(self.rest, Rest::Descending { .. }) {
            return Ok(());
        }
        if self.at < view.compact_revision() {
            return Err(view.reader().compacted(self.at));
        }
        self.view = view;
        Ok(())
    }

    /// The next key-values in wire form: as many as fit into `max_bytes`, and at least one. `None` behind the last.
    pub fn next_chunk(&mut self, max_bytes: usize) -> Result<Option<Vec<Bytes>>, MvccError> {
        if self.left == 0 {
            return Ok(None);
        }
        let keys_only = self.request.filters.keys_only;
        let mut rows = Vec::new();
        let mut bytes = 0;
        self.walk(|row| {
            let len = rendered_len(&row, keys_only);
            let fits = rows.is_empty() || bytes + len <= max_bytes;
            if fits {
                bytes += len;
                rows.push(row);
            }
            fits && (rows.len() as u64) < self.left
        })?;
        let chunk = self.view.reader().render(&rows, keys_only)?;
        let last = rows.last().map(|row| row.key.to_vec());
        drop(rows);
        self.advance(last, chunk.len());
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn advance(&mut self, last: Option<Vec<u8>>, taken: usize) {
        match (&mut self.rest, last) {
            (_, None) => self.left = 0,
            (Rest::Ascending { from }, Some(last)) => *from = successor(&last),
            (Rest::Descending { before }, Some(last)) => *before = Some(last),
            (Rest::Rows { next, .. }, Some(_)) => *next += taken,
        }
        self.left = self.left.saturating_sub(taken as u64);
    }

    /// Counts what the limit lets through; chosen rows have been counted when they were chosen.
    fn measure(&mut self) -> Result<(), MvccError> {
        if matches!(self.rest, Rest::Rows { .. }) {
            return Ok(());
        }
        let mut totals = std::mem::take(&mut self.totals);
        let limit = self.request.filters.row_limit().map_or(u64::MAX, |limit| limit as u64);
        let keys_only = self.request.filters.keys_only;
        self.walk(|row| {
            if totals.kvs == limit {
                totals.more = true;
                return false;
            }
            totals.add(rendered_len(&row, keys_only));
            true
        })?;
        self.totals = totals;
        Ok(())
    }

    /// Gives the rows from the present place on to `each` until that returns false.
    fn walk<'s>(&'s self, mut each: impl FnMut(Row<'s>) -> bool) -> Result<(), MvccError> {
        let reader = self.view.reader();
        let range = KeyRange::new(&self.request.key, &self.request.range_end);
        let filters = &self.request.filters;
        match &self.rest {
            Rest::Ascending { from } => {
                let range = range.starting_at(from);
                if range.is_empty() {
                    return Ok(());
                }
                let mut scan = Scan::new(&reader, range, self.at)?;
                while let Some(row) = scan.next()? {
                    if filters.admits(&row.info) && !each(row) {
                        break;
                    }
                }
            }
            Rest::Descending { before } => {
                let range = before.as_ref().map_or(range, |before| range.ending_before(before));
                if range.is_empty() {
                    return Ok(());
                }
                let mut scan = DescendingScan::new(&reader, range)?;
                while let Some(row) = scan.next()? {
                    if filters.admits(&row.info) && !each(row) {
                        break;
                    }
                }
            }
            Rest::Rows { rows, next } => {
                for (key, info) in &rows[*next..] {
                    if !each(Row { key: key.into(), info: *info }) {
                        break;
                    }
                }
            }
        }
        Ok(())
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
