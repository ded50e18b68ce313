//! What is on a simulated disk: for each file the durable bytes, and the writes since its last sync in their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::device::SegmentName;

/// A disk writes this many bytes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// A write that no sync has followed, at the moment of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsyncedWrite {
    /// The segment, by its name at the crash.
    pub segment: SegmentName,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: usize,
}

/// What a crash makes of an unsynced write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// All of it reached the disk.
    Keep,
    /// Nothing did.
    Lose,
    /// The first sectors did, this many bytes of them (rounded down to whole sectors).
    Prefix(usize),
    /// Those sectors did for which the list says so; a missing item says no.
    Sectors(Vec<bool>),
}

/// One step of the history of a device.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create { name: SegmentName, len: u64 },
    Rename { from: SegmentName, to: SegmentName },
    Remove { name: SegmentName },
    Write { name: SegmentName, offset: u64, data: Arc<[u8]> },
    Sync { name: SegmentName },
}

/// One file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileImage {
    /// What a crash leaves for certain.
    pub(super) durable: Vec<u8>,
    /// What a reader sees.
    pub(super) written: Vec<u8>,
    pub(super) unsynced: Vec<(u64, Arc<[u8]>)>,
}

/// The whole device.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) files: BTreeMap<SegmentName, FileImage>,
}

impl Image {
    /// Carries out one step. The device has checked that it is possible.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { name, len } => {
                let zeros = vec![0; *len as usize];
                let file = FileImage { durable: zeros.clone(), written: zeros, unsynced: Vec::new() };
                self.files.insert(*name, file);
            }
            Op::Rename { from, to } => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(*to, file);
                }
            }
            Op::Remove { name } => {
                self.files.remove(name);
            }
            Op::Write { name, offset, data } => {
                if let Some(file) = self.files.get_mut(name) {
                    put(&mut file.written, *offset, data);
                    file.unsynced.push((*offset, data.clone()));
                }
            }
            Op::Sync { name } => {
                if let Some(file) = self.files.get_mut(name) {
                    for (offset, data) in std::mem::take(&mut file.unsynced) {
                        put(&mut file.durable, offset, &data);
                    }
                }
            }
        }
    }

    /// What a crash leaves, if each unsynced write meets the fate that `decide` gives it.
    pub(super) fn after_crash(&self, decide: &mut dyn FnMut(UnsyncedWrite) -> Fate) -> Image {
        let mut left = Image::default();
        for (&name, file) in &self.files {
            let mut bytes = file.durable.clone();
            for (offset, data) in &file.unsynced {
                let write = UnsyncedWrite { segment: name, offset: *offset, len: data.len() };
                match decide(write) {
                    Fate::Keep => put(&mut bytes, *offset, data),
                    Fate::Lose => {}
                    Fate::Prefix(len) => {
                        let len = len.min(data.len()) / SECTOR_BYTES * SECTOR_BYTES;
                        put(&mut bytes, *offset, &data[..len]);
                    }
                    Fate::Sectors(kept) => {
                        for (at, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                            if kept.get(at) == Some(&true) {
                                put(&mut bytes, *offset + (at * SECTOR_BYTES) as u64, sector);
                            }
                        }
                    }
                }
            }
            let file = FileImage { durable: bytes.clone(), written: bytes, unsynced: Vec::new() };
            left.files.insert(name, file);
        }
        left
    }
}

fn put(bytes: &mut [u8], offset: u64, data: &[u8]) {
    let at = offset as usize;
    bytes[at..at + data.len()].copy_from_slice(data);
}
