//! Properties: what is written is read back, in any shape of buckets, and the file is sound.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use holdfast_bbolt::read::Item;
use holdfast_bbolt::{Database, ReadError, write_image};
use proptest::prelude::*;

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;
type Buckets = BTreeMap<Vec<u8>, Bucket>;

fn image(buckets: &Buckets) -> Vec<u8> {
    let list: Vec<(&Vec<u8>, &Bucket)> = buckets.iter().collect();
    let mut image = Vec::new();
    assert_eq!(write_image(&mut image, &list).unwrap(), image.len() as u64);
    image
}

fn read_back(image: &[u8]) -> Buckets {
    let database = Database::open(image).unwrap();
    let mut buckets = Buckets::new();
    database
        .for_each(|item| {
            match item {
                Item::Bucket { name } => assert!(buckets.insert(name.to_vec(), Bucket::new()).is_none()),
                Item::Entry { bucket, entry } => {
                    assert!(!entry.is_bucket);
                    let bucket = buckets.get_mut(bucket).unwrap();
                    assert!(bucket.insert(entry.key.to_vec(), entry.value.to_vec()).is_none());
                }
            }
            Ok::<(), ReadError>(())
        })
        .unwrap();
    buckets
}

/// Writes, reads, checks, and looks every key up.
fn round_trip(buckets: &Buckets) -> Vec<u8> {
    let image = image(buckets);
    assert_eq!(image.len() % 4096, 0);
    let database = Database::open(image.as_slice()).unwrap();
    assert_eq!(database.size(), image.len() as u64);
    let report = database.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.faults);
    assert!(read_back(&image) == *buckets);
    assert!(database.buckets().map(|bucket| bucket.unwrap().name().to_vec()).eq(buckets.keys().cloned()));
    for (name, entries) in buckets {
        let bucket = database.bucket(name).unwrap().unwrap();
        for (key, value) in entries {
            assert!(bucket.get(key).unwrap().as_ref() == Some(value));
            let absent = [key.as_slice(), b"\0"].concat();
            assert!(entries.contains_key(&absent) || bucket.get(&absent).unwrap().is_none());
        }
        let mut walk = bucket.entries();
        for (key, value) in entries {
            let entry = walk.next().unwrap().unwrap();
            assert!((entry.key, entry.value) == (key.as_slice(), value.as_slice()));
        }
        assert!(walk.next().unwrap().is_none());
    }
    image
}

/// Levels of branch pages above the leftmost leaf of a bucket, counted from the bytes.
fn branch_levels(image: &[u8], bucket: &[u8]) -> usize {
    let u64_at = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let root_leaf = u64_at(32) as usize * 4096;
    let count = usize::from(image[root_leaf + 10]);
    let element = (0..count).map(|index| root_leaf + 16 + 16 * index).find(|element| {
        let at = element + u32_at(element + 4);
        image[at..at + u32_at(element + 8)] == *bucket
    });
    let element = element.unwrap();
    let mut page = u64_at(element + u32_at(element + 4) + bucket.len()) as usize;
    let mut levels = 0;
    while image[page * 4096 + 8] == 1 {
        page = u64_at(page * 4096 + 16 + 8) as usize;
        levels += 1;
    }
    levels
}

/// Lengths that lie at the interesting borders more often than by chance.
fn value_len() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..40usize, 4 => 900..1100usize, 4 => 1800..5000usize, 1 => 60_000..70_000usize]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => prop::collection::vec(any::<u8>(), 1..20),
        1 => (any::<u8>(), 1000..32_768usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn bucket() -> impl Strategy<Value = Bucket> {
    let entry = (key(), (any::<u8>(), value_len()).prop_map(|(byte, len)| vec![byte; len]));
    prop_oneof![
        1 => Just(Bucket::new()),
        3 => prop::collection::btree_map(key(), prop::collection::vec(any::<u8>(), 0..30), 0..12),
        4 => prop::collection::btree_map(entry.0, entry.1, 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_buckets(buckets in prop::collection::btree_map(key(), bucket(), 0..8)) {
        round_trip(&buckets);
    }

    #[test]
    fn many_small_entries(count in 0..6000u32, value_len in 0..64usize) {
        let entries = (0..count).map(|at| (at.to_be_bytes().to_vec(), vec![at as u8; value_len])).collect();
        round_trip(&Buckets::from([(b"key".to_vec(), entries)]));
    }

    #[test]
    fn many_buckets(count in 0..600u32, size in 0..1500usize) {
        let bucket = |at: u32| Bucket::from([(b"k".to_vec(), vec![1; size * (at as usize % 3) / 2])]);
        round_trip(&(0..count).map(|at| (at.to_be_bytes().to_vec(), bucket(at))).collect());
    }
}

#[test]
fn no_bucket_at_all() {
    round_trip(&Buckets::new());
}

#[test]
fn up_to_four_levels_of_branch_pages() {
    for (count, levels) in [(1, 0), (5, 1), (40, 2), (100, 3), (400, 4)] {
        // Four keys of 800 bytes fill a branch page; a leaf holds three such entries.
        let entries = (0..count).map(|at| (format!("{at:0800}").into_bytes(), vec![1; 300])).collect();
        let image = round_trip(&Buckets::from([(b"key".to_vec(), entries)]));
        assert_eq!(branch_levels(&image, b"key"), levels, "{count} keys");
    }
}

#[test]
fn values_of_megabytes() {
    let entries = [0, 65_519, 65_520, 1 << 20, (1 << 20) + 1, 3_000_000]
        .map(|len| (len.to_string().into_bytes(), vec![9; len]));
    let image = round_trip(&Buckets::from([(b"key".to_vec(), entries.into_iter().collect())]));
    let limits = holdfast_bbolt::ReadLimits { max_value_bytes: 2_000_000 };
    let database = Database::open_with(image.as_slice(), limits).unwrap();
    let status = database.for_each(|_| Ok::<(), ReadError>(()));
    assert!(matches!(status, Err(ReadError::ValueTooLong { len: 3_000_000, limit: 2_000_000, .. })));
}

#[test]
fn a_file_is_read_like_memory() {
    let entries: Bucket = (0..3000u32).map(|at| (at.to_be_bytes().to_vec(), vec![3; 100])).collect();
    let image = image(&Buckets::from([(b"key".to_vec(), entries)]));
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &image).unwrap();
    // A file may be longer than its content: newer bbolt grows it ahead.
    file.set_len(image.len() as u64 + 100_000).unwrap();
    let database = Database::open(&file).unwrap();
    assert_eq!(database.size(), image.len() as u64);
    assert!(database.check().unwrap().is_sound());
    let mut entries = 0;
    database
        .for_each(|item| {
            entries += usize::from(matches!(item, Item::Entry { .. }));
            Ok::<(), ReadError>(())
        })
        .unwrap();
    assert_eq!(entries, 3000);
}
