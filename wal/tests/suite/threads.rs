//! Several threads that append, release and read at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_wal::testing::RecordingDevice;
use holdfast_wal::{Config, DirectIo, FileDevice, LogDevice, Wal, WalError, WriterChoice};
use parking_lot::Mutex;

use crate::support::{Reports, entry, tiny};

const THREADS: u64 = 4;
const EACH: u64 = 150;

/// Each thread takes the next index and appends it, in one critical section as a raft thread would, and now and then
/// waits for its ticket, reads an entry back, or releases.
fn appender(wal: &Wal, next: &Mutex<u64>, released: &AtomicU64, reports: &Reports) {
    for round in 0..EACH {
        let index = {
            let mut next = next.lock();
            let index = *next;
            let batch = holdfast_wal::Batch { entries: vec![entry(index, 1, 300)], ..Default::default() };
            wal.append(batch, index).unwrap();
            *next += 1;
            index
        };
        if round % 5 == 0 {
            reports.wait_for(index);
            assert!(reports.ticket() >= index);
            match wal.read_range(index, index + 1, 1) {
                Ok(read) => assert_eq!(read[..], [entry(index, 1, 300)]),
                Err(WalError::Released { .. }) => assert!(released.load(Ordering::SeqCst) >= index),
                Err(error) => panic!("{error}"),
            }
        }
        if round % 20 == 19 {
            released.fetch_max(index, Ordering::SeqCst);
            wal.release(index).unwrap();
        }
    }
}

fn together(device: Arc<dyn LogDevice>, writer: WriterChoice) {
    let (config, reports) = tiny();
    let config = Config { writer, ..config };
    let wal = Wal::create(device.clone(), config.clone(), b"").unwrap();
    let (next, released) = (Mutex::new(1), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| appender(&wal, &next, &released, &reports));
        }
    });
    let last = THREADS * EACH;
    reports.wait_for(last);
    assert_eq!(reports.ticket(), last);
    let stats = wal.stats();
    assert_eq!((stats.durable_index, stats.last_index, stats.queued_bytes), (last, last, 0));
    assert!(stats.groups <= last + stats.rolls + 10, "groups hold what arrived meanwhile: {stats:?}");
    drop(wal);
    let (_, recovered) = Wal::open(device, config).unwrap();
    assert_eq!(recovered.start.index, released.load(Ordering::SeqCst));
    let expected: Vec<_> = (recovered.start.index + 1..=last).map(|index| entry(index, 1, 300)).collect();
    assert_eq!(recovered.entries, expected);
}

#[test]
fn appenders_share_a_simulated_log() {
    for _ in 0..5 {
        together(Arc::new(RecordingDevice::new()), WriterChoice::Auto);
    }
}

#[test]
fn appenders_share_a_log_on_files() {
    for writer in [WriterChoice::Blocking, WriterChoice::Ring] {
        let directory = tempfile::tempdir().unwrap();
        together(Arc::new(FileDevice::open(directory.path(), DirectIo::Auto).unwrap()), writer);
    }
}

#[test]
fn a_close_waits_for_all_that_was_accepted() {
    for _ in 0..50 {
        let (config, reports) = tiny();
        let wal = Wal::create(Arc::new(RecordingDevice::new()), config, b"").unwrap();
        for index in 1..=20 {
            let batch = holdfast_wal::Batch { entries: vec![entry(index, 1, 10)], ..Default::default() };
            wal.append(batch, index).unwrap();
        }
        wal.close().unwrap();
        assert_eq!(reports.ticket(), 20);
        assert!(matches!(wal.append(holdfast_wal::Batch::default(), 21), Err(WalError::Closed)));
    }
}
