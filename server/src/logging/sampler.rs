//! zap's sampling: of each message, the first hundred in a second and then every hundredth.
//!
//! A client can make the server repeat a warning as fast as it can send requests; the log must not fill the disk for it.
//! Messages are counted by hash in a fixed table, so two of them may share a counter, as in zap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::config::Level;

const SLOTS: usize = 1024;
const FIRST: u64 = 100;
const THEREAFTER: u64 = 100;

/// A counter for one second: the second's number in the upper half, the count in the lower.
pub(super) struct Sampler {
    start: Instant,
    slots: Box<[AtomicU64]>,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether this line is to be written.
    pub(super) fn admits(&self, level: Level, message: &str) -> bool {
        self.admits_at(self.start.elapsed().as_secs(), level, message)
    }

    fn admits_at(&self, second: u64, level: Level, message: &str) -> bool {
        let slot = &self.slots[hash(level, message) as usize % SLOTS];
        let epoch = (second & 0xffff_ffff) << 32;
        let mut seen = slot.load(Ordering::Relaxed);
        let count = loop {
            let next = if seen & !0xffff_ffff == epoch { seen + 1 } else { epoch + 1 };
            match slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break next & 0xffff_ffff,
                Err(now) => seen = now,
            }
        };
        count <= FIRST || (count - FIRST).is_multiple_of(THEREAFTER)
    }
}

/// FNV-1a.
fn hash(level: Level, message: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    message.bytes().fold(step(0xcbf2_9ce4_8422_2325, level as u8), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_then_every_hundredth() {
        let sampler = Sampler::new();
        let admitted = |second| (0..1000).filter(|_| sampler.admits_at(second, Level::Warn, "flood")).count();
        assert_eq!(admitted(7), 100 + 9);
        assert_eq!(admitted(8), 100 + 9, "a new second begins anew");
        assert!(sampler.admits_at(8, Level::Warn, "another"), "another message is counted by itself");
    }
}
