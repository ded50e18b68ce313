//! The scrubber: reads the whole database once in a while, so that decay is found while there are other copies.
//!
//! A thread of low priority takes a few pages, compares their checksums ([`Db::scrub_step`]), and sleeps. Its pace follows
//! the size of the database, so that a round takes `--scrub-interval`; it is never faster than [`MAX_BYTES_PER_SECOND`],
//! whatever the size, and never sleeps longer than [`MAX_PAUSE`]. A damaged page stops the member, as it does when a
//! client's read meets it: what cannot be trusted is not served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use holdfast_engine::EngineError;
use holdfast_engine::tree::{Db, ScrubPlace};

use super::shared::Shared;

/// Pages compared at a time.
const STEP_PAGES: u64 = 16;

/// A database so large that a round would have to be faster than this takes longer: the disk has other things to do. At
/// the default interval of a day that is one of 350 GB.
const MAX_BYTES_PER_SECOND: u64 = 4 << 20;

/// A small database is read more often than asked, which costs next to nothing.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How much the thread gives way to others.
const NICE: i32 = 10;

/// What the scrubber has done since the start, for the metrics.
#[derive(Debug, Default)]
pub(super) struct ScrubCounters {
    pages: AtomicU64,
    faults: AtomicU64,
    rounds: AtomicU64,
    last_round: AtomicU64,
}

/// [`ScrubCounters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubStats {
    /// Pages compared.
    pub pages: u64,
    /// Damaged pages found.
    pub faults: u64,
    /// Rounds through the whole database.
    pub rounds: u64,
    /// When the last round was complete, in seconds since 1970; 0 for not yet.
    pub last_round: u64,
}

impl ScrubCounters {
    pub(super) fn stats(&self) -> ScrubStats {
        ScrubStats {
            pages: self.pages.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            rounds: self.rounds.load(Ordering::Relaxed),
            last_round: self.last_round.load(Ordering::Relaxed),
        }
    }
}

/// Starts the thread. It ends when the sender is dropped.
pub(super) fn start(
    db: Db,
    shared: Arc<Shared>,
    interval: Duration,
    counters: Arc<ScrubCounters>,
) -> std::io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = bounded(0);
    let watched = Arc::clone(&shared);
    let thread = super::start::spawn("scrub", &watched, move || {
        // On Linux this is the thread's own; where it is refused the thread runs like any other.
        let _ = rustix::process::setpriority_process(None, NICE);
        run(&db, &shared, interval, &counters, &stopped);
    })?;
    Ok((stop, thread))
}

fn run(db: &Db, shared: &Shared, interval: Duration, counters: &ScrubCounters, stopped: &Receiver<()>) {
    let mut place = ScrubPlace::default();
    loop {
        let stats = db.stats();
        let pause = pause(interval, stats.pages_in_use, u64::from(stats.page_size));
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) || shared.has_failed() {
            return;
        }
        let step = db.scrub_step(&mut place, STEP_PAGES);
        counters.pages.fetch_add(step.pages, Ordering::Relaxed);
        counters.faults.fetch_add(step.faults.len() as u64, Ordering::Relaxed);
        for fault in &step.faults {
            tracing::error!(page = fault.page, tree = fault.tree, error = %fault, "the scrubber has found a damaged page");
        }
        if let Some(fault) = step.faults.into_iter().next() {
            shared.fail(EngineError::Corrupt(Box::new(fault)).to_string());
            return;
        }
        if step.round_done {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            counters.last_round.store(now.as_secs(), Ordering::Relaxed);
            counters.rounds.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(
                pages = counters.pages.load(Ordering::Relaxed),
                "every page of the database was compared"
            );
        }
    }
}

/// Sleep between two steps, so that a round over so many pages takes `interval`.
fn pause(interval: Duration, pages: u64, page_bytes: u64) -> Duration {
    let steps = (pages / STEP_PAGES + 1).min(u64::from(u32::MAX)) as u32;
    let shortest = Duration::from_secs_f64((STEP_PAGES * page_bytes) as f64 / MAX_BYTES_PER_SECOND as f64);
    (interval / steps).clamp(shortest, MAX_PAUSE.max(shortest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_size_within_bounds() {
        let day = Duration::from_secs(86_400);
        // 4 GiB in a day: 65,536 steps of 64 KiB.
        let four_gib = pause(day, (4 << 30) / 4096, 4096);
        assert!((1.2..1.4).contains(&four_gib.as_secs_f64()), "{four_gib:?}");
        assert_eq!(pause(day, 10, 4096), MAX_PAUSE);
        assert_eq!(pause(Duration::ZERO, 10, 4096), Duration::from_secs_f64(1.0 / 64.0));
        assert_eq!(pause(day, u64::MAX, 4096), Duration::from_secs_f64(1.0 / 64.0));
    }
}
