//! Damage that no crash explains: refused with the place, never a panic, never a silent loss.

use std::sync::Arc;

use holdfast_wal::testing::RecordingDevice;
use holdfast_wal::{Config, HardState, InlineWal, SegmentName, WalError};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::{Model, entries, shared, tiny};

const AREA: u64 = 8192;
const BLOCK: usize = 4096;

/// A log of several segments, closed, and what is in it.
fn closed_log() -> (Arc<RecordingDevice>, Model) {
    let device = Arc::new(RecordingDevice::new());
    let mut wal = InlineWal::create(shared(&device), tiny().0, b"damage").unwrap();
    let mut model = Model::default();
    for index in 1..=60 {
        let mut batch = entries(index..=index, 1, 1500);
        batch.hard_state = Some(HardState { term: 1, vote: 2, commit: index });
        model.append(&batch);
        wal.append(batch, index).unwrap();
        wal.flush().unwrap();
    }
    wal.close().unwrap();
    (device, model)
}

fn copy(device: &RecordingDevice) -> Arc<RecordingDevice> {
    Arc::new(device.power_loss())
}

fn open(device: &Arc<RecordingDevice>) -> Result<Model, WalError> {
    InlineWal::open(shared(device), tiny().0).map(|(_, recovered)| Model::of(&recovered))
}

/// All groups: segment, offset, number, bytes used without padding, and whether it is the last one.
fn groups(device: &RecordingDevice) -> Vec<(u64, u64, u64, u64)> {
    let mut found = Vec::new();
    for sequence in 1..100 {
        let Some(bytes) = device.bytes(SegmentName::Segment(sequence)) else { break };
        for (at, block) in bytes.chunks(BLOCK).enumerate().skip(AREA as usize / BLOCK) {
            if block.starts_with(b"HFWG") {
                let number = u64::from_le_bytes(block[16..24].try_into().unwrap());
                let payload = u32::from_le_bytes(block[48..52].try_into().unwrap());
                found.push((sequence, (at * BLOCK) as u64, number, 64 + u64::from(payload)));
            }
        }
    }
    found
}

#[test]
fn a_damaged_group_is_refused_and_named() {
    let (device, model) = closed_log();
    assert_eq!(open(&copy(&device)).unwrap(), model);
    let mut rng = SmallRng::seed_from_u64(1);
    let all = groups(&device);
    assert!(all.len() > 60 && all.last().unwrap().0 > 5);
    // The last one is the seal, which holds nothing.
    for &(sequence, at, number, used) in &all[..all.len() - 1] {
        for _ in 0..8 {
            let broken = copy(&device);
            let byte = at + rng.random_range(0..used);
            broken.flip_bit(SegmentName::Segment(sequence), byte, rng.random_range(0..8));
            let error = open(&broken).unwrap_err();
            let WalError::Damaged { segment, offset, group, .. } = &error else { panic!("{error}") };
            assert_eq!((*segment, *offset, *group), (SegmentName::Segment(sequence), at, number));
            let text = error.to_string();
            assert!(
                text.contains(&format!("{sequence:016x}.log")) && text.contains(&at.to_string()),
                "{text}"
            );
            assert!(text.contains("remove this member"), "it says what to do: {text}");
        }
    }
    let &(sequence, at, ..) = all.last().unwrap();
    device.flip_bit(SegmentName::Segment(sequence), at + 20, 3);
    assert_eq!(open(&device).unwrap(), model, "nothing is lost with the seal");
}

#[test]
fn a_damaged_group_is_refused_though_the_log_was_not_closed() {
    let device = Arc::new(RecordingDevice::new());
    let mut wal = InlineWal::create(shared(&device), tiny().0, b"").unwrap();
    for index in 1..=4 {
        wal.append(entries(index..=index, 1, 100), index).unwrap();
        wal.flush().unwrap();
    }
    drop(wal);
    for group in 0..3 {
        let broken = copy(&device);
        broken.flip_bit(SegmentName::Segment(1), AREA + group * BLOCK as u64 + 70, 0);
        assert!(matches!(open(&broken), Err(WalError::Damaged { .. })));
    }
}

/// The last group of a segment was durable when the next segment was begun. Even if that is empty, its header says so.
#[test]
fn damage_before_an_empty_segment_is_refused() {
    let device = Arc::new(RecordingDevice::new());
    device.record();
    let mut wal = InlineWal::create(shared(&device), tiny().0, b"").unwrap();
    for index in 1..=10 {
        wal.append(entries(index..=index, 1, 3000), index).unwrap();
        wal.flush().unwrap();
    }
    let mut seen = 0;
    for steps in 0..=device.steps() {
        let left = Arc::new(device.crash_at(steps, &mut |_| holdfast_wal::testing::Fate::Lose));
        let written = groups(&left);
        let begun = left.bytes(SegmentName::Segment(2)).is_some();
        if begun && written.iter().all(|(sequence, ..)| *sequence == 1) {
            seen += 1;
            let &(_, at, number, _) = written.last().unwrap();
            left.flip_bit(SegmentName::Segment(1), at + 100, 0);
            let error = open(&left).unwrap_err();
            assert!(
                matches!(error, WalError::Damaged { offset, group, .. } if (offset, group) == (at, number))
            );
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_damaged_header_is_refused_and_named() {
    let (device, _) = closed_log();
    for sequence in [1, 3, groups(&device).last().unwrap().0] {
        for byte in [0, 9, 13, 17, 30, 60, 130, 8000] {
            let broken = copy(&device);
            broken.flip_bit(SegmentName::Segment(sequence), byte, 1);
            match open(&broken).unwrap_err() {
                WalError::DamagedHeader { segment, .. } => {
                    assert_eq!(segment, SegmentName::Segment(sequence));
                }
                WalError::NewerFormat { segment, .. } => {
                    assert_eq!((segment, byte), (SegmentName::Segment(sequence), 9));
                }
                other => panic!("{other}"),
            }
        }
    }
    let mut bytes = device.bytes(SegmentName::Segment(2)).unwrap();
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    device.put(SegmentName::Segment(2), bytes);
    let error = open(&device).unwrap_err();
    assert!(matches!(error, WalError::NewerFormat { found: 2, supported: 1, .. }));
    assert!(error.to_string().contains("upgrade"));
}

#[test]
fn missing_strange_and_cut_segments_are_refused() {
    use holdfast_wal::LogDevice;
    let (device, _) = closed_log();
    let last = groups(&device).last().unwrap().0;
    for sequence in 2..last {
        let broken = copy(&device);
        broken.remove(SegmentName::Segment(sequence)).unwrap();
        let error = open(&broken).unwrap_err();
        let named = matches!(&error, WalError::MissingSegment { missing: SegmentName::Segment(m), .. } if *m == sequence);
        assert!(named, "{error}");
    }
    let broken = copy(&device);
    broken.remove(SegmentName::Segment(1)).unwrap();
    assert!(matches!(open(&broken), Err(WalError::Damaged { .. })), "the first was not released");
    for len in [0, 100, 8191, 8192, 12288, 40 * 1024 - 1] {
        let broken = copy(&device);
        let bytes = broken.bytes(SegmentName::Segment(2)).unwrap();
        broken.put(SegmentName::Segment(2), bytes[..len].to_vec());
        assert!(matches!(open(&broken), Err(WalError::DamagedHeader { .. })), "{len}");
    }
    let broken = copy(&device);
    broken.put(SegmentName::Segment(last + 1), vec![0xa5; 40 << 10]);
    assert!(matches!(open(&broken), Err(WalError::DamagedHeader { .. })));
    let broken = copy(&device);
    broken.put(SegmentName::Segment(2), broken.bytes(SegmentName::Segment(3)).unwrap());
    assert!(matches!(open(&broken), Err(WalError::DamagedHeader { .. })), "a segment under another's name");
    let other = Arc::new(RecordingDevice::new());
    InlineWal::create(shared(&other), tiny().0, b"another member").unwrap().close().unwrap();
    assert!(matches!(InlineWal::create(shared(&other), tiny().0, b""), Err(WalError::AlreadyExists { .. })));
    let mut strange = closed_log().0.bytes(SegmentName::Segment(2)).unwrap();
    strange[128] ^= 1;
    broken.put(SegmentName::Segment(2), strange);
    assert!(matches!(open(&broken), Err(WalError::DamagedHeader { .. })));
}

#[test]
fn an_empty_device_is_no_log() {
    let device = Arc::new(RecordingDevice::new());
    assert!(matches!(open(&device), Err(WalError::NoLog { .. })));
    let long = vec![0; 4097];
    let error = InlineWal::create(shared(&device), tiny().0, &long).map(|_| ()).unwrap_err();
    assert!(matches!(error, WalError::MetadataTooLong { bytes: 4097, limit: 4096 }));
}

/// Garbage over any part of the files: an error, or a log that is a prefix of the old one. Never a panic, never
/// anything that was not there.
#[test]
fn garbage_never_panics_and_never_invents() {
    let (device, model) = closed_log();
    let last = groups(&device).last().unwrap().0;
    let mut states = vec![Model::default()];
    for entry in &model.entries {
        let mut next = states.last().unwrap().clone();
        next.entries.push(entry.clone());
        next.hard_state = Some(HardState { term: 1, vote: 2, commit: entry.index });
        states.push(next);
    }
    for seed in 0..600 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let broken = copy(&device);
        for _ in 0..rng.random_range(1..4) {
            let name = SegmentName::Segment(rng.random_range(1..=last));
            let mut bytes = broken.bytes(name).unwrap();
            let from = rng.random_range(0..bytes.len());
            let to = rng.random_range(from..=(from + 6000).min(bytes.len()));
            match rng.random_range(0..3) {
                0 => bytes[from..to].fill(0),
                1 => rng.fill(&mut bytes[from..to]),
                _ => bytes.copy_within(from..to, 0),
            }
            broken.put(name, bytes);
        }
        if let Ok(found) = open(&broken) {
            assert!(states.contains(&found), "seed {seed}");
        }
    }
}

/// A value may hold anything, even a copy of a group: where the log is torn, it must not be taken for one.
#[test]
fn a_group_inside_a_value_is_not_believed() {
    let (device, _) = closed_log();
    let stolen = device.bytes(SegmentName::Segment(2)).unwrap()[AREA as usize..].to_vec();
    let target = Arc::new(RecordingDevice::new());
    let config = || Config { max_entry_bytes: 20_000, ..tiny().0 };
    let mut wal = InlineWal::create(shared(&target), config(), b"").unwrap();
    wal.append(entries(1..=1, 1, 100), 1).unwrap();
    wal.flush().unwrap();
    target.record();
    let mut batch = entries(2..=2, 1, 0);
    // So many bytes that a copied group starts at a block: header of the group and of the record, then filling.
    let mut data = vec![0; BLOCK - 64 - 24];
    data.extend_from_slice(&stolen[..2 * BLOCK]);
    batch.entries[0].data = data.into();
    wal.append(batch, 2).unwrap();
    wal.flush().unwrap();
    let mut header_lost =
        |_| holdfast_wal::testing::Fate::Sectors((0..40).map(|sector| sector > 0).collect());
    let left = Arc::new(target.crash_at(1, &mut header_lost));
    let (_, recovered) = InlineWal::open(shared(&left), config()).unwrap();
    assert_eq!(recovered.entries.len(), 1);
}
