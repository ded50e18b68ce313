//! What the tests of the tree layer share: specs, a model of ordered maps, and the comparison of the two.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_engine::file::MemFile;
use holdfast_engine::tree::{Db, DbOptions, TreeId, TreeRead, TreeSpec};

/// The stamp of the tests' entries: the first four bytes of the value, as a number.
pub fn stamp(_: &[u8], value: &[u8]) -> u64 {
    let mut stamp = [0; 4];
    let n = value.len().min(4);
    stamp[..n].copy_from_slice(&value[..n]);
    u64::from(u32::from_be_bytes(stamp))
}

pub static SPECS: &[TreeSpec] = &[
    TreeSpec { name: "first", stamp },
    TreeSpec { name: "second", stamp },
    TreeSpec { name: "third", stamp },
];

pub const FIRST: TreeId = TreeId(0);

pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a database should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub trees: Vec<Map>,
    pub mark: u64,
}

impl Model {
    pub fn new() -> Self {
        Self { trees: vec![Map::new(); SPECS.len()], mark: 0 }
    }
}

pub fn options(page_size: u32) -> DbOptions {
    DbOptions { page_size, reserve_bytes: 1 << 32, min_mark: 0 }
}

pub fn open(file: &Arc<MemFile>, page_size: u32) -> Db {
    Db::open(Arc::clone(file) as _, SPECS, options(page_size)).unwrap()
}

pub fn open_image(image: Vec<u8>, page_size: u32) -> (Arc<MemFile>, Db) {
    let file = Arc::new(MemFile::with_image(image));
    let db = open(&file, page_size);
    (file, db)
}

pub fn assert_clean(db: &Db) {
    let report = db.check();
    assert!(report.is_clean(), "{} faults, first: {}", report.faults.len(), report.faults[0]);
    let stats = db.stats();
    assert_eq!(report.free_pages, stats.free_pages);
    let head = 8192_u64.div_ceil(u64::from(stats.page_size));
    assert_eq!(head + report.tree_pages + report.free_tree_pages, stats.pages_in_use, "{report:?} {stats:?}");
}

/// Compares everything that can be read.
pub fn assert_same(db: &impl TreeRead, model: &Model) {
    assert_eq!(db.mark(), model.mark);
    for (i, map) in model.trees.iter().enumerate() {
        let tree = TreeId(i as u8);
        assert_eq!(db.len(tree), map.len() as u64);
        assert_eq!(db.is_empty(tree), map.is_empty());
        let mut cursor = db.cursor(tree);
        assert!(cursor.entry().unwrap().is_none());
        for (key, value) in map {
            cursor.next().unwrap();
            assert_eq!(cursor.entry().unwrap(), Some((key.as_slice(), value.as_slice())));
        }
        cursor.next().unwrap();
        assert!(cursor.entry().unwrap().is_none());
        for (key, value) in map.iter().rev() {
            cursor.prev().unwrap();
            assert_eq!(cursor.entry().unwrap(), Some((key.as_slice(), value.as_slice())));
            assert_eq!(db.get(tree, key).unwrap(), Some(value.as_slice()));
        }
        cursor.prev().unwrap();
        assert!(cursor.entry().unwrap().is_none());
    }
}

/// Compares what is found around one key: gets, seeks, counts, and scans by stamp.
pub fn assert_same_around(
    db: &impl TreeRead,
    model: &Model,
    tree: TreeId,
    key: &[u8],
    other: &[u8],
    min: u64,
) {
    let map = &model.trees[tree.0 as usize];
    assert_eq!(db.get(tree, key).unwrap(), map.get(key).map(Vec::as_slice));
    let pair = |(k, v)| -> (&[u8], &[u8]) { (k, v) };
    let mut cursor = db.cursor(tree);
    cursor.seek(key).unwrap();
    assert_eq!(cursor.entry().unwrap(), map.range(key.to_vec()..).next().map(|(k, v)| pair((k, v))));
    cursor.prev().unwrap();
    let before = map.range(..key.to_vec()).next_back().map(|(k, v)| pair((k, v)));
    assert_eq!(cursor.entry().unwrap(), before);
    cursor.seek_before(key).unwrap();
    assert_eq!(cursor.entry().unwrap(), before);
    cursor.next().unwrap();
    assert_eq!(cursor.entry().unwrap(), map.range(key.to_vec()..).next().map(|(k, v)| pair((k, v))));
    let count = if key < other { map.range(key.to_vec()..other.to_vec()).count() } else { 0 };
    assert_eq!(db.count(tree, key, Some(other)).unwrap(), count as u64);
    assert_eq!(db.count(tree, key, None).unwrap(), map.range(key.to_vec()..).count() as u64);
    cursor.seek(key).unwrap();
    cursor.settle_stamped(min).unwrap();
    for (k, v) in map.range(key.to_vec()..).filter(|(k, v)| stamp(k, v) >= min) {
        assert_eq!(cursor.entry().unwrap(), Some((k.as_slice(), v.as_slice())));
        cursor.next_stamped(min).unwrap();
    }
    assert!(cursor.entry().unwrap().is_none());
}

/// A small generator for tests that want the same sequence every time.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) ^ (self.0 << 16 >> 32)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
