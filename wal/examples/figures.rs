//! Measures the writers on a directory: `figures [directory] [rounds]`. For each it prints how long a lone appender
//! waits, and what 64 and 1,000 appenders get, each of which appends again as soon as its last entry is durable.
//!
//! The writers take turns of a tenth of a second, so that what else the machine does falls on all of them alike; the
//! best turn shows what a writer can do undisturbed, the median what it does on this machine as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use holdfast_wal::{Batch, Config, DirectIo, Entry, FileDevice, HardState, Wal, WriterChoice};

const ENTRY_BYTES: usize = 300;
const TURN: Duration = Duration::from_millis(100);

/// One way of writing: its name, the writer, the page cache, groups in flight.
const WAYS: [(&str, WriterChoice, DirectIo, usize); 5] = [
    ("blocking-direct", WriterChoice::Blocking, DirectIo::Auto, 1),
    ("blocking-cached", WriterChoice::Blocking, DirectIo::Off, 1),
    ("ring-direct-1", WriterChoice::Ring, DirectIo::Auto, 1),
    ("ring-direct-2", WriterChoice::Ring, DirectIo::Auto, 2),
    ("ring-cached-2", WriterChoice::Ring, DirectIo::Off, 2),
];

/// What one turn gave.
struct Turn {
    p50_us: f64,
    p99_us: f64,
    appends_per_s: f64,
    group_us: f64,
    cpu_us: f64,
}

/// A log that is being measured.
struct Lane {
    name: &'static str,
    wal: Wal,
    told: Receiver<u64>,
    index: u64,
    turns: Vec<Turn>,
    _directory: tempfile::TempDir,
}

fn main() {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let rounds = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(20);
    println!(
        "{:16} {:>9} | {:>8} {:>8} {:>8} | {:>9} {:>9} | {:>8} {:>8} | {:>7}",
        "writer",
        "appenders",
        "best p50",
        "med p50",
        "med p99",
        "best /s",
        "med /s",
        "best grp",
        "med grp",
        "cpu us"
    );
    for appenders in [1, 64, 1000] {
        let mut lanes: Vec<Lane> = WAYS.iter().filter_map(|way| lane(Path::new(&place), *way)).collect();
        for _ in 0..rounds {
            for lane in &mut lanes {
                let turn = take_turn(lane, appenders);
                lane.turns.push(turn);
            }
        }
        for lane in &lanes {
            print(lane, appenders);
        }
    }
    starts(Path::new(&place));
}

/// How long it takes to create a log, and to open one that was never closed with 32 MiB of entries to read back.
fn starts(place: &Path) {
    let directory = tempfile::tempdir_in(place).expect("the directory can be written to");
    let files =
        || Arc::new(FileDevice::open(directory.path(), DirectIo::Auto).expect("the directory is free"));
    let begun = Instant::now();
    let wal = Wal::create(files(), Config::default(), b"figures").expect("the directory is empty");
    println!("create: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let data = Bytes::from(vec![7; ENTRY_BYTES]);
    let entries = (32 << 20) / ENTRY_BYTES as u64;
    for index in 1..=entries {
        let entry = Entry { index, term: 1, kind: 0, data: data.clone() };
        wal.append(Batch { entries: vec![entry], ..Batch::default() }, index).expect("it follows");
    }
    wal.close().expect("all is written");
    drop(wal);
    for _ in 0..3 {
        let begun = Instant::now();
        let (_wal, recovered) = Wal::open(files(), Config::default()).expect("it was written");
        println!(
            "open: {} entries in {:.1} ms",
            recovered.entries.len(),
            begun.elapsed().as_secs_f64() * 1e3
        );
    }
}

fn lane(
    place: &Path,
    (name, writer, direct, groups): (&'static str, WriterChoice, DirectIo, usize),
) -> Option<Lane> {
    let directory = tempfile::tempdir_in(place).expect("the directory can be written to");
    let device = Arc::new(FileDevice::open(directory.path(), direct).expect("the directory is free"));
    let (tell, told) = crossbeam_channel::unbounded();
    let config = Config {
        writer,
        groups_in_flight: groups,
        on_durable: Arc::new(move |result| {
            // The receiver is gone when the measurement is over.
            let _ = tell.send(result.expect("the disk works"));
        }),
        ..Config::default()
    };
    let wal = Wal::create(device, config, b"figures").expect("the directory is empty");
    if writer == WriterChoice::Ring && wal.stats().writer.name() != "ring" {
        println!("{name:16} refused: {}", wal.stats().writer_reason);
        return None;
    }
    Some(Lane { name, wal, told, index: 0, turns: Vec::new(), _directory: directory })
}

/// All appenders driven by one thread, as a raft thread would: it appends for all those whose last entry has become
/// durable.
fn take_turn(lane: &mut Lane, appenders: u64) -> Turn {
    let data = Bytes::from(vec![7; ENTRY_BYTES]);
    let base = lane.index;
    let mut durable = base;
    let mut begun: Vec<Instant> = Vec::new();
    let mut waits: Vec<u32> = Vec::new();
    let (start, cpu, groups) = (Instant::now(), cpu_time(), lane.wal.stats().groups);
    while start.elapsed() < TURN || durable < lane.index {
        let now = Instant::now();
        while lane.index - durable < appenders && start.elapsed() < TURN {
            lane.index += 1;
            begun.push(now);
            let entry = Entry { index: lane.index, term: 1, kind: 0, data: data.clone() };
            let hard_state = Some(HardState { term: 1, vote: 1, commit: durable });
            let batch = Batch { reset: None, entries: vec![entry], hard_state };
            lane.wal.append(batch, lane.index).expect("it follows");
        }
        if durable == lane.index {
            break;
        }
        let mut ticket = lane.told.recv().expect("the log lives");
        while let Ok(more) = lane.told.try_recv() {
            ticket = more;
        }
        for at in durable..ticket {
            waits.push(begun[(at - base) as usize].elapsed().as_micros() as u32);
        }
        durable = ticket;
    }
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_time().saturating_sub(cpu).as_secs_f64());
    let groups = (lane.wal.stats().groups - groups) as f64;
    lane.wal.release(durable).expect("the log lives");
    waits.sort_unstable();
    let at = |share: f64| f64::from(waits[((waits.len() - 1) as f64 * share) as usize]);
    let count = waits.len() as f64;
    Turn {
        p50_us: at(0.5),
        p99_us: at(0.99),
        appends_per_s: count / elapsed,
        group_us: elapsed * 1e6 / groups,
        cpu_us: cpu * 1e6 / count,
    }
}

fn print(lane: &Lane, appenders: u64) {
    let sorted = |figure: fn(&Turn) -> f64| {
        let mut all: Vec<f64> = lane.turns.iter().map(figure).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    };
    let median = |all: &[f64]| all[all.len() / 2];
    let (p50, p99) = (sorted(|turn| turn.p50_us), sorted(|turn| turn.p99_us));
    let (rate, group) = (sorted(|turn| turn.appends_per_s), sorted(|turn| turn.group_us));
    let cpu = sorted(|turn| turn.cpu_us);
    println!(
        "{:16} {:>9} | {:>8.0} {:>8.0} {:>8.0} | {:>9.0} {:>9.0} | {:>8.1} {:>8.1} | {:>7.2}",
        lane.name,
        appenders,
        p50[0],
        median(&p50),
        median(&p99),
        rate[rate.len() - 1],
        median(&rate),
        group[0],
        median(&group),
        median(&cpu),
    );
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}
