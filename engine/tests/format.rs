//! FORMAT.md is true: a reader written from it alone finds in a file what was put there, and its examples are what the
//! engine writes. When the format changes, so must the page.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use holdfast_engine::file::MemFile;
use holdfast_engine::mvcc::{MvccError, RangeQuery, Store, trees};
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeSpec};
use holdfast_engine::{EngineError, OpenError};

const PAGE: &str = include_str!("../FORMAT.md");

fn stamp(_: &[u8], value: &[u8]) -> u64 {
    value.len() as u64
}

static FRUIT: &[TreeSpec] = &[TreeSpec { name: "fruit", stamp }];

fn open(file: &Arc<MemFile>, specs: &'static [TreeSpec], page_size: u32) -> Db {
    let options = DbOptions { page_size, reserve_bytes: 1 << 30, min_mark: 0 };
    Db::open(Arc::clone(file) as _, specs, options).unwrap()
}

/// A reader of the file as FORMAT.md tells it; it trusts nothing but the page.
mod reader {
    use std::collections::BTreeMap;

    pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    struct File<'a> {
        bytes: &'a [u8],
        page_size: usize,
    }

    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
    }

    fn checksum(bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64(bytes)
    }

    /// All named trees of the newest durable state, with their numbers, and the free tree with number 0.
    pub(crate) fn read(bytes: &[u8]) -> BTreeMap<String, (u8, Map)> {
        let metas = [&bytes[..4096], &bytes[4096..8192]];
        let valid = metas.into_iter().filter(|m| {
            &m[..8] == b"HOLDFAST" && number(&m[8..12]) == 1 && number(&m[4088..]) == checksum(&m[..4088])
        });
        let meta = valid.max_by_key(|m| number(&m[16..24])).expect("a meta page is valid");
        let file = File { bytes, page_size: number(&meta[12..16]) as usize };
        assert!(bytes.len() >= number(&meta[32..40]) as usize * file.page_size);
        let named = (0..number(&meta[48..52]) as usize).map(|n| (n as u8 + 1, 256 + 64 * n));
        let mut trees = BTreeMap::new();
        for (tree, at) in named.chain([(0, 64)]) {
            let entry = &meta[at..at + 64];
            let name = String::from_utf8(entry[1..=entry[0] as usize].to_vec()).unwrap();
            let mut map = Map::new();
            if entry[23] > 0 {
                let (page, sum) = (number(&entry[24..32]), number(&entry[32..40]));
                file.page(tree, entry[23] - 1, page, sum, &mut map);
            }
            assert_eq!(map.len() as u64, number(&entry[40..48]), "entries of {name}");
            trees.insert(name, (tree, map));
        }
        trees
    }

    impl File<'_> {
        fn pages(&self, page: u64, len: usize, sum: u64) -> &[u8] {
            let at = page as usize * self.page_size;
            let bytes = &self.bytes[at..at + len.next_multiple_of(self.page_size)];
            assert_eq!(checksum(bytes), sum, "checksum of page {page}");
            bytes
        }

        fn page(&self, tree: u8, level: u8, page: u64, sum: u64, map: &mut Map) {
            let bytes = self.pages(page, self.page_size, sum);
            assert_eq!(bytes[..4], [if level == 0 { 2 } else { 3 }, tree, level, 0]);
            assert_eq!(number(&bytes[8..16]), page);
            let count = number(&bytes[4..6]) as usize;
            for i in 0..count {
                let place = 32 + 4 * count + 2 * i;
                let cell = &bytes[number(&bytes[place..place + 2]) as usize..];
                let (word, long) = (number(&cell[..2]) as usize & 0x7fff, cell[1] & 0x80 != 0);
                if level > 0 {
                    let before = map.len() as u64;
                    self.page(tree, level - 1, number(&cell[2..10]), number(&cell[10..18]), map);
                    assert_eq!(map.len() as u64 - before, number(&cell[18..26]), "entries below");
                } else if long {
                    let (key, value) = (number(&cell[4..8]) as usize, number(&cell[8..12]) as usize);
                    let run = self.pages(number(&cell[12..20]), 32 + key + value, number(&cell[20..28]));
                    assert_eq!((run[0], run[1]), (4, tree));
                    assert_eq!(number(&run[8..16]), number(&cell[12..20]));
                    map.insert(run[32..32 + key].to_vec(), run[32 + key..32 + key + value].to_vec());
                } else {
                    let value = number(&cell[2..4]) as usize;
                    map.insert(cell[4..4 + word].to_vec(), cell[4 + word..4 + word + value].to_vec());
                }
            }
        }
    }
}

/// A reader of the rows as FORMAT.md tells them: which versions each key has had, and since when they are no more.
mod rows {
    use std::collections::BTreeMap;

    use super::reader::Map;

    /// Revision of a version → main revision of what superseded it, if anything has.
    pub(crate) type Versions = BTreeMap<Vec<u8>, BTreeMap<(u64, u64), Option<u64>>>;

    fn varint(row: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = row[0];
            *row = &row[1..];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn ordered(row: &mut &[u8]) -> u64 {
        let (number, rest) = row[1..].split_at(row[0] as usize);
        *row = rest;
        number.iter().fold(0, |n, &byte| n << 8 | u64::from(byte))
    }

    pub(crate) fn versions(live: &Map, history: &Map) -> Versions {
        let mut versions = Versions::new();
        for (key, mut row) in live.iter().map(|(key, row)| (key, row.as_slice())) {
            let of_key = versions.entry(key.clone()).or_default();
            let newest = (varint(&mut row), varint(&mut row));
            of_key.insert(newest, None);
            let _age_version_and_length = [varint(&mut row), varint(&mut row), varint(&mut row)];
            let _lease = if row.is_empty() { 0 } else { varint(&mut row) };
            if !row.is_empty() {
                let before = (newest.0 - varint(&mut row), varint(&mut row));
                of_key.insert(before, Some(newest.0));
            }
        }
        for (row_key, row) in history {
            let (mut key, mut rest) = (Vec::new(), row_key.as_slice());
            loop {
                match rest {
                    [0, 1, numbers @ ..] => break rest = numbers,
                    [0, 0xff, more @ ..] => (key.push(0), rest = more).1,
                    [byte, more @ ..] => (key.push(*byte), rest = more).1,
                    [] => panic!("a key without an end"),
                }
            }
            let version = (ordered(&mut rest), ordered(&mut rest));
            versions.entry(key).or_default().insert(version, Some(varint(&mut row.as_slice())));
        }
        versions
    }
}

#[test]
fn a_reader_written_from_the_page_reads_the_rows() {
    let file = Arc::new(MemFile::new());
    let store = Store::open(open(&file, trees::SPECS, 4096)).unwrap();
    for n in 0..300_u32 {
        let key = [b"k\0ey".as_slice(), &(n * 7919 % 40).to_be_bytes()].concat();
        let mut txn = store.begin().unwrap();
        txn.begin_revision();
        if n % 5 == 4 {
            txn.delete_range(&key, &[], false).unwrap();
        } else {
            txn.put(&key, &n.to_be_bytes(), i64::from(n % 3)).unwrap();
            txn.put(b"\0", &n.to_be_bytes(), -7).unwrap();
        }
        txn.end_revision();
        txn.publish().unwrap();
    }
    store.db().checkpoint().unwrap();
    let trees = reader::read(&file.image());
    let versions = rows::versions(&trees["live"].1, &trees["history"].1);
    let view = store.view().unwrap();
    for revision in 2..=view.revision() {
        let mut expected = Vec::new();
        for (key, versions) in &versions {
            let at = revision as u64;
            let seen = versions.iter().filter(|((main, _), by)| *main <= at && by.is_none_or(|by| at < by));
            let seen: Vec<_> = seen.collect();
            assert!(seen.len() <= 1, "two versions of a key at revision {revision}");
            expected.extend(seen.iter().map(|((main, sub), _)| {
                let record = [main.to_be_bytes().as_slice(), b"_", &sub.to_be_bytes()].concat();
                (key.clone(), trees["records"].1[&record].clone())
            }));
        }
        let query = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
        let found: Vec<_> = view.range(&query).unwrap().kvs.iter().map(|kv| kv.to_vec()).collect();
        assert_eq!(
            found,
            expected.into_iter().map(|(_, record)| record).collect::<Vec<_>>(),
            "at {revision}"
        );
    }
}

#[test]
fn a_reader_written_from_the_page_reads_the_file() {
    for page_size in [512_u32, 4096, 65536] {
        let file = Arc::new(MemFile::new());
        let db = open(&file, FRUIT, page_size);
        let mut model = reader::Map::new();
        for round in 0..3_u32 {
            let mut txn = db.write();
            for n in 0..500_u32 {
                let mut key = format!("/{:04}", n * 7919 % 1000).into_bytes();
                if n % 9 == 0 {
                    key = [vec![b'k'; page_size as usize / 6], key].concat();
                }
                let value = vec![n as u8; if n % 11 == 0 { page_size as usize * 2 } else { 20 }];
                if n % 3 == round {
                    txn.delete(TreeId(0), &key).unwrap();
                    model.remove(&key);
                } else {
                    txn.put(TreeId(0), &key, &value).unwrap();
                    model.insert(key, value);
                }
            }
            txn.publish().unwrap();
            db.checkpoint().unwrap();
        }
        let read = reader::read(&file.image());
        assert_eq!(read.keys().collect::<Vec<_>>(), ["free", "fruit"]);
        assert!(read["fruit"] == (1, model), "pages of {page_size} bytes");
        let free: u64 = read["free"].1.values().map(|v| u64::from_le_bytes(v[..].try_into().unwrap())).sum();
        let starts: Vec<u64> =
            read["free"].1.keys().map(|k| u64::from_be_bytes(k[..].try_into().unwrap())).collect();
        assert!(free > 0 && starts.iter().all(|&start| start >= 8192_u64.div_ceil(page_size.into())));
    }
}

/// What stands in the page between two marks, without its fence.
fn block(mark: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("<!-- {mark} -->\n```\n")).unwrap();
    rest.split_once("```\n<!--").unwrap().0
}

#[track_caller]
fn assert_block(mark: &str, written: &str) {
    assert!(
        block(mark) == written,
        "the {mark} in FORMAT.md is not what the engine writes. If the format was changed on purpose, change the page (and \
         the version, if older releases cannot read it); the block must then be:\n{written}"
    );
}

/// Rows of 16 bytes that are not all zero; of rows that are all alike only the first and the last.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let rows: Vec<&[u8]> = bytes.chunks(16).collect();
    for (n, row) in rows.iter().enumerate() {
        let alike = |other: Option<&&[u8]>| other.is_some_and(|other| other == row);
        let between = n > 0 && alike(rows.get(n - 1)) && alike(rows.get(n + 1));
        if between || row.iter().all(|&byte| byte == 0) {
            continue;
        }
        let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |&byte: &u8| if byte.is_ascii_graphic() { char::from(byte) } else { '.' };
        let ascii: String = row.iter().map(shown).collect();
        writeln!(text, "{:>5}  {}  {}  {ascii}", n * 16, hex[..8].join(" "), hex[8..].join(" ")).unwrap();
    }
    text
}

#[test]
fn the_example_is_what_the_engine_writes() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, FRUIT, 512);
    let mut txn = db.write();
    for (key, value) in [("apple", "red"), ("banana", "yellow"), ("cherry", &*"!".repeat(600))] {
        txn.put(TreeId(0), key.as_bytes(), value.as_bytes()).unwrap();
    }
    txn.set_mark(7);
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    assert_block("example", &dump(&file.image()));
}

#[test]
fn the_rows_are_what_the_store_writes() {
    let file = Arc::new(MemFile::new());
    let store = Store::open(open(&file, trees::SPECS, 4096)).unwrap();
    let put = |key: &[u8], value: &[u8], lease: i64| {
        let mut txn = store.begin().unwrap();
        txn.begin_revision();
        txn.put(key, value, lease).unwrap();
        txn.end_revision();
        txn.publish().unwrap();
    };
    put(b"a", b"1", 0);
    put(b"a", b"2", 9);
    put(b"b", b"1", 0);
    let mut txn = store.begin().unwrap();
    txn.begin_revision();
    txn.delete_range(b"b", &[], false).unwrap();
    txn.end_revision();
    txn.publish().unwrap();
    store.db().checkpoint().unwrap();

    let trees = reader::read(&file.image());
    let mut by_number: Vec<_> = trees.iter().filter(|(_, (tree, _))| *tree > 0).collect();
    by_number.sort_by_key(|(_, (tree, _))| *tree);
    let names: Vec<&str> = by_number.iter().map(|(name, _)| name.as_str()).collect();
    let table: Vec<&str> = PAGE
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(" | `")
        })
        .filter_map(|rest| rest.split_once('`').map(|(name, _)| name))
        .collect();
    assert_eq!(names, table, "the table of trees");
    let mut text = String::new();
    for (name, (_, map)) in by_number {
        for (key, value) in map {
            let value =
                if value.is_empty() { "(empty)".to_owned() } else { value.escape_ascii().to_string() };
            writeln!(text, "{name}: {} → {value}", key.escape_ascii()).unwrap();
        }
    }
    assert_block("rows", &text);
}

fn meta_with_version(image: &mut [u8], slot: usize, version: u32) {
    let meta = &mut image[slot * 4096..(slot + 1) * 4096];
    meta[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = xxhash_rust::xxh3::xxh3_64(&meta[..4088]);
    meta[4088..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_newer_format_is_refused_by_name_and_left_alone() {
    let file = Arc::new(MemFile::new());
    drop(open(&file, FRUIT, 4096));
    // As an upgrade leaves it after its first checkpoint, and in both meta pages.
    for slots in [&[0][..], &[1], &[0, 1]] {
        let mut image = file.image();
        for &slot in slots {
            meta_with_version(&mut image, slot, 2);
        }
        let newer = Arc::new(MemFile::with_image(image.clone()));
        let refused = Db::open(Arc::clone(&newer) as _, FRUIT, DbOptions::default()).err().unwrap();
        assert!(matches!(refused, OpenError::NewerFormat { found: 2, known: 1, .. }), "{refused}");
        let said = refused.to_string();
        assert!(
            said.contains("format version 2") && said.contains("version 1") && said.contains("release"),
            "{said}"
        );
        assert!(newer.image() == image, "it was written to");
    }
    // A version that never existed is damage, whatever its checksum says.
    let mut image = file.image();
    for slot in [0, 1] {
        meta_with_version(&mut image, slot, 0);
    }
    let refused = Db::open(Arc::new(MemFile::with_image(image)), FRUIT, DbOptions::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn newer_rows_are_refused_by_name() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, trees::SPECS, 4096);
    let mut txn = db.write();
    txn.put(trees::META, b"mvccFormat", &2_u64.to_be_bytes()).unwrap();
    txn.publish().unwrap();
    let refused = Store::open(db).err().unwrap();
    assert!(matches!(refused, MvccError::Format { found: 2, supported: 1 }), "{refused}");
    assert!(refused.to_string().contains('2') && refused.to_string().contains('1'), "{refused}");
}

/// A tree that this release does not know is kept: it may be a later release's.
#[test]
fn unknown_trees_stay() {
    static MORE: &[TreeSpec] = &[TreeSpec { name: "fruit", stamp }, TreeSpec { name: "later", stamp }];
    let file = Arc::new(MemFile::new());
    let db = open(&file, MORE, 4096);
    let mut txn = db.write();
    txn.put(TreeId(1), b"key", b"value").unwrap();
    txn.publish().unwrap();
    db.checkpoint().unwrap();
    drop(db);
    let db = open(&file, FRUIT, 4096);
    let write = || -> Result<(), EngineError> {
        let mut txn = db.write();
        txn.put(TreeId(0), b"pear", b"green")?;
        txn.publish()?;
        db.checkpoint().map(|_| ())
    };
    write().unwrap();
    let trees = reader::read(&file.image());
    assert_eq!(trees["later"], (2, BTreeMap::from([(b"key".to_vec(), b"value".to_vec())])));
    assert_eq!(trees["fruit"].1.len(), 1);
}
