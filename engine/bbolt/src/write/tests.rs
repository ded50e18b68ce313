#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::{Database, MAX_KEY_LEN};

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;

fn image(buckets: &[(&str, &Bucket)]) -> Vec<u8> {
    let mut image = Vec::new();
    let len = write_image(&mut image, buckets).unwrap();
    assert_eq!(len, image.len() as u64);
    image
}

fn plan(buckets: &[(&str, &[(usize, usize)])]) -> Layout {
    let mut plan = Plan::new();
    for (name, entries) in buckets {
        plan.bucket(name.as_bytes()).unwrap();
        for (key_len, value_len) in *entries {
            plan.entry(*key_len, *value_len).unwrap();
        }
    }
    plan.finish().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The root leaf of a database that etcd 3.5.1 wrote: the parts of it that do not depend on random member ids. An empty
/// bucket `alarm`, a bucket `auth` of 68 bytes, and the start of an inline `key` bucket.
#[test]
fn the_root_leaf_is_byte_for_byte_that_of_etcd() {
    let mut key = Bucket::new();
    let revision = hex("00 00 00 00 00 00 00 06 5f 00 00 00 00 00 00 00 00");
    key.insert(revision.clone(), hex("0a 04 2f 74 6d 70 10 06 18 06 20 01 2a 01 74"));
    for sub in 1..4u8 {
        let mut revision = revision.clone();
        *revision.last_mut().unwrap() = sub;
        key.insert(revision, vec![0x0a; 15 + 9 * usize::from(sub)]);
    }
    let auth = Bucket::from([(b"authRevision".to_vec(), 1u64.to_be_bytes().to_vec())]);
    let empty = Bucket::new();
    let names = ["authRoles", "authUsers", "cluster", "lease", "members", "members_removed", "meta"];
    let mut buckets = vec![("alarm", &empty), ("auth", &auth), ("key", &key)];
    buckets.extend(names.iter().map(|name| (*name, &empty)));
    buckets.sort_unstable_by_key(|(name, _)| *name);
    let image = image(&buckets);
    assert_eq!(image.len(), 3 * 4096);
    let page = &image[2 * 4096..];

    assert_eq!(page[..16], hex("02 00 00 00 00 00 00 00 02 00 0a 00 00 00 00 00"), "leaf, 10 elements");
    assert_eq!(page[16..32], hex("01 00 00 00 a0 00 00 00 05 00 00 00 20 00 00 00"), "alarm: pos 160, 5, 32");
    assert_eq!(page[32..48], hex("01 00 00 00 b5 00 00 00 04 00 00 00 44 00 00 00"), "auth: pos 181, 4, 68");
    assert_eq!(page[176..181], *b"alarm");
    let empty_inline = hex("00000000000000000000000000000000 0000000000000000 0200 0000 00000000");
    assert_eq!(page[181..213], empty_inline);
    let at = page.windows(3).rposition(|bytes| bytes == b"key").unwrap() + 3;
    let inline = &page[at..];
    assert_eq!(inline[..32], hex("00000000000000000000000000000000 0000000000000000 0200 0400 00000000"));
    assert_eq!(inline[32..48], hex("00000000 40000000 11000000 0f000000"), "pos 64, key 17, value 15");
    assert_eq!(inline[96..113], revision);
    assert_eq!(inline[113..128], hex("0a 04 2f 74 6d 70 10 06 18 06 20 01 2a 01 74"));
}

/// The two meta pages differ in page number, transaction and checksum only.
#[test]
fn meta_pages() {
    let layout = plan(&[]);
    assert_eq!((layout.pages(), layout.file_len()), (3, 3 * 4096));
    let image = Emitter::new(layout, 16, Vec::new()).unwrap().finish().unwrap();
    assert_eq!(image.len(), 3 * 4096);
    let start = "0000000000000000 0400 0000 00000000 edda0ced 02000000 00100000 00000000
        0200000000000000 0000000000000000 ffffffffffffffff 0300000000000000";
    assert_eq!(image[..64], hex(start));
    assert_eq!((image[64], image[4096 + 64]), (16, 15));
    assert_eq!((image[0], image[4096]), (0, 1));
    assert_eq!(image[16..64], image[4096 + 16..4096 + 64]);
    assert!(image[80..4096].iter().chain(&image[4096 + 80..8192]).all(|byte| *byte == 0));
    assert_eq!(image[8192..8192 + 16], hex("0200000000000000 0200 0000 00000000"), "an empty root leaf");
    assert_eq!(Database::open(&image).unwrap().meta().txid, 16);
}

#[test]
fn a_bucket_is_inline_up_to_a_quarter_page() {
    for (value, inline) in [(1024 - 32 - 1, true), (1024 - 32, false)] {
        let bucket = Bucket::from([(b"k".to_vec(), vec![7; value])]);
        let image = image(&[("b", &bucket)]);
        let database = Database::open(&image).unwrap();
        assert_eq!(database.bucket(b"b").unwrap().unwrap().is_inline(), inline, "value of {value} bytes");
        assert_eq!(image.len(), if inline { 3 } else { 4 } * 4096);
    }
}

#[test]
fn big_values_take_overflow_pages() {
    let pages = |lengths: &[(usize, usize)]| plan(&[("b", lengths)]).pages() - 3;
    assert_eq!(pages(&[(1, 4096 - 33)]), 1);
    assert_eq!(pages(&[(1, 4096 - 32)]), 2);
    assert_eq!(pages(&[(1, 5000), (1, 5000)]), 3, "one run of three pages, no branch");
    assert_eq!(pages(&[(1, 1 << 20), (1, 1 << 20)]), 2 * 257 + 1, "a run for each, and a branch");
    assert_eq!(pages(&[(1, 2_147_483_646)]), (2_147_483_646u64 + 33).div_ceil(4096));
}

/// Whatever the number of leaves, no branch page has a single child: bbolt asserts that when it deletes.
#[test]
fn every_branch_page_has_two_children() {
    for (count, key_len) in (1..40).map(|count| (count, 32_768)).chain((900..1000).map(|count| (count, 400)))
    {
        let bucket: Bucket =
            (0..count).map(|at| (format!("{at:0key_len$}").into_bytes(), vec![1; 100])).collect();
        let image = image(&[("b", &bucket)]);
        let mut page = 2;
        while page * 4096 < image.len() {
            let header = crate::format::PageHeader::decode(&image[page * 4096..]).unwrap();
            assert_eq!(header.id, page as u64);
            let fewest = if header.flags == crate::format::FLAG_BRANCH { 2 } else { 1 };
            assert!(header.count >= fewest, "{count} keys of {key_len}: page {page} has {}", header.count);
            page += 1 + header.overflow as usize;
        }
        assert!(Database::open(&image).unwrap().check().unwrap().is_sound());
    }
}

#[test]
fn names_and_lengths_that_bbolt_refuses() {
    let mut plan = Plan::new();
    assert!(matches!(plan.entry(1, 1), Err(WriteError::NoBucket)));
    assert!(matches!(plan.bucket(b""), Err(WriteError::NameLength { len: 0 })));
    plan.bucket(b"b").unwrap();
    assert!(matches!(plan.entry(0, 1), Err(WriteError::KeyLength { len: 0, .. })));
    assert!(matches!(plan.entry(32_769, 1), Err(WriteError::KeyLength { .. })));
    plan.entry(MAX_KEY_LEN as usize, 1).unwrap();
    assert!(matches!(plan.entry(1, 2_147_483_647), Err(WriteError::ValueLength { .. })));
    assert!(matches!(plan.bucket(b"b"), Err(WriteError::BucketOrder { .. })));
    let mut plan = Plan::new();
    plan.bucket(b"b").unwrap();
    assert!(matches!(plan.bucket(b"a"), Err(WriteError::BucketOrder { .. })));
}

#[test]
fn a_sequence_that_differs_from_the_plan_is_refused() {
    let layout = || plan(&[("a", &[(1, 1), (1, 2)]), ("b", &[])]);
    let emitter = || Emitter::new(layout(), 2, Vec::new()).unwrap();
    let differs =
        |result: Result<(), WriteError>| assert!(matches!(result, Err(WriteError::PlanDiffers { .. })));

    let mut other_name = emitter();
    differs(other_name.bucket(b"b"));
    assert!(matches!(other_name.bucket(b"a"), Err(WriteError::Stopped)));

    let mut longer = emitter();
    longer.bucket(b"a").unwrap();
    longer.entry(b"x", b"1").unwrap();
    longer.entry(b"y", b"333").unwrap();
    differs(longer.bucket(b"b"));

    let mut more = emitter();
    more.bucket(b"a").unwrap();
    more.entry(b"x", b"1").unwrap();
    more.entry(b"y", b"22").unwrap();
    differs(more.entry(b"z", b""));

    let mut fewer = emitter();
    fewer.bucket(b"a").unwrap();
    fewer.entry(b"x", b"1").unwrap();
    differs(fewer.bucket(b"b"));

    let mut missing = emitter();
    missing.bucket(b"a").unwrap();
    missing.entry(b"x", b"1").unwrap();
    missing.entry(b"y", b"22").unwrap();
    differs(missing.finish().map(drop));

    let mut unordered = emitter();
    unordered.bucket(b"a").unwrap();
    unordered.entry(b"y", b"1").unwrap();
    assert!(matches!(unordered.entry(b"y", b"22"), Err(WriteError::KeyOrder { .. })));
}

/// The same lengths in another order may need more pages; the output must not outgrow what was announced.
#[test]
fn no_more_bytes_than_announced() {
    let layout = plan(&[("b", &[(1, 3000), (1, 600), (1, 3000), (1, 600)])]);
    let len = layout.file_len();
    let mut emitter = Emitter::new(layout, 2, Vec::new()).unwrap();
    emitter.bucket(b"b").unwrap();
    let mut result = Ok(());
    for (key, value_len) in [(b"1", 600), (b"2", 600), (b"3", 3000), (b"4", 3000)] {
        result = result.and_then(|()| emitter.entry(key, &vec![0; value_len]));
    }
    assert!(emitter.get_mut().len() as u64 <= len);
    let result = result.and_then(|()| emitter.finish().map(drop));
    assert!(matches!(result, Err(WriteError::PlanDiffers { .. })), "{result:?}");
}

#[test]
fn a_failing_output_stops_the_emitter() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let layout = plan(&[("b", &[(1, 4000), (1, 4000), (1, 4000)])]);
    let mut emitter = Emitter::new(layout, 2, Full(2 * 4096)).unwrap();
    emitter.bucket(b"b").unwrap();
    emitter.entry(b"1", &[0; 4000]).unwrap();
    assert!(matches!(emitter.entry(b"2", &[0; 4000]), Err(WriteError::Output(_))));
    assert!(matches!(emitter.entry(b"3", &[0; 4000]), Err(WriteError::Stopped)));
    assert!(matches!(emitter.finish(), Err(WriteError::Stopped)));
}
