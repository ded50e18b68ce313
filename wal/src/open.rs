//! Brings a log into being, or back: what the handle with a thread and the one without have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::config::Config;
use crate::core::assemble::{Active, Assembler, Start};
use crate::core::segments::Segments;
use crate::core::tail::Tail;
use crate::device::{LogDevice, SegmentName};
use crate::driver::{Shared, begin_segment};
use crate::error::WalError;
use crate::format::effective_block;
use crate::format::group::Lap;
use crate::format::segment::{MAX_METADATA_BYTES, SegmentHeader, area_bytes};
use crate::index::Index;
use crate::keeper::Keeper;
use crate::queue::Queue;
use crate::recover::{self, Torn};
use crate::stats::Counters;
use crate::types::{Entry, HardState, LogStart};

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What the caller gave when the log was created.
    pub metadata: Bytes,
    /// The newest hard state, if one was ever written.
    pub hard_state: Option<HardState>,
    /// Where the log starts: the entry before the first one of `entries`.
    pub start: LogStart,
    /// All entries that stand, with contiguous indexes from `start.index + 1` on.
    pub entries: Vec<Entry>,
    /// What was cut off because its write had not completed; it was never reported as durable.
    pub torn_tail: Option<Torn>,
}

/// A log that is ready to be driven.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) assembler: Assembler,
}

/// Creates an empty log.
pub(crate) fn create(
    device: Arc<dyn LogDevice>,
    config: Config,
    metadata: &[u8],
    background: bool,
) -> Result<Opened, WalError> {
    let device_block = device.block_bytes();
    config.validate(device_block)?;
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(WalError::MetadataTooLong { bytes: metadata.len(), limit: MAX_METADATA_BYTES });
    }
    let mut spares = BTreeMap::new();
    for (name, len) in device.list()? {
        match name {
            SegmentName::Segment(_) => return Err(WalError::AlreadyExists { place: device.place() }),
            SegmentName::Spare(number) => spares.insert(number, len),
        };
    }
    let keeper =
        Keeper::start(device.clone(), config.segment_bytes, config.spare_segments, &spares, background)?;
    let header = SegmentHeader {
        block: effective_block(device_block),
        sequence: 1,
        lap: 1,
        salt: device.salt(),
        segment_bytes: config.segment_bytes,
        first_group: 1,
        first_index: 1,
        durable_through: 0,
        released: LogStart::default(),
        metadata: Bytes::copy_from_slice(metadata),
    };
    begin_segment(device.as_ref(), &keeper, &header, !config.no_sync)?;
    let lap = Lap { number: header.lap, salt: header.salt };
    let mut segments = Segments::default();
    segments.push(header.sequence, lap, header.segment_bytes);
    let active = Active {
        sequence: header.sequence,
        lap,
        offset: area_bytes(header.block),
        bytes: header.segment_bytes,
        empty: true,
    };
    let start = Start {
        block: header.block,
        metadata: header.metadata,
        active,
        highest_lap: header.lap,
        next_group: header.first_group,
        tail: Tail::new(LogStart::default(), header.first_index),
        segments,
        sealed: true,
    };
    Ok(ready(device, config, start, Index::new(0), keeper))
}

/// Opens the log that is there.
pub(crate) fn open(
    device: Arc<dyn LogDevice>,
    config: Config,
    background: bool,
) -> Result<(Opened, Recovered), WalError> {
    let device_block = device.block_bytes();
    config.validate(device_block)?;
    let found = recover::recover(device.as_ref())?;
    if found.start.block < effective_block(device_block) {
        return Err(WalError::InvalidConfig {
            reason: format!(
                "the log was written in blocks of {} bytes, but {} can only write {device_block} at once",
                found.start.block,
                device.place()
            ),
        });
    }
    let keeper = Keeper::start(
        device.clone(),
        config.segment_bytes,
        config.spare_segments,
        &found.spares,
        background,
    )?;
    let recovered = Recovered {
        metadata: found.start.metadata.clone(),
        hard_state: found.start.tail.hard_state(),
        start: found.start.tail.released(),
        entries: found.entries,
        torn_tail: found.torn,
    };
    Ok((ready(device, config, found.start, found.index, keeper), recovered))
}

fn ready(device: Arc<dyn LogDevice>, config: Config, start: Start, index: Index, keeper: Keeper) -> Opened {
    let queue = Queue::new(start.tail.last(), start.tail.released().index, config.max_entry_bytes);
    let assembler = Assembler::new(start, config.max_group_bytes, config.no_sync);
    let shared = Arc::new(Shared {
        device,
        queue,
        index: RwLock::new(index),
        keeper,
        counters: Counters::default(),
        config,
    });
    Opened { shared, assembler }
}

impl Shared {
    /// Reads entries `from..to` back from the device: at least one, and no more groups than `max_bytes` on disk.
    pub(crate) fn read_range(&self, from: u64, to: u64, max_bytes: u64) -> Result<Vec<Entry>, WalError> {
        let wanted = self.index.read().find(from, to, max_bytes)?;
        let mut entries = Vec::new();
        for group in wanted {
            match group.read(self.device.as_ref()) {
                Ok(read) => entries.extend(read),
                Err(error) => {
                    // The segment may have been released and used again meanwhile; then this is no damage.
                    let first = self.index.read().first();
                    let index = entries.last().map_or(from, |entry: &Entry| entry.index + 1);
                    return Err(if index < first { WalError::Released { index, first } } else { error });
                }
            }
        }
        entries.retain(|entry| (from..to).contains(&entry.index));
        Ok(entries)
    }
}
