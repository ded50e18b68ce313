//! Reads of a database that is not in the page cache: what the advice given for its map is worth.
//!
//! `cold_reads build FILE ENTRIES random|ascending` makes a tree of 24 + 150 bytes; `cold_reads get FILE COUNT` reads
//! random keys, `cold_reads scan FILE [ENTRIES]` all entries in order (or so many); `cold_reads check FILE` checks and
//! scrubs the whole file, and tells what memory of its own that took. Before reading, the file is dropped
//! from the page cache, which the system does only while no process has it mapped: so each runs in a process of its own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use holdfast_engine::file::MappedFile;
use holdfast_engine::tree::{Db, DbOptions, ScrubPlace, TreeId, TreeRead as _, TreeSpec};

fn stamp(_: &[u8], _: &[u8]) -> u64 {
    0
}

static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp }];
const ONE: TreeId = TreeId(0);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["build", file, entries, order] => {
            build(Path::new(file), entries.parse().unwrap(), order == "random");
        }
        ["get", file, count] => get(Path::new(file), count.parse().unwrap()),
        ["scan", file] => scan(Path::new(file), u64::MAX),
        ["check", file] => check(Path::new(file)),
        ["scan", file, entries] => scan(Path::new(file), entries.parse().unwrap()),
        _ => {
            eprintln!(
                "usage: cold_reads build FILE ENTRIES random|ascending | get FILE COUNT | scan FILE [ENTRIES] | check FILE"
            );
        }
    }
}

fn open(path: &Path) -> Db {
    let file = MappedFile::open(path, 1 << 40).unwrap();
    Db::open(Arc::new(file), SPECS, DbOptions::default()).unwrap()
}

/// A number that visits all of `0..entries`, a power of two, in an order that looks random.
fn shuffled(n: u64, entries: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(12_345) % entries
}

fn key(n: u64) -> [u8; 24] {
    let mut key = [b'k'; 24];
    key[16..].copy_from_slice(&n.to_be_bytes());
    key
}

fn build(path: &Path, entries: u64, random: bool) {
    assert!(entries.is_power_of_two(), "the order needs a power of two");
    let db = open(path);
    let mut n = 0;
    while n < entries {
        let mut txn = db.write();
        for _ in 0..10_000.min(entries - n) {
            let place = if random { shuffled(n, entries) } else { n };
            txn.put(ONE, &key(place), &[n as u8; 150]).unwrap();
            n += 1;
        }
        txn.publish().unwrap();
        if n % 100_000 < 10_000 {
            db.checkpoint().unwrap();
        }
    }
    db.checkpoint().unwrap();
    println!("{} MiB", db.stats().file_bytes >> 20);
}

fn drop_from_cache(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

fn get(path: &Path, count: u64) {
    drop_from_cache(path);
    let db = open(path);
    let snapshot = db.snapshot();
    let entries = snapshot.len(ONE);
    let started = Instant::now();
    let mut found = 0;
    for n in 0..count {
        found += u64::from(snapshot.get(ONE, &key(shuffled(n * 7 + 3, entries))).unwrap().is_some());
    }
    let took = started.elapsed();
    println!("{found} cold gets: {:.1} µs each", took.as_secs_f64() * 1e6 / count as f64);
}

fn scan(path: &Path, entries: u64) {
    drop_from_cache(path);
    let db = open(path);
    let snapshot = db.snapshot();
    for round in ["cold", "warm"] {
        let (started, mut seen, mut bytes) = (Instant::now(), 0, 0);
        let mut cursor = snapshot.cursor(ONE);
        cursor.next().unwrap();
        while let Some((key, value)) = cursor.entry().unwrap() {
            (seen, bytes) = (seen + 1, bytes + key.len() + value.len());
            if seen == entries {
                break;
            }
            cursor.next().unwrap();
        }
        let took = started.elapsed().as_secs_f64();
        println!(
            "{round} scan of {seen} entries: {:.0} ms, {:.0} MB/s, {:.1} ns each",
            took * 1e3,
            bytes as f64 / took / 1e6,
            took * 1e9 / f64::from(u32::try_from(seen).unwrap())
        );
    }
}

/// Anonymous memory of this process, in KiB.
fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn check(path: &Path) {
    drop_from_cache(path);
    let db = open(path);
    let (started, before) = (Instant::now(), anonymous_kib());
    let report = db.check();
    println!(
        "check of {} entries in {} pages: {} faults, {:.0} ms, {} KiB more memory",
        report.entries,
        report.tree_pages,
        report.faults.len(),
        started.elapsed().as_secs_f64() * 1e3,
        anonymous_kib().saturating_sub(before)
    );
    let (started, mut place, mut pages, mut steps) = (Instant::now(), ScrubPlace::default(), 0, 0);
    loop {
        let step = db.scrub_step(&mut place, 16);
        assert_eq!(step.faults, []);
        (pages, steps) = (pages + step.pages, steps + 1);
        if step.round_done {
            break;
        }
    }
    println!("scrub of {pages} pages in {steps} steps: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
}
