//! What the tests have in common: a small configuration, a listener for tickets, and the model that the log is held to.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_wal::testing::RecordingDevice;
use holdfast_wal::{Batch, Config, Entry, HardState, LogDevice, LogStart, Recovered, WalError};
use parking_lot::{Condvar, Mutex};
use rand::Rng;
use rand::rngs::SmallRng;

/// What was reported as durable.
#[derive(Default)]
pub(crate) struct Reports {
    state: Mutex<(u64, Vec<WalError>)>,
    changed: Condvar,
}

impl Reports {
    /// The highest durable ticket.
    pub(crate) fn ticket(&self) -> u64 {
        self.state.lock().0
    }

    /// All errors that were reported.
    pub(crate) fn errors(&self) -> Vec<WalError> {
        self.state.lock().1.clone()
    }

    /// Waits for a ticket or an error.
    pub(crate) fn wait_for(&self, ticket: u64) {
        let mut state = self.state.lock();
        while state.0 < ticket && state.1.is_empty() {
            self.changed.wait(&mut state);
        }
    }
}

/// A configuration with tiny segments, and its reports.
pub(crate) fn tiny() -> (Config, Arc<Reports>) {
    let reports = Arc::new(Reports::default());
    let heard = reports.clone();
    let config = Config {
        segment_bytes: 40 << 10,
        max_entry_bytes: 10_000,
        max_group_bytes: 12 << 10,
        on_durable: Arc::new(move |result| {
            let mut state = heard.state.lock();
            match result {
                Ok(ticket) => {
                    assert!(ticket >= state.0, "tickets go up");
                    assert!(state.1.is_empty(), "nothing is reported after a failure");
                    state.0 = ticket;
                }
                Err(error) => state.1.push(error),
            }
            heard.changed.notify_all();
        }),
        ..Config::default()
    };
    (config, reports)
}

/// The device as the log wants it.
pub(crate) fn shared(device: &Arc<RecordingDevice>) -> Arc<dyn LogDevice> {
    device.clone()
}

/// An entry whose data can be told from its index and term.
pub(crate) fn entry(index: u64, term: u64, len: usize) -> Entry {
    let mut data = format!("{index}/{term}/").into_bytes();
    let seed = index.wrapping_mul(31).wrapping_add(term) as u8;
    data.extend((0..len).map(|at| seed.wrapping_add(at as u8)));
    Entry { index, term, kind: (index % 3) as u8, data: Bytes::from(data) }
}

/// A batch of entries only.
pub(crate) fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64, len: usize) -> Batch {
    Batch { entries: indexes.map(|index| entry(index, term, len)).collect(), ..Batch::default() }
}

/// The log as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) start: LogStart,
    pub(crate) entries: Vec<Entry>,
    pub(crate) hard_state: Option<HardState>,
}

impl Model {
    pub(crate) fn last(&self) -> u64 {
        self.start.index + self.entries.len() as u64
    }

    pub(crate) fn append(&mut self, batch: &Batch) {
        if let Some(start) = batch.reset {
            self.start = start;
            self.entries.clear();
        }
        for entry in &batch.entries {
            self.entries.truncate((entry.index - self.start.index - 1) as usize);
            self.entries.push(entry.clone());
        }
        self.hard_state = batch.hard_state.or(self.hard_state);
    }

    pub(crate) fn release(&mut self, index: u64) {
        let count = index.min(self.last()).saturating_sub(self.start.index) as usize;
        if let Some(last) = self.entries.drain(..count).last() {
            self.start = LogStart { index: last.index, term: last.term };
        }
    }

    /// A model of what was recovered.
    pub(crate) fn of(recovered: &Recovered) -> Model {
        Model { start: recovered.start, entries: recovered.entries.clone(), hard_state: recovered.hard_state }
    }

    /// True when the other is this log, or this log released a little less or more far. A release is a hint: it may
    /// be forgotten by a crash.
    pub(crate) fn agrees(&self, other: &Model) -> bool {
        if self.last() != other.last() || self.hard_state != other.hard_state {
            return false;
        }
        let from = self.start.index.max(other.start.index);
        let tail = |model: &Model| model.entries[(from - model.start.index) as usize..].to_vec();
        tail(self) == tail(other)
    }

    /// A batch that could follow: mostly appends, some of them going back, some hard states, few resets.
    pub(crate) fn random_batch(&self, rng: &mut SmallRng) -> Batch {
        let term = self.entries.last().map_or(self.start.term, |e| e.term) + u64::from(rng.random_bool(0.1));
        let mut batch = Batch::default();
        let mut next = self.last() + 1;
        if rng.random_bool(0.02) {
            let index = self.start.index + rng.random_range(0..20);
            batch.reset = Some(LogStart { index, term: term + 1 });
            next = index + 1;
        } else if rng.random_bool(0.15) && !self.entries.is_empty() {
            next = rng.random_range(self.start.index + 1..=self.last());
        }
        let longest = if rng.random_bool(0.1) { 9_000 } else { 600 };
        for offset in 0..rng.random_range(0..6) {
            batch.entries.push(entry(next + offset, term + 1, rng.random_range(0..longest)));
        }
        if rng.random_bool(0.4) {
            let commit = batch.entries.last().map_or(next - 1, |e| e.index);
            batch.hard_state = Some(HardState { term: term + 1, vote: rng.random_range(0..4), commit });
        }
        batch
    }
}
