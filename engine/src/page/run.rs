//! Overflow runs: contiguous pages for what does not fit into a cell.
//!
//! A run holds the whole key and the whole value of one entry (or one long separator of a branch, without
//! a value), so that the value is one slice, and so that whoever meets a run knows whose it is. It belongs
//! to exactly one cell, whichever page that cell moves to.
//!
//! ```text
//! header (32; see the header's module) · key · value · zeros up to the end of the last page
//! ```
//!
//! The cell holds the checksum of all of it, padding included.

use super::{Checked, Fault, Geometry, HEADER_BYTES, Header, Kind, u32_at, u64_at};

/// A cell's reference to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunRef {
    pub(crate) page: u64,
    pub(crate) checksum: u64,
    /// The transaction that wrote it: needed when it is freed, and the run may not be in memory then.
    pub(crate) txn: u64,
    pub(crate) key_bytes: u32,
    pub(crate) value_bytes: u32,
}

impl RunRef {
    /// Pages in the run.
    pub(crate) fn pages(&self, geometry: Geometry) -> u64 {
        run_pages(geometry, self.key_bytes as usize, self.value_bytes as usize)
    }
}

/// Pages that a run with such a key and value takes.
pub(crate) fn run_pages(geometry: Geometry, key_bytes: usize, value_bytes: usize) -> u64 {
    (HEADER_BYTES + key_bytes + value_bytes).div_ceil(geometry.size) as u64
}

/// The bytes of a run, without its place.
pub(crate) fn build_run(geometry: Geometry, tree: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let pages = run_pages(geometry, key.len(), value.len());
    let mut bytes = Vec::with_capacity(pages as usize * geometry.size);
    bytes.resize(HEADER_BYTES, 0);
    Header { kind: Kind::Run, tree, level: 0, count: pages as u32, number: 0, txn: 0 }.write(&mut bytes);
    bytes[24..28].copy_from_slice(&(key.len() as u32).to_le_bytes());
    bytes[28..32].copy_from_slice(&(value.len() as u32).to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes.resize(pages as usize * geometry.size, 0);
    bytes
}

/// Key and value of a run, whose header must say what its cell says.
pub(crate) fn read_run<'a>(
    bytes: &'a [u8],
    geometry: Geometry,
    tree: u8,
    run: &RunRef,
) -> Checked<(&'a [u8], &'a [u8])> {
    let want = u32::from_le_bytes([Kind::Run as u8, tree, 0, 0]);
    let same = u32_at(bytes, 0) == Some(want)
        && u32_at(bytes, 4).map(u64::from) == Some(run.pages(geometry))
        && u64_at(bytes, 8) == Some(run.page)
        && u32_at(bytes, 24) == Some(run.key_bytes)
        && u32_at(bytes, 28) == Some(run.value_bytes);
    if !same {
        return Err(Fault::page(run.page, "the header of an overflow run is not what its entry says"));
    }
    let key_end = HEADER_BYTES + run.key_bytes as usize;
    let value_end = key_end + run.value_bytes as usize;
    match (bytes.get(HEADER_BYTES..key_end), bytes.get(key_end..value_end)) {
        (Some(key), Some(value)) => Ok((key, value)),
        _ => Err(Fault::page(run.page, "an overflow run is shorter than its entry says")),
    }
}
