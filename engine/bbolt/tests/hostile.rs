//! Hostile input: whatever the bytes are, the reader answers with entries or an error, never a panic, and it never reads
//! more than a small multiple of the file.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use holdfast_bbolt::read::Item;
use holdfast_bbolt::{Database, ReadError, Source, write_image};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;

/// Counts the bytes that are read.
struct Counted<'a> {
    bytes: &'a [u8],
    read: Cell<u64>,
}

impl Source for Counted<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.set(self.read.get() + buffer.len() as u64);
        self.bytes.read_at(offset, buffer)
    }
}

/// Uses everything that the reader can do. Returns whether nothing at all was noticed.
fn exercise(bytes: &[u8]) -> bool {
    let source = Counted { bytes, read: Cell::new(0) };
    let Ok(database) = Database::open(&source) else { return false };
    let step = |what: &str| {
        // The second level of reading, entry by entry in long leaves, is what makes it more than once the file.
        let limit = 3 * bytes.len() as u64 + 65_536;
        assert!(source.read.replace(0) <= limit, "{what} read more than {limit} bytes");
    };
    step("open");
    let sound = database.check().is_ok_and(|report| {
        assert_eq!(report.total == 0, report.is_sound());
        assert!(report.faults.len() as u64 <= report.total);
        for fault in &report.faults {
            assert!(!fault.to_string().is_empty());
        }
        report.is_sound()
    });
    step("check");
    let status = database.status().is_ok();
    step("status");
    let mut entries = 0;
    let walked = database.for_each(|item| {
        entries += u64::from(matches!(item, Item::Entry { .. }));
        Ok::<(), ReadError>(())
    });
    assert!(entries <= bytes.len() as u64);
    step("walk");
    for bucket in database.buckets().take(20) {
        let Ok(bucket) = bucket else { break };
        step("buckets");
        let mut entries = bucket.entries();
        let mut last = Vec::new();
        while let Ok(Some(entry)) = entries.next() {
            assert!(entry.key > last.as_slice());
            last = entry.key.to_vec();
        }
        step("entries");
        let _ = bucket.get(&last);
        step("get");
    }
    let _ = database.bucket(b"key");
    sound && status && walked.is_ok()
}

fn revision_key(main: u64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &[0; 8]].concat()
}

/// A file with inline buckets, a bucket of `count` entries, and one with overflow pages.
fn image(count: u64, value_len: usize, big: usize) -> Vec<u8> {
    let small = Bucket::from([(b"consistent_index".to_vec(), vec![0; 8])]);
    let record = [&[0x0a, 1, b'k', 0x2a, value_len as u8], vec![b'v'; value_len].as_slice()].concat();
    let key = (2..count + 2).map(|main| (revision_key(main), record.clone())).collect();
    let long = Bucket::from([(b"big".to_vec(), vec![7; big])]);
    let mut image = Vec::new();
    write_image(&mut image, &[("empty", &Bucket::new()), ("key", &key), ("long", &long), ("meta", &small)])
        .unwrap();
    image
}

#[test]
fn the_untouched_files_are_sound() {
    assert!(exercise(&image(10, 100, 5000)));
    assert!(exercise(&image(2000, 50, 2_000_000)));
}

#[test]
fn truncated_at_every_length() {
    let image = image(30, 100, 5000);
    for len in 0..image.len() {
        assert!(!exercise(&image[..len]), "length {len}");
    }
}

#[test]
fn every_single_bit_flipped() {
    let mut image = image(6, 100, 1200);
    for bit in 0..image.len() * 8 {
        image[bit / 8] ^= 1 << (bit % 8);
        exercise(&image);
        image[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Numbers that make trouble, put where numbers are.
#[test]
fn numbers_replaced_at_random() {
    let clean = [image(30, 100, 5000), image(1500, 50, 1_200_000)];
    let mut random = SmallRng::seed_from_u64(20_240_607);
    for round in 0..30_000 {
        // The second file is larger, and needs fewer rounds.
        let clean = &clean[usize::from(round % 20 == 0)];
        let mut image = clean.clone();
        for _ in 0..random.random_range(1..6) {
            let page = random.random_range(0..image.len() / 4096);
            // Mostly header and first elements.
            let words = if random.random_bool(0.8) { 16 } else { 1023 };
            let at = page * 4096 + 4 * random.random_range(0..words);
            let pages = image.len() as u64 / 4096;
            let number = match random.random_range(0..6) {
                0 => random.random_range(0..pages + 1),
                1 => u64::MAX >> random.random_range(0..64),
                2 => 1 << random.random_range(0..64),
                3 => random.random_range(0..8192),
                4 => pages,
                _ => 0,
            };
            let width = if random.random_bool(0.5) { 4 } else { 8 };
            image[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        }
        exercise(&image);
    }
}

/// Whole pages swapped, repeated and zeroed: each is plausible alone.
#[test]
fn pages_mixed_at_random() {
    let clean = image(1500, 50, 100_000);
    let pages = clean.len() / 4096;
    let mut random = SmallRng::seed_from_u64(7);
    for _ in 0..1500 {
        let mut image = clean.clone();
        for _ in 0..random.random_range(1..4) {
            let (from, to) = (random.random_range(0..pages), random.random_range(2..pages));
            image.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
            // Half of the copies claim to belong where they are.
            if random.random_bool(0.5) {
                image[to * 4096..to * 4096 + 8].copy_from_slice(&(to as u64).to_le_bytes());
            }
        }
        exercise(&image);
    }
}
