//! How fast an image is planned, emitted and read: `cargo run --release --example emit_rate [MiB]`.
//!
//! The image goes nowhere, so the figures are those of the writer alone; the snapshot's SHA-256 is measured apart.
#![allow(clippy::print_stdout)]

use std::io::{self, Write};
use std::time::Instant;

use holdfast_bbolt::snapshot::BlobWriter;
use holdfast_bbolt::{Database, Emitter, Layout, Plan, WriteError};

const KEY_LEN: usize = 17;

fn key(revision: u64) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    key[..8].copy_from_slice(&revision.to_be_bytes());
    key[8] = b'_';
    key
}

/// A `KeyValue` with field 1 and otherwise field 5, so that the status can be computed.
fn value(len: usize) -> Vec<u8> {
    let mut value = vec![0x0a, 1, b'k', 0x2a, 0, 0];
    let rest = len - value.len();
    value[4] = (rest % 128) as u8 | 0x80;
    value[5] = (rest / 128) as u8;
    value.resize(len, b'v');
    value
}

fn plan(count: u64, value_len: usize) -> Result<Layout, WriteError> {
    let mut plan = Plan::new();
    plan.bucket(b"key")?;
    for _ in 0..count {
        plan.entry(KEY_LEN, value_len)?;
    }
    plan.finish()
}

fn emit<W: Write>(layout: Layout, count: u64, value: &[u8], out: W) -> Result<W, WriteError> {
    let mut emitter = Emitter::new(layout, 2, out)?;
    emitter.bucket(b"key")?;
    for revision in 2..count + 2 {
        emitter.entry(&key(revision), value)?;
    }
    emitter.finish()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mib = std::env::args().nth(1).map_or(Ok(512), |mib| mib.parse::<u64>())?;
    for value_len in [64, 288, 1024, 12_000] {
        let count = (mib << 20) / (value_len + KEY_LEN + 16) as u64;
        let value = value(value_len);
        let start = Instant::now();
        let layout = plan(count, value_len)?;
        let planned = start.elapsed();
        let len = layout.file_len();
        let rate = |start: Instant| len as f64 / 1e6 / start.elapsed().as_secs_f64();

        let start = Instant::now();
        emit(layout.clone(), count, &value, io::sink())?;
        let bare = rate(start);
        let start = Instant::now();
        emit(layout.clone(), count, &value, BlobWriter::new(len, |_| Ok(())))?.finish()?;
        let hashed = rate(start);
        let image = emit(layout, count, &value, Vec::with_capacity(len as usize))?;
        let database = Database::open(&image)?;
        let start = Instant::now();
        let sound = database.check()?.is_sound();
        let checked = rate(start);
        let start = Instant::now();
        let entries = database.status()?.total_entries;
        let read = rate(start);
        println!(
            "values of {value_len:>5}: {count:>8} entries, {:>4} MB; plan {planned:>8.1?}; MB/s: emit {bare:.0}, \
             as hashed blobs {hashed:.0}, check {checked:.0}, status {read:.0}; sound {sound}, all {}",
            len / 1_000_000,
            entries == count
        );
    }
    Ok(())
}
