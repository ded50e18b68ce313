//! Files made by hand, each with one fault (or one oddity that is none).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::format::{FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, Meta, PageHeader};

const PAGE: usize = 4096;

/// A file of pages, assembled one by one.
struct Pages(Vec<u8>);

impl Pages {
    /// `pages` pages, the meta pages among them.
    fn new(pages: u64, root: u64, freelist: Option<u64>) -> Self {
        let mut bytes = vec![0; pages as usize * PAGE];
        for (page, txid) in [(0, 6), (1, 5)] {
            let meta =
                Meta { page_size: 4096, root, sequence: 0, freelist, high_water: pages, txid }.encode(page);
            bytes[page as usize * PAGE..][..meta.len()].copy_from_slice(&meta);
        }
        Self(bytes)
    }

    fn put(mut self, id: u64, overflow: u32, flags: u16, count: u16, body: &[u8]) -> Self {
        let mut page = Vec::new();
        PageHeader { id, flags, count, overflow }.encode(&mut page);
        page.extend_from_slice(body);
        self.0[id as usize * PAGE..][..page.len()].copy_from_slice(&page);
        self
    }

    fn leaf(self, id: u64, entries: &[(u32, &[u8], &[u8])]) -> Self {
        let body = leaf_body(entries);
        let overflow = ((16 + body.len()).div_ceil(PAGE) - 1) as u32;
        self.put(id, overflow, FLAG_LEAF, entries.len() as u16, &body)
    }

    fn branch(self, id: u64, children: &[(&[u8], u64)]) -> Self {
        let mut body = Vec::new();
        let mut pos = children.len() as u32 * 16;
        for (key, child) in children {
            body.extend([pos.to_le_bytes(), (key.len() as u32).to_le_bytes()].concat());
            body.extend(child.to_le_bytes());
            pos = pos - 16 + key.len() as u32;
        }
        for (key, _) in children {
            body.extend_from_slice(key);
        }
        self.put(id, 0, FLAG_BRANCH, children.len() as u16, &body)
    }

    fn freelist(self, id: u64, ids: &[u64]) -> Self {
        let body: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.put(id, 0, FLAG_FREELIST, ids.len() as u16, &body)
    }

    /// What the check says, line by line.
    fn faults(&self) -> Vec<String> {
        let report = Database::open(&self.0).unwrap().check().unwrap();
        report.faults.iter().map(ToString::to_string).collect()
    }

    /// What a walk over everything ends with.
    fn walk(&self) -> Result<usize, String> {
        let mut entries = 0;
        let walked = Database::open(&self.0).unwrap().for_each(|item| {
            entries += usize::from(matches!(item, Item::Entry { .. }));
            Ok::<(), ReadError>(())
        });
        walked.map(|()| entries).map_err(|error| error.to_string())
    }
}

fn leaf_body(entries: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut pos = entries.len() as u32 * 16;
    for (flags, key, value) in entries {
        for field in [*flags, pos, key.len() as u32, value.len() as u32] {
            body.extend_from_slice(&field.to_le_bytes());
        }
        pos = pos - 16 + key.len() as u32 + value.len() as u32;
    }
    for (_, key, value) in entries {
        body.extend([*key, *value].concat());
    }
    body
}

fn root_of(page: u64) -> Vec<u8> {
    [page.to_le_bytes(), [0; 8]].concat()
}

/// A file whose root leaf (page 2) holds a bucket `b` with its root on page 3.
fn one_bucket(pages: u64) -> Pages {
    Pages::new(pages, 2, None).leaf(2, &[(1, b"b", &root_of(3))])
}

#[test]
fn a_sound_file_with_a_freelist() {
    let file = Pages::new(6, 2, Some(4)).leaf(2, &[(1, b"b", &root_of(3))]);
    let file = file.leaf(3, &[(0, b"k", b"v")]).freelist(4, &[5]);
    assert_eq!(file.faults(), [""; 0]);
    assert_eq!(file.walk(), Ok(1));
}

#[test]
fn what_a_freelist_can_get_wrong() {
    let file = |ids: &[u64]| {
        let file = Pages::new(7, 2, Some(4)).leaf(2, &[(1, b"b", &root_of(3))]);
        file.leaf(3, &[(0, b"k", b"v")]).freelist(4, ids).faults()
    };
    assert_eq!(file(&[5]), ["page 6: unreachable unfreed"]);
    assert_eq!(file(&[3, 5, 6]), ["page 3: reachable freed"]);
    assert_eq!(file(&[5, 5, 6]), ["page 5: already freed"]);
    assert_eq!(file(&[5, 6, 7]), ["page 7: out of bounds: 7"]);
    assert_eq!(file(&[1, 5, 6]), ["page 1: out of bounds: 7"]);
    let no_freelist = Pages::new(5, 2, Some(4)).leaf(2, &[]).leaf(4, &[]).faults();
    assert!(no_freelist.contains(&"page 4: invalid type: flags 0x2".to_string()), "{no_freelist:?}");
    let short = Pages::new(4, 2, Some(3)).leaf(2, &[]).put(3, 0, FLAG_FREELIST, 600, &[]).faults();
    assert!(short[0].contains("more pages than it has room for"), "{short:?}");
}

/// From 65535 ids on, the count stands before the ids.
#[test]
fn a_long_freelist() {
    let ids: Vec<u64> = (139..66_139).collect();
    let body: Vec<u8> = [ids.len() as u64].iter().chain(&ids).flat_map(|id| id.to_le_bytes()).collect();
    let overflow = (body.len() + 16).div_ceil(PAGE) as u32 - 1;
    assert_eq!(overflow, 128);
    let leaf = |file: Pages| file.leaf(2, &[]).put(3, 135, FLAG_FREELIST, 0xFFFF, &body);
    let mut file = leaf(Pages::new(66_139, 2, Some(3)));
    assert_eq!(file.faults(), [""; 0]);
    file.0[3 * PAGE + 16] += 1;
    assert_eq!(file.faults(), ["page 0: out of bounds: 66139"], "one more id is read, and it is zero");
}

#[test]
fn cycles_and_shared_pages() {
    let to_itself = one_bucket(4).branch(3, &[(b"a", 3), (b"b", 3)]);
    assert_eq!(to_itself.faults(), ["page 3: multiple references"; 2]);
    assert_eq!(to_itself.walk(), Err("page 3: multiple references".into()));

    let shared = Pages::new(4, 2, None).leaf(2, &[(1, b"a", &root_of(3)), (1, b"b", &root_of(3))]);
    let shared = shared.leaf(3, &[(0, b"k", b"v")]);
    assert_eq!(shared.faults(), ["page 3: multiple references"]);
    assert_eq!(shared.walk(), Err("page 3: multiple references".into()));

    let overlapping = one_bucket(6).branch(3, &[(b"a", 4), (b"b", 5)]);
    let overlapping = overlapping.put(4, 1, FLAG_LEAF, 1, &leaf_body(&[(0, b"a", b"1")]));
    let overlapping = overlapping.leaf(5, &[(0, b"b", b"2")]);
    assert_eq!(overlapping.walk(), Err("page 5: multiple references".into()));

    let root = Pages::new(4, 2, None).leaf(2, &[(1, b"b", &root_of(2))]);
    assert_eq!(root.faults(), ["page 2: multiple references"]);
    assert_eq!(root.walk(), Err("page 2: multiple references".into()));
}

#[test]
fn look_ups_end_in_a_cycle() {
    let file = one_bucket(4).branch(3, &[(b"a", 3)]);
    let database = Database::open(&file.0).unwrap();
    let found = database.bucket(b"b").unwrap().unwrap().get(b"k");
    assert!(matches!(found, Err(ReadError::PageTwice { page: 3 })), "{found:?}");
}

#[test]
fn a_tree_that_is_too_deep() {
    let pages = MAX_DEPTH as u64 + 5;
    let mut file = one_bucket(pages);
    for page in 3..pages - 1 {
        file = file.branch(page, &[(b"k", page + 1)]);
    }
    let file = file.leaf(pages - 1, &[(0, b"k", b"v")]);
    assert!(file.walk().unwrap_err().contains("deeper"));
    let database = Database::open(&file.0).unwrap();
    let found = database.bucket(b"b").unwrap().unwrap().get(b"k");
    assert!(matches!(found, Err(ReadError::Damaged { .. })), "{found:?}");
    assert!(file.faults()[0].contains("deeper"));
}

#[test]
fn pages_that_are_not_what_they_must_be() {
    let cases = [
        (one_bucket(4).put(3, 0, 0, 0, &[]), "page 3: invalid type: flags 0x0"),
        (one_bucket(4).put(3, 0, 4, 0, &[]), "page 3: invalid type: flags 0x4"),
        (one_bucket(4).put(3, 7, FLAG_LEAF, 0, &[]), "page 10: out of bounds: 4"),
        (one_bucket(4).put(3, u32::MAX, FLAG_LEAF, 0, &[]), "page 4294967298: out of bounds: 4"),
        (one_bucket(3), "page 3: out of bounds: 3"),
        (one_bucket(4).put(3, 0, FLAG_BRANCH, 0, &[]), "page 3: a branch page has no children"),
        (one_bucket(4).put(3, 0, FLAG_LEAF, 256, &[]), "page 3: the page has more elements than room"),
        (
            Pages::new(4, 2, None).leaf(2, &[(1, b"b", b"short")]),
            "page 2: a bucket's value is shorter than its header",
        ),
        (
            Pages::new(4, 2, None).leaf(2, &[(1, b"b", &[0; 31])]),
            "page 2: an inline bucket is not a leaf page",
        ),
        (one_bucket(4).leaf(3, &[(0, b"", b"v")]), "page 3: a key is empty or longer than 32768 bytes"),
    ];
    for (file, fault) in cases {
        assert_eq!(file.faults(), [fault]);
        assert_eq!(file.walk(), Err(fault.to_string()));
    }
    let mut moved = one_bucket(4).leaf(3, &[]);
    moved.0[3 * PAGE] = 2;
    assert_eq!(moved.faults(), ["page 3: the page carries another page's number"]);
}

#[test]
fn data_outside_of_its_page_or_claimed_twice() {
    let file = |pos: u32, len: u32| {
        let element = [0, pos, 1, len].map(u32::to_le_bytes).concat();
        one_bucket(4).put(3, 0, FLAG_LEAF, 1, &element).faults()
    };
    assert_eq!(file(16, 4096 - 33), [""; 0]);
    assert_eq!(file(16, 4096 - 32), ["page 3: an entry lies outside of its page"]);
    assert_eq!(file(15, 1), ["page 3: an entry lies outside of its page"]);
    assert_eq!(file(u32::MAX, u32::MAX), ["page 3: an entry lies outside of its page"]);
    // 100 entries that all claim the same 2000 bytes.
    let elements = (0..100u32).flat_map(|at| [0, (100 - at) * 16, 1, 2000].map(u32::to_le_bytes).concat());
    let overlap = one_bucket(4).put(3, 0, FLAG_LEAF, 100, &elements.collect::<Vec<_>>());
    assert_eq!(overlap.faults(), ["page 3: entries overlap"]);
    assert_eq!(overlap.walk(), Err("page 3: entries overlap".into()));
}

#[test]
fn keys_out_of_order_or_out_of_range() {
    let swapped = one_bucket(4).leaf(3, &[(0, b"b", b""), (0, b"a", b""), (0, b"a", b"")]);
    let line = |at| format!("page 3: key[{at}] is not above the key before it");
    assert_eq!(swapped.faults(), [line(1), line(2)]);
    assert_eq!(swapped.walk(), Err("page 3: keys are out of order".into()));

    let file = |first: &[u8], second: &[u8]| {
        let file = one_bucket(6).branch(3, &[(b"b", 4), (b"f", 5)]);
        file.leaf(4, &[(0, first, b"")]).leaf(5, &[(0, second, b"")])
    };
    assert_eq!(file(b"b", b"f").faults(), [""; 0]);
    assert_eq!(file(b"c", b"g").faults(), [""; 0], "a smaller key in the parent is left by deletions");
    let line = |page| format!("page {page}: key[0] is outside of the range that its ancestors set");
    assert_eq!(file(b"a", b"f").faults(), [line(4)]);
    assert_eq!(file(b"f", b"f").faults(), [line(4)]);
    assert_eq!(file(b"b", b"e").faults(), [line(5)]);

    let swapped_branch = one_bucket(6).branch(3, &[(b"f", 4), (b"b", 5)]);
    let swapped_branch = swapped_branch.leaf(4, &[(0, b"f", b"")]).leaf(5, &[(0, b"b", b"")]);
    assert!(swapped_branch.faults().contains(&"page 3: key[1] is not above the key before it".to_string()));
    let empty = one_bucket(6).branch(3, &[(b"b", 4), (b"f", 5)]).leaf(4, &[]).leaf(5, &[(0, b"f", b"")]);
    assert_eq!(empty.faults(), ["page 4: a leaf page below the root is empty"]);
    assert_eq!(empty.walk(), Err("page 4: a leaf page below the root is empty".into()));
}

#[test]
fn nested_buckets_are_checked_and_shown_as_such() {
    let inner =
        [&[0; 16][..], &0u64.to_le_bytes(), &[2, 0, 1, 0, 0, 0, 0, 0], &leaf_body(&[(0, b"x", b"y")])]
            .concat();
    let file = one_bucket(5).leaf(3, &[(1, b"inline", &inner), (1, b"tree", &root_of(4))]);
    let file = file.leaf(4, &[(0, b"k", b"v")]);
    assert_eq!(file.faults(), [""; 0]);
    let database = Database::open(&file.0).unwrap();
    let bucket = database.bucket(b"b").unwrap().unwrap();
    assert!(bucket.entries().next().unwrap().unwrap().is_bucket);
    assert_eq!(bucket.get(b"tree").unwrap(), None);
    let mut broken = file;
    broken.0[4 * PAGE] = 9;
    assert_eq!(broken.faults(), ["page 4: the page carries another page's number"]);
}

/// Inline buckets in inline buckets: the depth is limited, so the recursion is.
#[test]
fn inline_buckets_nested_without_end() {
    let mut value = [&[0; 24][..], &[2, 0, 0, 0, 0, 0, 0, 0]].concat();
    for _ in 0..=MAX_DEPTH {
        let body = leaf_body(&[(1, b"b", &value)]);
        value = [&[0; 24][..], &[2, 0, 1, 0, 0, 0, 0, 0], &body].concat();
    }
    let file = Pages::new(8, 2, None).leaf(2, &[(1, b"b", &value)]);
    assert_eq!(file.faults(), ["page 2: buckets are nested deeper than any sound ones"]);
}

#[test]
fn an_entry_of_the_root_that_is_no_bucket() {
    let file = Pages::new(3, 2, None).leaf(2, &[(0, b"stray", b"value")]);
    assert_eq!(file.faults(), [""; 0], "bbolt's check does not mind");
    let database = Database::open(&file.0).unwrap();
    let failed = |error: ReadError| matches!(error, ReadError::NotABucket { name } if name == "stray");
    assert!(failed(database.status().unwrap_err()));
    assert!(failed(database.bucket(b"stray").err().unwrap()));
    let mut buckets = database.buckets();
    assert!(failed(buckets.next().unwrap().err().unwrap()));
    assert!(buckets.next().is_none());
}

#[test]
fn the_newer_valid_meta_page_counts() {
    let bucket = BTreeMap::from([(b"k".to_vec(), b"v".to_vec())]);
    let mut image = Vec::new();
    crate::write_image(&mut image, &[("b", &bucket)]).unwrap();
    let txid = |image: &Vec<u8>| Database::open(image).map(|database| database.meta().txid);
    assert_eq!(txid(&image).unwrap(), 2);
    let mut first_bad = image.clone();
    first_bad[20] ^= 1;
    assert_eq!(txid(&first_bad).unwrap(), 1, "the second one is found at its place");
    let mut second_bad = image.clone();
    second_bad[PAGE + 20] ^= 1;
    assert_eq!(txid(&second_bad).unwrap(), 2);
    first_bad[PAGE + 20] ^= 1;
    assert!(matches!(txid(&first_bad), Err(ReadError::NoMeta)));

    let newer = Meta { txid: 9, ..*Database::open(&image).unwrap().meta() };
    image[PAGE..PAGE + 80].copy_from_slice(&newer.encode(1));
    assert_eq!(txid(&image).unwrap(), 9);
}

#[test]
fn pages_of_other_sizes() {
    for page_size in [1024usize, 16_384, 65_536] {
        let mut bytes = vec![0; 3 * page_size];
        for page in 0..2 {
            let meta = Meta {
                page_size: page_size as u32,
                root: 2,
                sequence: 0,
                freelist: None,
                high_water: 3,
                txid: page,
            };
            bytes[page as usize * page_size..][..80].copy_from_slice(&meta.encode(page));
        }
        let mut leaf = Vec::new();
        PageHeader { id: 2, flags: FLAG_LEAF, count: 0, overflow: 0 }.encode(&mut leaf);
        bytes[2 * page_size..][..16].copy_from_slice(&leaf);
        assert_eq!(Database::open(&bytes).unwrap().meta().txid, 1);
        bytes[30] ^= 1;
        let database = Database::open(&bytes).unwrap();
        assert_eq!(database.size(), 3 * page_size as u64);
        assert!(database.check().unwrap().is_sound());
    }
    for page_size in [0, 1, 512, 4097, 1 << 25, u32::MAX] {
        let meta = Meta { page_size, root: 2, sequence: 0, freelist: None, high_water: 3, txid: 1 };
        let mut bytes = meta.encode(0);
        bytes.resize(1 << 16, 0);
        assert!(matches!(Database::open(&bytes), Err(ReadError::PageSize { .. })), "{page_size}");
    }
}

#[test]
fn a_high_water_mark_beyond_the_file() {
    for high_water in [4, 1 << 40, u64::MAX] {
        let meta = Meta { page_size: 4096, root: 2, sequence: 0, freelist: None, high_water, txid: 1 };
        let mut bytes = meta.encode(0);
        bytes.resize(3 * PAGE, 0);
        assert!(matches!(Database::open(&bytes), Err(ReadError::CutShort { .. })), "{high_water}");
    }
}
