//! On real files, with each writer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use holdfast_wal::{
    Config, DirectIo, FileDevice, InlineWal, LogDevice, SegmentName, Wal, WalError, WriterChoice, WriterKind,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::support::{Model, entries, tiny};

fn device(directory: &Path, direct: DirectIo) -> Arc<dyn LogDevice> {
    Arc::new(FileDevice::open(directory, direct).unwrap())
}

/// Random batches and releases over several reopens, then a comparison with the model.
fn exercise(writer: WriterChoice, direct: DirectIo, no_sync: bool, expected: WriterKind) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("member").join("wal");
    let mut rng = SmallRng::seed_from_u64(3);
    let mut model = Model::default();
    for round in 0..4 {
        let (config, reports) = tiny();
        let config = Config { writer, no_sync, ..config };
        let files = device(&path, direct);
        let wal = if round == 0 {
            Wal::create(files, config, b"files").unwrap()
        } else {
            let (wal, recovered) = Wal::open(files, config).unwrap();
            assert_eq!(&recovered.metadata[..], b"files");
            assert!(model.agrees(&Model::of(&recovered)), "round {round}");
            model.start = recovered.start;
            model.entries = recovered.entries;
            wal
        };
        let stats = wal.stats();
        if writer == WriterChoice::Ring && stats.writer != WriterKind::Ring {
            eprintln!("SKIPPED: no ring here: {}", stats.writer_reason);
            return;
        }
        assert_eq!(stats.writer, expected, "{}", stats.writer_reason);
        for ticket in 1..=150 {
            let batch = model.random_batch(&mut rng);
            model.append(&batch);
            wal.append(batch, ticket).unwrap();
            if ticket % 10 == 0 {
                let index = model.last().saturating_sub(30);
                wal.release(index).unwrap();
                model.release(index);
            }
            if ticket % 7 == 0 {
                reports.wait_for(ticket);
            }
        }
        reports.wait_for(150);
        assert!(reports.errors().is_empty(), "{:?}", reports.errors());
        if let Some(last) = model.entries.last() {
            let read = wal.read_range(last.index, last.index + 1, 1).unwrap();
            assert_eq!(&read[..], std::slice::from_ref(last));
        }
        let stats = wal.stats();
        assert_eq!((stats.queued_bytes, stats.syncs == 0), (0, no_sync));
        assert!(stats.rolls > 2, "{stats:?}");
        wal.close().unwrap();
        wal.close().unwrap();
    }
    for file in fs::read_dir(&path).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        assert!(SegmentName::parse(&name).is_some(), "{name}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_blocking_writer_past_the_page_cache() {
    exercise(WriterChoice::Blocking, DirectIo::Auto, false, WriterKind::Blocking);
}

#[test]
fn the_blocking_writer_through_the_page_cache() {
    exercise(WriterChoice::Blocking, DirectIo::Off, false, WriterKind::Blocking);
}

#[test]
fn the_ring_writer_past_the_page_cache() {
    exercise(WriterChoice::Ring, DirectIo::Auto, false, WriterKind::Ring);
}

#[test]
fn the_ring_writer_through_the_page_cache() {
    exercise(WriterChoice::Ring, DirectIo::Off, false, WriterKind::Ring);
}

#[test]
fn without_syncs_everything_else_is_as_ever() {
    exercise(WriterChoice::Auto, DirectIo::Auto, true, WriterKind::Blocking);
}

/// The child of the test below: appends and says what is durable until it is killed.
#[test]
#[ignore = "runs only as the child of the_process_is_killed"]
fn appends_until_killed() {
    let Ok(path) = std::env::var("HOLDFAST_WAL_TEST_DIRECTORY") else { return };
    let writer = if path.ends_with("ring") { WriterChoice::Ring } else { WriterChoice::Blocking };
    let on_durable = Arc::new(|result: Result<u64, WalError>| println!("durable {}", result.unwrap()));
    let config = Config { writer, on_durable, ..tiny().0 };
    let wal = Wal::create(device(Path::new(&path), DirectIo::Auto), config, b"killed").unwrap();
    for index in 1.. {
        wal.append(entries(index..=index, 1, 200), index).unwrap();
        if index % 64 == 0 {
            wal.release(index - 50).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
    }
}

/// A process is killed in the middle of its writes, again and again: all that it said is there.
#[test]
fn the_process_is_killed() {
    use std::io::{BufRead, BufReader};
    for (round, kind) in ["blocking", "ring"].iter().cycle().take(6).enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(kind);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::appends_until_killed", "--ignored", "--nocapture"])
            .env("HOLDFAST_WAL_TEST_DIRECTORY", &path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut hear = |until: u64| {
            for line in lines.by_ref() {
                if let Some(ticket) = line.strip_prefix("durable ") {
                    said = ticket.parse().unwrap();
                }
                if said >= until {
                    break;
                }
            }
        };
        hear(500 + round as u64 * 97);
        child.kill().unwrap();
        child.wait().unwrap();
        hear(u64::MAX);
        let (wal, recovered) = Wal::open(device(&path, DirectIo::Auto), tiny().0).unwrap();
        let model = Model::of(&recovered);
        assert!(said >= 500 && model.last() >= said, "{said} was said, {} is there", model.last());
        let expected = entries(model.start.index + 1..=model.last(), 1, 200).entries;
        assert_eq!(model.entries, expected);
        wal.append(entries(model.last() + 1..=model.last() + 1, 1, 10), 1).unwrap();
        wal.close().unwrap();
    }
}

/// The segment is gone when the ring wants to write to it: an error as any other.
#[test]
fn a_ring_that_fails_poisons_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (config, reports) = tiny();
    let config = Config { writer: WriterChoice::Ring, ..config };
    let wal = Wal::create(device(directory.path(), DirectIo::Auto), config, b"").unwrap();
    if wal.stats().writer != WriterKind::Ring {
        eprintln!("SKIPPED: no ring here: {}", wal.stats().writer_reason);
        return;
    }
    fs::remove_file(directory.path().join(SegmentName::Segment(1).to_string())).unwrap();
    wal.append(entries(1..=1, 1, 10), 1).unwrap();
    reports.wait_for(1);
    assert!(matches!(reports.errors()[..], [WalError::Device(_)]));
    assert!(matches!(wal.append(entries(2..=2, 1, 10), 2), Err(WalError::Poisoned(_))));
    assert!(matches!(wal.close(), Err(WalError::Poisoned(_))));
}

#[test]
fn a_log_in_use_is_not_opened_twice() {
    let directory = tempfile::tempdir().unwrap();
    let first = FileDevice::open(directory.path(), DirectIo::Auto).unwrap();
    let second = FileDevice::open(directory.path(), DirectIo::Auto).map(|_| ());
    assert!(matches!(second, Err(WalError::InUse { .. })));
    drop(first);
    assert!(FileDevice::open(directory.path(), DirectIo::Auto).is_ok());
}

#[test]
fn leftovers_of_an_interrupted_start_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // A preparation that was cut off, the scratch file of a probe, and files of somebody else.
    fs::write(at("0000000000000007.spare"), vec![0; 5000]).unwrap();
    fs::write(at("probe.tmp"), b"old").unwrap();
    fs::write(at("0000000000000000-0000000000000000.wal"), b"Go etcd's").unwrap();
    let (config, _) = tiny();
    let files = device(directory.path(), DirectIo::Auto);
    let wal = InlineWal::create(files.clone(), config.clone(), b"").unwrap();
    assert!(!at("0000000000000007.spare").exists() && !at("probe.tmp").exists());
    wal.append(entries(1..=3, 1, 100), 1).unwrap();
    wal.close().unwrap();
    let (_, recovered) = InlineWal::open(files, config).unwrap();
    assert_eq!(recovered.entries.len(), 3);
    assert_eq!(fs::read(at("0000000000000000-0000000000000000.wal")).unwrap(), b"Go etcd's");
}

#[test]
fn truncated_and_garbage_files_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (config, _) = tiny();
    let open = || Wal::open(device(directory.path(), DirectIo::Auto), config.clone()).map(|_| ());
    assert!(matches!(open(), Err(WalError::NoLog { .. })));
    Wal::create(device(directory.path(), DirectIo::Auto), config.clone(), b"").unwrap().close().unwrap();
    let segment = directory.path().join(SegmentName::Segment(1).to_string());
    let good = fs::read(&segment).unwrap();
    for len in [0, 1, 4096, 8192, good.len() - 1] {
        fs::write(&segment, &good[..len]).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, WalError::DamagedHeader { .. }), "{error}");
        assert!(error.to_string().contains("0000000000000001.log"));
    }
    fs::write(&segment, vec![b'x'; good.len()]).unwrap();
    assert!(matches!(open(), Err(WalError::DamagedHeader { .. })));
    fs::write(&segment, &good).unwrap();
    open().unwrap();
}

#[test]
fn writes_over_the_end_of_a_segment_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let files = device(directory.path(), DirectIo::Off);
    let name = SegmentName::Spare(1);
    files.create(name, 8192).unwrap();
    assert!(files.create(name, 8192).is_err());
    assert!(files.write_at(name, 8192, &[0; 4096]).is_err());
    assert!(files.write_durable(name, 4096, &[0; 8192]).is_err());
    files.write_durable(name, 4096, &[1; 4096]).unwrap();
    let mut out = [0; 4096];
    files.read_at(name, 4096, &mut out).unwrap();
    assert_eq!(out, [1; 4096]);
    assert!(files.read_at(name, 8192, &mut out).is_err());
    files.create(SegmentName::Spare(2), 4096).unwrap();
    assert!(files.rename(name, SegmentName::Spare(2)).is_err(), "nothing is renamed over");
    files.rename(name, SegmentName::Segment(9)).unwrap();
    files.read_at(SegmentName::Segment(9), 4096, &mut out).unwrap();
    assert!(files.read_at(name, 0, &mut out).is_err());
    files.remove(SegmentName::Segment(9)).unwrap();
    assert_eq!(files.list().unwrap(), [(SegmentName::Spare(2), 4096)]);
}
