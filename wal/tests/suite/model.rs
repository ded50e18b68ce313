//! Random batches, releases, reads and reopens on tiny segments, against a plain vector.

use std::sync::Arc;

use holdfast_wal::testing::RecordingDevice;
use holdfast_wal::{Config, Entry, InlineWal, WalError};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::{Model, shared, tiny};

fn read_all(wal: &InlineWal, model: &Model, rng: &mut SmallRng) {
    let stats = wal.stats();
    assert_eq!(stats.durable_index, model.last());
    assert!(stats.first_index <= model.start.index + 1, "a release may wait for the next group");
    assert!(matches!(wal.read_range(stats.first_index - 1, u64::MAX, 1), Err(WalError::Released { .. })));
    let first = model.start.index + 1;
    if model.entries.is_empty() {
        let from = model.last() + 1;
        assert!(matches!(wal.read_range(from, from + 1, 1), Err(WalError::NotYet { .. })));
        return;
    }
    let mut from = rng.random_range(first..=stats.durable_index);
    let to = rng.random_range(from + 1..=stats.durable_index + 1);
    let mut read: Vec<Entry> = Vec::new();
    let wanted = (from - first) as usize..(to - first) as usize;
    while from < to {
        let part = wal.read_range(from, to, rng.random_range(0..30_000)).unwrap();
        from += part.len() as u64;
        read.extend(part);
    }
    assert_eq!(read, model.entries[wanted]);
}

fn run(seed: u64, slots: usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (config, reports) = tiny();
    let config = Config { groups_in_flight: slots, spare_segments: (seed % 3) as usize, ..config };
    let device = Arc::new(RecordingDevice::new());
    let mut wal = InlineWal::create(shared(&device), config.clone(), b"who").unwrap();
    let mut model = Model::default();
    let (mut ticket, mut rolls) = (0, 0);
    for _ in 0..150 {
        for _ in 0..rng.random_range(1..8) {
            let batch = model.random_batch(&mut rng);
            model.append(&batch);
            ticket += 1;
            wal.append(batch, ticket).unwrap();
        }
        if rng.random_bool(0.3) {
            let index = rng.random_range(0..=model.last() + 2);
            wal.release(index).unwrap();
            model.release(index);
        }
        wal.flush().unwrap();
        assert_eq!(reports.ticket(), ticket, "all that was flushed is durable");
        assert_eq!(wal.stats().queued_bytes, 0);
        read_all(&wal, &model, &mut rng);
        if rng.random_bool(0.1) {
            rolls += wal.stats().rolls;
            match rng.random_range(0..3) {
                0 => wal.close().unwrap(),
                1 => drop(wal),
                // A crash of the machine: all was flushed, so nothing may be missing.
                _ => {
                    drop(wal);
                    let left = Arc::new(device.power_loss());
                    let (_, recovered) = InlineWal::open(shared(&left), config.clone()).unwrap();
                    assert!(model.agrees(&Model::of(&recovered)));
                }
            }
            let (opened, recovered) = InlineWal::open(shared(&device), config.clone()).unwrap();
            assert_eq!(&recovered.metadata[..], b"who");
            assert_eq!(recovered.torn_tail, None);
            assert!(model.agrees(&Model::of(&recovered)), "seed {seed}");
            model.start = recovered.start;
            model.entries = recovered.entries;
            wal = opened;
        }
    }
    let stats = wal.stats();
    assert!(rolls + stats.rolls > 3 && stats.spares <= 3, "{stats:?}");
}

#[test]
fn the_log_is_as_the_model_says() {
    for seed in 0..60 {
        run(seed, 1 + (seed % 2) as usize);
    }
}

#[test]
fn a_release_alone_frees_all_segments_but_the_last() {
    let (config, _) = tiny();
    let device = Arc::new(RecordingDevice::new());
    let mut wal = InlineWal::create(shared(&device), config.clone(), b"").unwrap();
    wal.append(crate::support::entries(1..=100, 1, 3000), 1).unwrap();
    wal.flush().unwrap();
    assert!(wal.stats().segments > 8);
    wal.release(100).unwrap();
    wal.flush().unwrap();
    assert_eq!(wal.stats().segments, 1);
    drop(wal);
    let (_, recovered) = InlineWal::open(shared(&device), config).unwrap();
    assert_eq!((recovered.start.index, recovered.entries.len()), (100, 0));
}

/// The smallest segment that the configuration allows has room for the longest entry and whatever comes with it.
#[test]
fn the_longest_entries_fit_the_smallest_segments() {
    for len in [0, 1, 3900, 4000, 4072, 4073, 9999] {
        let (config, reports) = tiny();
        let mut config = Config { max_entry_bytes: len, max_group_bytes: 1, segment_bytes: 8192, ..config };
        let device = Arc::new(RecordingDevice::new());
        let mut wal = loop {
            match InlineWal::create(shared(&device), config.clone(), b"") {
                Ok(wal) => break wal,
                Err(WalError::InvalidConfig { .. }) => config.segment_bytes += 4096,
                Err(error) => panic!("{error}"),
            }
        };
        for index in 1..=30 {
            let mut batch = crate::support::entries(index..=index, 1, 0);
            batch.entries[0].data = vec![index as u8; len as usize].into();
            batch.hard_state = Some(holdfast_wal::HardState { term: 1, vote: 1, commit: index });
            wal.append(batch, index).unwrap();
        }
        wal.flush().unwrap();
        assert_eq!(reports.ticket(), 30);
        drop(wal);
        let (_, recovered) = InlineWal::open(shared(&device), config).unwrap();
        assert_eq!(recovered.entries.len(), 30);
        assert!(recovered.entries.iter().all(|entry| entry.data.len() == len as usize));
    }
}

#[test]
fn released_segments_are_used_again_and_the_log_stays_small() {
    let (config, _) = tiny();
    let device = Arc::new(RecordingDevice::new());
    let mut wal = InlineWal::create(shared(&device), config.clone(), b"").unwrap();
    let state = holdfast_wal::HardState { term: 1, vote: 9, commit: 0 };
    wal.append(holdfast_wal::Batch { hard_state: Some(state), ..Default::default() }, 0).unwrap();
    for index in 1..=400 {
        wal.append(crate::support::entries(index..=index, 1, 3000), index).unwrap();
        wal.flush().unwrap();
        wal.release(index.saturating_sub(20)).unwrap();
    }
    wal.flush().unwrap();
    let stats = wal.stats();
    assert!(stats.rolls > 40, "{stats:?}");
    assert!(stats.segments <= 5, "{stats:?}");
    drop(wal);
    let (wal, recovered) = InlineWal::open(shared(&device), config).unwrap();
    assert_eq!(recovered.hard_state, Some(state), "it was carried from segment to segment");
    // The last releases went with no group, and were forgotten.
    assert!((20..=25).contains(&recovered.entries.len()));
    assert_eq!(recovered.start.index + recovered.entries.len() as u64, 400);
    assert_eq!(recovered.start.term, 1);
    assert!(wal.stats().spares <= 2);
}
