//! Writes groups with plain calls to the device. On files this is the blocking writer: one durable call for each group,
//! made when the group is submitted. With two slots, on devices other than files, the groups are written as they come
//! and synced together when the caller waits: so a test has two groups in flight without any concurrency.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::{Done, GroupWriter};
use crate::buffer::AlignedBuffer;
use crate::core::assemble::GroupWrite;
use crate::device::{LogDevice, SegmentName};
use crate::error::WalError;
use crate::queue::Queue;

/// See the module.
pub(crate) struct PlainWriter {
    device: Arc<dyn LogDevice>,
    slots: usize,
    durable: bool,
    in_flight: Vec<Done>,
}

impl PlainWriter {
    /// Writes to this device; durably or, for those who asked for it, not.
    pub(crate) fn new(device: Arc<dyn LogDevice>, slots: usize, durable: bool) -> Self {
        PlainWriter { device, slots, durable, in_flight: Vec::with_capacity(slots) }
    }
}

impl GroupWriter for PlainWriter {
    fn slots(&self) -> usize {
        self.slots
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn submit(&mut self, write: GroupWrite, buffer: AlignedBuffer) {
        let begun = Instant::now();
        let name = SegmentName::Segment(write.place.segment);
        let result = if self.durable && self.slots == 1 {
            self.device.write_durable(name, write.place.offset, buffer.bytes())
        } else {
            self.device.write_at(name, write.place.offset, buffer.bytes())
        };
        self.in_flight.push(Done { write, buffer, begun, result: result.map_err(WalError::from) });
    }

    fn collect(&mut self, _arrivals: Option<&Queue>, done: &mut Vec<Done>) {
        if self.durable && self.slots > 1 {
            let written: BTreeSet<u64> = self.in_flight.iter().map(|done| done.write.place.segment).collect();
            for segment in written {
                if let Err(error) = self.device.sync(SegmentName::Segment(segment)) {
                    for group in self.in_flight.iter_mut().filter(|d| d.write.place.segment == segment) {
                        group.result = Err(error.clone().into());
                    }
                }
            }
        }
        done.append(&mut self.in_flight);
    }
}
