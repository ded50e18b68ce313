//! Measures the writers on a directory: `figures [directory]`. For each it prints how long a lone appender waits, and
//! what 64 and 1,000 appenders get, each of which appends again as soon as its last entry is durable.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast_wal::{Batch, Config, DirectIo, Entry, FileDevice, HardState, Wal, WriterChoice};

const ENTRY_BYTES: usize = 300;

/// One way of writing.
struct Way {
    name: &'static str,
    writer: WriterChoice,
    direct: DirectIo,
    groups: usize,
}

fn main() {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let seconds = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(2);
    let ways = [
        Way { name: "blocking direct", writer: WriterChoice::Blocking, direct: DirectIo::Auto, groups: 1 },
        Way { name: "blocking cached", writer: WriterChoice::Blocking, direct: DirectIo::Off, groups: 1 },
        Way { name: "ring direct x1", writer: WriterChoice::Ring, direct: DirectIo::Auto, groups: 1 },
        Way { name: "ring direct x2", writer: WriterChoice::Ring, direct: DirectIo::Auto, groups: 2 },
        Way { name: "ring cached x2", writer: WriterChoice::Ring, direct: DirectIo::Off, groups: 2 },
    ];
    println!(
        "{:16} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>7}",
        "writer", "appenders", "p50 us", "p99 us", "max us", "appends/s", "groups/s", "us/group", "cpu us"
    );
    for appenders in [1, 64, 1000] {
        for way in &ways {
            measure(Path::new(&place), way, appenders, Duration::from_secs(seconds));
        }
    }
}

/// Runs one way with so many appenders, all driven by one thread as a raft thread would: it appends for all those
/// whose last entry has become durable.
fn measure(place: &Path, way: &Way, appenders: u64, time: Duration) {
    let directory = tempfile::tempdir_in(place).expect("the directory can be written to");
    let device = Arc::new(FileDevice::open(directory.path(), way.direct).expect("the directory is free"));
    let (tell, told) = crossbeam_channel::unbounded();
    let config = Config {
        writer: way.writer,
        groups_in_flight: way.groups,
        on_durable: Arc::new(move |result| {
            let ticket = result.expect("the disk works");
            let _ = tell.send(ticket);
        }),
        ..Config::default()
    };
    let wal = Wal::create(device, config, b"figures").expect("the directory is empty");
    let data = Bytes::from(vec![7; ENTRY_BYTES]);
    let (mut index, mut durable) = (0_u64, 0_u64);
    let mut begun: Vec<Instant> = Vec::new();
    let mut waits: Vec<u32> = Vec::new();
    let (start, cpu) = (Instant::now(), cpu_time());
    while start.elapsed() < time {
        let now = Instant::now();
        while index - durable < appenders {
            index += 1;
            begun.push(now);
            let entry = Entry { index, term: 1, kind: 0, data: data.clone() };
            let hard_state = Some(HardState { term: 1, vote: 1, commit: durable });
            wal.append(Batch { reset: None, entries: vec![entry], hard_state }, index).expect("it follows");
        }
        let mut ticket = told.recv().expect("the log lives");
        while let Ok(more) = told.try_recv() {
            ticket = more;
        }
        for at in durable..ticket {
            waits.push(begun[at as usize].elapsed().as_micros() as u32);
        }
        durable = ticket;
        if durable.is_multiple_of(10_000) {
            wal.release(durable).expect("the log lives");
        }
    }
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_time().saturating_sub(cpu));
    let stats = wal.stats();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "{:16} {:>9} {:>8} {:>8} {:>8} {:>9.0} {:>9.0} {:>8.1} {:>7.2}",
        if stats.writer.name() == "ring" || way.writer == WriterChoice::Blocking {
            way.name
        } else {
            "(refused)"
        },
        appenders,
        at(0.5),
        at(0.99),
        at(1.0),
        waits.len() as f64 / elapsed,
        stats.groups as f64 / elapsed,
        elapsed * 1e6 / stats.groups as f64,
        cpu.as_secs_f64() * 1e6 / waits.len() as f64,
    );
    wal.close().expect("all is written");
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}
