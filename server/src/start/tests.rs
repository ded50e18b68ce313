//! The data directory. (Whole processes are tested in `tests/process.rs`.)

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::datadir::{DataDir, DataDirError};
use crate::config::{self, Config, Loaded};

fn config(data_dir: &Path, more: &[&str]) -> Config {
    let mut args = vec![format!("--data-dir={}", data_dir.display()), "--name=m".to_owned()];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    match config::load(&args, &[], &mut Vec::new(), &mut None) {
        Ok(Loaded::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_directory_is_made_for_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a").join("b");
    let config = config(&data, &[]);
    let opened = DataDir::open(&config).unwrap();
    assert!(!opened.initialized());
    assert_eq!(opened.database(), data.join("member/snap/db"));
    for part in ["", "member", "member/snap", "member/wal"] {
        assert_eq!(fs::metadata(data.join(part)).unwrap().permissions().mode() & 0o777, 0o700, "{part}");
    }
    drop(opened);
    fs::write(data.join("member/wal/0000000000000001.log"), b"HFWALSEG").unwrap();
    assert!(DataDir::open(&config).unwrap().initialized());
}

#[test]
fn the_second_of_two_is_refused_and_told_by_whom() {
    let dir = tempfile::tempdir().unwrap();
    let first = DataDir::open(&config(dir.path(), &[])).unwrap();
    let error = DataDir::open(&config(dir.path(), &[])).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DataDirError::Locked { .. }));
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(first);
    DataDir::open(&config(dir.path(), &[])).unwrap();
}

#[test]
fn two_directories_cannot_share_a_log() {
    let (a, b, wal) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let wal_dir = format!("--wal-dir={}", wal.path().display());
    let _first = DataDir::open(&config(a.path(), &[&wal_dir])).unwrap();
    let error = DataDir::open(&config(b.path(), &[&wal_dir])).unwrap_err();
    assert!(error.to_string().contains("as its --wal-dir"), "{error}");
}

#[test]
fn go_etcds_data_is_recognised_and_left_alone() {
    let mut database = vec![0; 4096];
    database[16..20].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed]);
    let log = [4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 0x10, 0, 0, 0, 0, 0];
    for (file, bytes, what) in [
        ("member/snap/db", &database[..], "the database"),
        ("member/wal/0000000000000000-0000000000000000.wal", &log[..], "the log"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let before = fs::read(&path).unwrap();
        let error = DataDir::open(&config(dir.path(), &[])).unwrap_err();
        assert!(matches!(error, DataDirError::GoEtcd { what: found, .. } if found == what), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        let names: Vec<_> =
            fs::read_dir(dir.path().join("member")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "nothing was added: {names:?}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("proxy")).unwrap();
    assert!(matches!(DataDir::open(&config(dir.path(), &[])), Err(DataDirError::Proxy(_))));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DataDir::open(&config(&file, &[])).unwrap_err();
    assert!(error.to_string().starts_with("cannot access data directory: "), "{error}");
}
