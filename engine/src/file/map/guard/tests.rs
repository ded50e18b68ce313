//! Each test runs itself again as a child process, which meets the fault.
#![allow(clippy::unwrap_used)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use super::*;
use crate::file::{MappedFile, PageFile as _};

const CHILD: &str = "HOLDFAST_TEST_MEMORY_FAULT";

/// The folder that the parent has made, in a child.
fn in_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Runs the test of this name in a child.
fn child(test: &str) -> (Output, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("file::map::guard::tests::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    (output, folder.path().join("db"), folder)
}

/// A mapped file of 64 KiB that was then cut to 16 KiB by somebody else.
fn cut_file(folder: &std::path::Path) -> MappedFile {
    let path = folder.join("db");
    let file = MappedFile::open(&path, 1 << 30).unwrap();
    file.set_len(64 << 10).unwrap();
    file.write_at(0, &[&vec![7; 64 << 10]]).unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(16 << 10).unwrap();
    file
}

fn touch(file: &MappedFile, offset: u64) -> u8 {
    std::hint::black_box(file.bytes(offset, 1).unwrap()[0])
}

#[test]
fn without_a_watcher_the_process_ends_with_a_line() {
    if let Some(folder) = in_child() {
        let file = cut_file(&folder);
        assert_eq!(touch(&file, 16_383), 7);
        touch(&file, 20_000);
        unreachable!("a byte that is not there was read");
    }
    let (output, path, _folder) = child("without_a_watcher_the_process_ends_with_a_line");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(MEMORY_FAULT_STATUS), "{said}");
    let line = said
        .lines()
        .find(|line| line.starts_with(path.to_str().unwrap()))
        .unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("at offset 20000 (SIGBUS") && line.contains("restore"), "{line}");
}

#[test]
fn a_watcher_is_told_while_the_thread_is_parked() {
    if let Some(folder) = in_child() {
        let watch = FaultWatch::start().unwrap();
        assert!(FaultWatch::start().is_err(), "there is one at a time");
        let other = MappedFile::open(&folder.join("other"), 1 << 30).unwrap();
        other.set_len(4096).unwrap();
        let file = std::sync::Arc::new(cut_file(&folder));
        let readers = [30_000, 50_000].map(|offset| {
            let file = std::sync::Arc::clone(&file);
            std::thread::spawn(move || touch(&file, offset))
        });
        let mut met: Vec<u64> = (0..2)
            .map(|_| {
                let fault = watch.wait().unwrap();
                assert!(fault.file.ends_with("db") && fault.code > 0, "{fault}");
                assert!(fault.to_string().contains(&format!("offset {}", fault.offset)), "{fault}");
                fault.offset
            })
            .collect();
        met.sort_unstable();
        assert_eq!(met, [30_000, 50_000]);
        std::thread::sleep(Duration::from_millis(50));
        assert!(readers.iter().all(|reader| !reader.is_finished()), "the threads are parked");
        assert_eq!(touch(&other, 4095), 0, "others go on");
        exit_now(42);
    }
    let (output, ..) = child("a_watcher_is_told_while_the_thread_is_parked");
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A fault outside our maps ends the process as if nobody guarded anything.
#[test]
fn faults_of_others_are_passed_on() {
    if let Some(folder) = in_child() {
        let _ours = cut_file(&folder);
        let _watch = FaultWatch::start().unwrap();
        let path = folder.join("foreign");
        std::fs::write(&path, [1; 8192]).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let map = memmap2::MmapOptions::new().len(8192).map_raw_read_only(&file).unwrap();
        file.set_len(0).unwrap();
        // SAFETY: the address lies in a live map; that the read does not succeed is what is tested.
        let byte = unsafe { map.as_ptr().add(5000).read_volatile() };
        unreachable!("a byte that is not there was read: {byte}");
    }
    let (output, ..) = child("faults_of_others_are_passed_on");
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_watcher_can_be_stopped_and_a_map_leaves_the_table() {
    if let Some(folder) = in_child() {
        let watch = FaultWatch::start().unwrap();
        let stop = watch.stopper();
        let waiting = std::thread::spawn(move || watch.wait());
        stop.stop();
        assert_eq!(waiting.join().unwrap(), None);
        // A stop that comes too late does not stop the next one.
        stop.stop();
        let watch = FaultWatch::start().unwrap();
        let stop = watch.stopper();
        let waiting = std::thread::spawn(move || watch.wait());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        stop.stop();
        assert_eq!(waiting.join().unwrap(), None);

        let used = || TABLE.iter().filter(|slot| slot.start.load(Ordering::Relaxed) != 0).count();
        let files: Vec<_> =
            (0..SLOTS + 3).map(|n| MappedFile::open(&folder.join(n.to_string()), 1 << 20).unwrap()).collect();
        assert_eq!(used(), SLOTS);
        drop(files);
        assert_eq!(used(), 0);
        exit_now(42);
    }
    let (output, ..) = child("a_watcher_can_be_stopped_and_a_map_leaves_the_table");
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sends the signal to this process as anybody could, and waits long enough for it to arrive.
fn send_sigbus() {
    let sent =
        Command::new("sh").args(["-c", &format!("kill -BUS {}", std::process::id())]).status().unwrap();
    assert!(sent.success());
    std::thread::sleep(Duration::from_millis(500));
}

/// A signal that was sent ends the process as it would have without our handler, at the first time.
#[test]
fn a_signal_that_was_sent_is_not_swallowed() {
    if let Some(folder) = in_child() {
        let _ours = cut_file(&folder);
        send_sigbus();
        exit_now(42);
    }
    let (output, ..) = child("a_signal_that_was_sent_is_not_swallowed");
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The same where nobody had a handler before.
#[test]
fn a_signal_that_was_sent_is_not_swallowed_by_default() {
    if let Some(folder) = in_child() {
        // SAFETY: the default action is a valid one, and no map is guarded yet.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        let _ours = cut_file(&folder);
        send_sigbus();
        exit_now(42);
    }
    let (output, ..) = child("a_signal_that_was_sent_is_not_swallowed_by_default");
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Who ignored the signal before goes on ignoring it when it is sent, and a fault is named afterwards as before.
#[test]
fn an_ignored_signal_stays_ignored_and_the_handler_stays() {
    if let Some(folder) = in_child() {
        // SAFETY: to ignore is a valid action, and no map is guarded yet.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_IGN) };
        let file = cut_file(&folder);
        send_sigbus();
        touch(&file, 20_000);
        unreachable!("a byte that is not there was read");
    }
    let (output, ..) = child("an_ignored_signal_stays_ignored_and_the_handler_stays");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(MEMORY_FAULT_STATUS), "{said}");
}
