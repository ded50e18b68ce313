//! Every rule of the format is broken once, with all checksums made right again, so that it is the rule itself by which
//! the check finds it and not a checksum.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::CheckReport;
use crate::file::MemFile;
use crate::page::{META_BYTES, META_OFFSETS, Meta, MetaSlot, checksum, key_head};
use crate::tree::{Db, DbOptions, TreeId, TreeSpec};

const PAGE: usize = 512;
/// Offsets that FORMAT.md tells.
const TABLE_AT: usize = 256;
const FREE_AT: usize = 64;

fn stamp(_: &[u8], value: &[u8]) -> u64 {
    u64::from(value.first().copied().unwrap_or(0))
}

static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp }, TreeSpec { name: "two", stamp }];

fn open(bytes: Vec<u8>) -> Db {
    let options = DbOptions { page_size: PAGE as u32, reserve_bytes: 1 << 30, min_mark: 0 };
    Db::open(Arc::new(MemFile::with_image(bytes)), SPECS, options).unwrap()
}

/// Two trees of several levels with values in runs, long keys and long separators, and several runs of free pages.
fn build() -> Vec<u8> {
    let file = Arc::new(MemFile::new());
    let options = DbOptions { page_size: PAGE as u32, reserve_bytes: 1 << 30, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    for round in 0..4_u32 {
        let mut txn = db.write();
        for n in 0..300_u32 {
            let mut key = format!("/{:05}", n * 7919 % 1000).into_bytes();
            if n % 10 == 0 {
                key = [vec![b'/'; 90], key].concat();
            }
            let tree = TreeId((n % 2) as u8);
            let value = vec![(n % 200) as u8; if n % 25 == 3 { 700 } else { 30 }];
            if n % 4 == round {
                txn.delete(tree, &key).unwrap();
            } else {
                txn.put(tree, &key, &value).unwrap();
            }
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
    }
    file.image()
}

/// A page or a run, where it is, and where its checksum is kept.
#[derive(Debug, Clone, Copy)]
struct Link {
    at: usize,
    bytes: usize,
    sum_at: usize,
    tree: u8,
    level: u8,
    is_run: bool,
    /// Where the cell (or the table entry) is that refers to it, and the page that it stands in.
    cell: usize,
    parent: usize,
}

/// A file with an index of what refers to what, as it was before anything was changed.
struct Image {
    bytes: Vec<u8>,
    meta: usize,
    /// Parents before children.
    links: Vec<Link>,
}

impl Image {
    fn of(bytes: Vec<u8>) -> Self {
        let txn = |n: usize| match Meta::decode(&bytes[META_OFFSETS[n] as usize..][..META_BYTES]) {
            MetaSlot::Valid(meta) => meta.txn,
            other => panic!("{other:?}"),
        };
        let meta = META_OFFSETS[usize::from(txn(1) > txn(0))] as usize;
        let mut image = Self { bytes, meta, links: Vec::new() };
        for (tree, at) in [(0, FREE_AT), (1, TABLE_AT), (2, TABLE_AT + 64)] {
            let entry = meta + at;
            let depth = image.bytes[entry + 23];
            assert!(depth > u8::from(tree > 0), "tree {tree} is too small for this test");
            let at = image.u64(entry + 24) as usize * PAGE;
            image.page(Link {
                at,
                bytes: PAGE,
                sum_at: entry + 32,
                tree,
                level: depth - 1,
                is_run: false,
                cell: entry,
                parent: meta,
            });
        }
        image
    }

    fn page(&mut self, link: Link) {
        self.links.push(link);
        for i in 0..self.count(link.at) {
            let cell = self.cell(link.at, i);
            let long = self.u16(cell) & 0x8000 != 0;
            if long {
                let (key, value, first) = if link.level == 0 {
                    (self.u32(cell + 4), self.u32(cell + 8), cell + 12)
                } else {
                    (self.u32(cell + 34), 0, cell + 38)
                };
                let bytes = (32 + key as usize + value as usize).div_ceil(PAGE) * PAGE;
                let at = self.u64(first) as usize * PAGE;
                self.links.push(Link {
                    at,
                    bytes,
                    sum_at: first + 8,
                    is_run: true,
                    cell,
                    parent: link.at,
                    ..link
                });
            }
            if link.level > 0 {
                let (at, level) = (self.u64(cell + 2) as usize * PAGE, link.level - 1);
                self.page(Link { at, sum_at: cell + 10, level, cell, parent: link.at, ..link });
            }
        }
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes[at..at + 2].try_into().unwrap())
    }
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }
    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn add_u16(&mut self, at: usize, n: u16) {
        let sum = self.u16(at).wrapping_add(n);
        self.put(at, &sum.to_le_bytes());
    }
    fn add_u64(&mut self, at: usize, n: u64) {
        let sum = self.u64(at).wrapping_add(n);
        self.put(at, &sum.to_le_bytes());
    }

    fn count(&self, page: usize) -> usize {
        self.u16(page + 4) as usize
    }
    fn place_at(&self, page: usize, i: usize) -> usize {
        page + 32 + 4 * self.count(page) + 2 * i
    }
    fn cell(&self, page: usize, i: usize) -> usize {
        page + self.u16(self.place_at(page, i)) as usize
    }

    /// Where the key of a plain leaf cell is.
    fn key(&self, page: usize, i: usize) -> std::ops::Range<usize> {
        let cell = self.cell(page, i);
        assert_eq!(self.u16(cell) & 0x8000, 0);
        cell + 4..cell + 4 + self.u16(cell) as usize
    }

    /// Drops the prefix and takes all heads of a leaf of plain cells anew.
    fn take_heads(&mut self, page: usize) {
        self.put(page + 28, &[0, 0]);
        for i in 0..self.count(page) {
            let head = key_head(&self.bytes[self.key(page, i)]);
            self.put(page + 32 + 4 * i, &head.to_le_bytes());
        }
    }

    fn swap_slots(&mut self, page: usize, i: usize, j: usize) {
        let (heads, places) = (page + 32, self.place_at(page, 0));
        for byte in 0..4 {
            self.bytes.swap(heads + 4 * i + byte, heads + 4 * j + byte);
        }
        for byte in 0..2 {
            self.bytes.swap(places + 2 * i + byte, places + 2 * j + byte);
        }
    }

    /// A leaf of tree 1, not the first, of nothing but plain cells.
    fn leaf(&self) -> Link {
        self.leaves().nth(1).unwrap()
    }
    fn leaves(&self) -> impl Iterator<Item = Link> {
        let plain = |l: &Link| (0..self.count(l.at)).all(|i| self.u16(self.cell(l.at, i)) & 0x8000 == 0);
        let leaves = self.links.iter().filter(|l| l.tree == 1 && l.level == 0 && !l.is_run);
        leaves.skip(1).filter(move |l| plain(l) && self.count(l.at) > 3).copied()
    }
    fn branch(&self) -> Link {
        *self.links.iter().find(|l| l.tree == 1 && l.level == 1 && !l.is_run).unwrap()
    }
    /// A run of an entry: the n-th.
    fn run(&self, n: usize) -> Link {
        *self.links.iter().filter(|l| l.tree == 1 && l.is_run && l.level == 0).nth(n).unwrap()
    }
    fn separator_run(&self) -> Link {
        *self.links.iter().find(|l| l.is_run && l.level > 0).unwrap()
    }
    fn free_leaf(&self) -> Link {
        *self.links.iter().find(|l| l.tree == 0 && l.level == 0).unwrap()
    }
    /// Start and length of a free run, and where the two numbers are.
    fn free_run(&self, i: usize) -> (u64, u64, usize) {
        let key = self.key(self.free_leaf().at, i);
        let start = u64::from_be_bytes(self.bytes[key.clone()].try_into().unwrap());
        (start, self.u64(key.end), key.start)
    }

    /// Makes all checksums right, children before parents.
    fn seal(&mut self) {
        for link in self.links.iter().rev() {
            let sum = checksum(&self.bytes[link.at..link.at + link.bytes]);
            self.bytes[link.sum_at..link.sum_at + 8].copy_from_slice(&sum.to_le_bytes());
        }
        let end = self.meta + META_BYTES - 8;
        let sum = checksum(&self.bytes[self.meta..end]);
        self.put(end, &sum.to_le_bytes());
    }
}

/// What is broken, how (returns the page whose fault it is, where there is one), and what the check says of it.
type Rule = (&'static str, fn(&mut Image) -> Option<usize>, &'static str);

#[rustfmt::skip]
static RULES: &[Rule] = &[
    // Headers.
    ("kind", |f| { let l = f.leaf(); f.put(l.at, &[3]); Some(l.at) }, "its header says kind 3"),
    ("tree", |f| { let l = f.leaf(); f.put(l.at + 1, &[2]); Some(l.at) }, "tree 2"),
    ("level", |f| { let l = f.branch(); f.put(l.at + 2, &[2]); Some(l.at) }, "level 2"),
    ("byte 3", |f| { let l = f.leaf(); f.put(l.at + 3, &[1]); Some(l.at) }, "its header says"),
    ("number", |f| { let l = f.leaf(); f.add_u64(l.at + 8, 1); Some(l.at) }, "its header says"),
    ("transaction beyond the newest", |f| { let l = f.branch(); f.put(l.at + 16, &[255; 7]); Some(l.at) }, "what leads to it by"),
    ("transaction after the parent's", |f| { let l = f.leaf(); let t = f.u64(l.parent + 16); f.put(l.at + 16, &(t + 1).to_le_bytes()); Some(l.at) }, "what leads to it by"),
    ("fewer entries", |f| { let l = f.leaf(); f.add_u16(l.at + 4, 65535); Some(l.at) }, ""),
    ("garbage", |f| { let l = f.leaf(); f.add_u16(l.at + 6, 1); Some(l.at) }, "its cells are not as long as it says"),
    ("cells begin too early", |f| { let l = f.leaf(); f.put(l.at + 24, &40_u32.to_le_bytes()); Some(l.at) }, "its slots and cells overlap"),
    ("cells begin outside", |f| { let l = f.leaf(); f.put(l.at + 24, &600_u32.to_le_bytes()); Some(l.at) }, "its slots and cells overlap"),
    ("prefix beyond its limit", |f| { let l = f.leaf(); f.put(l.at + 28, &61_u16.to_le_bytes()); Some(l.at) }, "its common prefix is too long"),
    ("prefix that is not shared", |f| { let l = f.leaf(); f.add_u16(l.at + 28, 1); Some(l.at) }, "the head of a key does not fit"),
    ("prefix longer than a key", |f| { let l = f.leaf(); f.put(l.at + 28, &50_u16.to_le_bytes()); Some(l.at) }, "a key is shorter than the common prefix"),
    // Leaves.
    ("leaf without an entry", |f| { let l = f.leaf(); f.put(l.at + 4, &[0; 4]); f.put(l.at + 24, &(PAGE as u32).to_le_bytes()); Some(l.at) }, "it is a leaf without an entry"),
    ("head", |f| { let l = f.leaf(); f.bytes[l.at + 32] ^= 1; Some(l.at) }, "the head of a key does not fit"),
    ("cell among the slots", |f| { let l = f.leaf(); let p = f.place_at(l.at, 1); f.put(p, &33_u16.to_le_bytes()); Some(l.at) }, "a cell lies among its slots"),
    ("cell outside", |f| { let l = f.leaf(); let p = f.place_at(l.at, 1); f.put(p, &511_u16.to_le_bytes()); Some(l.at) }, "cut short"),
    ("two slots with one cell", |f| { let l = f.leaf(); let (p, c) = (f.place_at(l.at, 1), f.u16(f.place_at(l.at, 0))); f.put(p, &c.to_le_bytes()); Some(l.at) }, "its cells overlap"),
    ("cell longer than the page", |f| { let l = f.leaf(); let c = f.cell(l.at, 0); f.put(c + 2, &500_u16.to_le_bytes()); Some(l.at) }, "cut short"),
    ("shorter value", |f| { let l = f.leaf(); let c = f.cell(l.at, 0); f.add_u16(c + 2, 65535); Some(l.at) }, "its cells are not as long as it says"),
    ("order", |f| { let l = f.leaf(); f.swap_slots(l.at, 1, 2); Some(l.at) }, "its keys are not in ascending order"),
    ("a key twice", |f| { let l = f.leaf(); let k = f.bytes[f.key(l.at, 1)].to_vec(); let to = f.key(l.at, 2).start; f.put(to, &k); f.take_heads(l.at); Some(l.at) }, "its keys are not in ascending order"),
    ("key below its separator", |f| { let l = f.leaf(); let k = f.key(l.at, 0).start; f.put(k, &[0]); f.take_heads(l.at); Some(l.at) }, "a key that belongs to another page"),
    ("key above the next separator", |f| { let l = f.leaf(); let n = f.count(l.at) - 1; let k = f.key(l.at, n).start; f.put(k, &[255]); f.take_heads(l.at); Some(l.at) }, "a key that belongs to another page"),
    ("stamp of the last value", |f| { let l = f.leaf(); for i in 0..f.count(l.at) { let k = f.key(l.at, i); f.put(k.end, &[255]); } Some(l.at) }, "the greatest stamp below it is 255"),
    // Overflow runs.
    ("kind of a run", |f| { let r = f.run(0); f.put(r.at, &[2]); Some(r.at) }, "the header of an overflow run"),
    ("pages of a run", |f| { let r = f.run(0); f.add_u16(r.at + 4, 1); Some(r.at) }, "the header of an overflow run"),
    ("number of a run", |f| { let r = f.run(0); f.add_u64(r.at + 8, 1); Some(r.at) }, "the header of an overflow run"),
    ("transaction of a run", |f| { let r = f.run(0); f.add_u64(r.at + 16, 1); Some(r.at) }, "by another transaction than its entry says"),
    ("transaction of a run after its page's", |f| { let r = f.run(0); let t = f.u64(r.parent + 16) + 1; f.put(r.at + 16, &t.to_le_bytes()); f.put(r.cell + 28, &t.to_le_bytes()); Some(r.at) }, "what leads to it by"),
    ("key length of a run", |f| { let r = f.run(0); f.add_u16(r.at + 24, 1); Some(r.at) }, "the header of an overflow run"),
    ("value length of a run", |f| { let r = f.run(0); f.add_u16(r.at + 28, 1); Some(r.at) }, "the header of an overflow run"),
    ("key of a run", |f| { let r = f.run(0); f.bytes[r.at + 32] ^= 1; Some(r.at) }, "it belongs to another key"),
    ("end of a run", |f| { let r = f.run(0); f.put(r.at + r.bytes - 1, &[1]); Some(r.at) }, "something behind the end of its value"),
    ("stamp kept of a run", |f| { let r = f.run(0); f.add_u64(r.cell + 36, 1); Some(r.parent) }, "the stamp kept for an entry"),
    ("two entries with one run", |f| { let (a, b) = (f.run(0), f.run(1)); let page = f.u64(a.cell + 12); f.put(b.cell + 12, &page.to_le_bytes()); Some(a.at) }, "it is used twice"),
    ("run outside", |f| { let r = f.run(0); f.put(r.cell + 12, &(1_u64 << 40).to_le_bytes()); None }, "lies outside the file"),
    ("run of a separator with a value", |f| { let r = f.separator_run(); f.put(r.at + 28, &[1]); Some(r.at) }, "the header of an overflow run"),
    // Branches.
    ("branch without a child", |f| { let l = f.branch(); f.put(l.at + 4, &[0; 4]); f.put(l.at + 24, &(PAGE as u32).to_le_bytes()); Some(l.at) }, "it is a branch without a child"),
    ("head of the first child", |f| { let l = f.branch(); f.put(l.at + 32, &[1]); Some(l.at) }, "its first child has a separator"),
    ("order of children", |f| { let l = f.branch(); f.swap_slots(l.at, 1, 2); Some(l.at) }, "ascending order"),
    ("count of a child", |f| { let l = f.leaf(); f.add_u64(l.cell + 18, 1); Some(l.at) }, "entries are below it, and its parent says"),
    ("stamp of a child", |f| { let l = f.leaf(); f.add_u64(l.cell + 26, 1); Some(l.at) }, "the greatest stamp below it is"),
    ("one child twice", |f| { let (a, b) = (f.leaf(), f.leaves().nth(2).unwrap()); let page = f.u64(a.cell + 2); f.put(b.cell + 2, &page.to_le_bytes()); Some(a.at) }, "it is used twice"),
    ("child beyond the high-water mark", |f| { let l = f.leaf(); let high = f.u64(f.meta + 32); f.put(l.cell + 2, &high.to_le_bytes()); None }, "and the high-water mark"),
    ("child among the meta pages", |f| { let l = f.leaf(); f.put(l.cell + 2, &3_u64.to_le_bytes()); None }, "does not lie between page 16"),
    // The table of trees.
    ("entries of a tree", |f| { f.add_u64(f.meta + TABLE_AT + 40, 1); Some(f.links.iter().find(|l| l.tree == 1).unwrap().at) }, "entries are below it, and its parent says"),
    ("greatest stamp of a tree", |f| { f.add_u64(f.meta + TABLE_AT + 48, 1); Some(f.links.iter().find(|l| l.tree == 1).unwrap().at) }, "the greatest stamp below it is"),
    ("depth of a tree", |f| { let at = f.meta + TABLE_AT + 23; f.bytes[at] += 1; Some(f.links.iter().find(|l| l.tree == 1).unwrap().at) }, "its header says"),
    ("empty tree with entries", |f| { f.bytes[f.meta + TABLE_AT + 23] = 0; None }, "the tree has no pages"),
    // Free space.
    ("page that is lost", |f| { let (_, len, at) = f.free_run(long_run(f)); f.put(at + 8, &(len - 1).to_le_bytes()); None }, "neither used nor free"),
    ("page that is free and used", |f| { let (_, len, at) = f.free_run(0); f.put(at + 8, &(len + 1).to_le_bytes()); None }, "listed as free, and is used or free already"),
    ("free page outside", |f| { let last = f.count(f.free_leaf().at) - 1; let (_, _, at) = f.free_run(last); f.put(at + 8, &9999_u64.to_le_bytes()); None }, "reaches outside the pages in use"),
    ("free run of no page", |f| { let (_, _, at) = f.free_run(0); f.put(at + 8, &[0; 8]); None }, "impossible length"),
    ("free runs that touch", |f| {
        let i = long_run(f);
        let (start, len, at) = f.free_run(i);
        f.put(at + 8, &(len - 1).to_le_bytes());
        let (_, _, next) = f.free_run(i + 1);
        f.put(next, &(start + len - 1).to_be_bytes());
        f.put(next + 8, &1_u64.to_le_bytes());
        f.take_heads(f.free_leaf().at);
        None
    }, "two runs of free pages touch"),
    ("entry of the free tree", |f| { let (_, _, at) = f.free_run(0); f.add_u16(at - 4, 1); f.add_u16(at - 2, 65535); f.take_heads(f.free_leaf().at); None }, "not two numbers"),
    ("number of free pages", |f| { f.add_u64(f.meta + 40, 1); None }, "pages are free, where"),
    ("high-water mark", |f| { f.add_u64(f.meta + 32, 1); None }, "neither used nor free"),
];

/// A free run of more than one page that is not the last.
fn long_run(f: &Image) -> usize {
    (0..f.count(f.free_leaf().at) - 1).find(|&i| f.free_run(i).1 > 1).unwrap()
}

fn checked(image: &Image) -> CheckReport {
    open(image.bytes.clone()).check()
}

#[test]
fn every_rule_that_is_broken_is_named() {
    let bytes = build();
    let mut whole = Image::of(bytes.clone());
    whole.seal();
    assert!(whole.bytes == bytes, "sealing changes nothing in a file that is whole");
    let report = checked(&whole);
    assert!(report.is_clean() && report.older_meta.is_none(), "{report:?}");
    for (name, damage, said) in RULES {
        let mut image = Image::of(bytes.clone());
        let page = damage(&mut image);
        image.seal();
        assert!(image.bytes != bytes, "{name}: nothing was damaged");
        let report = checked(&image);
        let named = report.faults.iter().find(|fault| {
            fault.what.contains(said) && page.is_none_or(|page| fault.page == (page / PAGE) as u64)
        });
        let all: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        let named = named.unwrap_or_else(|| panic!("{name}: page {page:?}, {said:?} in {all:#?}"));
        assert!(!all.iter().any(|fault| fault.contains("checksum")), "{name}: {all:#?}");
        assert!(["one", "two", "free"].contains(&named.tree.as_str()), "{name}: {named}");
    }
}

/// The keys that a fault speaks of are those around the damaged page, and of a run the key that it belongs to.
#[test]
fn faults_name_keys() {
    let bytes = build();
    let mut image = Image::of(bytes.clone());
    let leaf = image.leaf();
    let key = image.bytes[image.key(leaf.at, 1)].to_vec();
    image.bytes[leaf.at + 32] ^= 1;
    image.seal();
    let report = checked(&image);
    let fault = &report.faults[0];
    assert!(fault.from.as_ref().unwrap() <= &key && &key < fault.to.as_ref().unwrap(), "{fault}");

    let mut image = Image::of(bytes);
    let runs = [image.run(0), image.run(2)];
    for run in runs {
        image.bytes[run.at + run.bytes - 1] ^= 1;
    }
    image.seal();
    let report = checked(&image);
    let named: Vec<_> = report.faults.iter().map(|fault| fault.page).collect();
    assert_eq!(named, runs.map(|run| (run.at / PAGE) as u64), "both are told");
    for (fault, run) in report.faults.iter().zip(runs) {
        let key_bytes = image.u32(run.at + 24) as usize;
        assert!(image.bytes[run.at + 32..run.at + 32 + key_bytes].starts_with(fault.from.as_ref().unwrap()));
    }
}

#[test]
fn meta_pages_are_looked_at() {
    let bytes = build();
    let image = Image::of(bytes.clone());
    let file = Arc::new(MemFile::with_image(bytes));
    let options = DbOptions { page_size: PAGE as u32, reserve_bytes: 1 << 30, min_mark: 0 };
    let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
    file.flip_bit(image.meta as u64 + 300, 0);
    let report = db.check();
    assert_eq!(report.faults.len(), 1);
    assert!(report.faults[0].to_string().contains("meta page"), "{}", report.faults[0]);
    file.flip_bit(image.meta as u64 + 300, 0);
    file.flip_bit(4096 - image.meta as u64 + 300, 0);
    let report = db.check();
    assert!(report.is_clean());
    assert!(report.older_meta.unwrap().contains("checksum"));
}
