//! Files that were damaged while no server ran.
//!
//! Whatever was done to them: either the start is refused, or the server stops when it meets the damage, both with a line
//! that names the file; or it gives back every acknowledged key. Never something else, never nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::{Code, Status};

use crate::common::grpc::Client;
use crate::common::home::StartFailure;
use crate::common::{Home, Server, offline};

/// How long a member may take to stop once it has met damage.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(20);

pub(crate) type Keys = BTreeMap<String, Bytes>;

/// A home whose server has acknowledged `count` keys and then was stopped, or killed.
pub(crate) async fn filled(count: usize, clean: bool) -> (Home, Keys) {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let keys: Keys =
        (0..count).map(|n| (format!("key{n:06}"), format!("value{n} ").repeat(30).into())).collect();
    client.put_all(&keys).await;
    if clean {
        server.terminate();
    } else {
        server.kill();
    }
    (home, keys)
}

/// Starts the server on what was done to its files and reads everything. Returns why it refuses, or stops; `None` when it
/// serves, rightly.
pub(crate) async fn start(home: &Home, keys: &Keys, what: &str) -> Option<String> {
    let server = match home.try_start() {
        Ok(server) => server,
        Err(StartFailure { status, stderr }) => {
            let status = status.unwrap_or_else(|| panic!("{what}: neither refused nor ready:\n{stderr}"));
            assert!(status.code().is_some_and(|code| code != 0), "{what}: {status:?}\n{stderr}");
            assert!(!stderr.contains("panicked at"), "{what}:\n{stderr}");
            return Some(reason(&stderr).unwrap_or_else(|| panic!("{what}: no reason is given:\n{stderr}")));
        }
    };
    match read(&server, keys, what).await {
        Ok(()) => {
            server.kill();
            None
        }
        // A member that has met damage stops rather than serve beside it; the reason is in its log.
        Err(status) => {
            assert!(matches!(status.code(), Code::DataLoss | Code::Unavailable), "{what}: {status:?}");
            let (ended, stderr) =
                server.wait(STOP_LIMIT).unwrap_or_else(|| panic!("{what}: serves on after {status:?}"));
            assert!(ended.code().is_some_and(|code| code != 0), "{what}: {ended:?}");
            Some(reason(&stderr).unwrap_or_else(|| panic!("{what}: no reason is given:\n{stderr}")))
        }
    }
}

/// Reads everything, and each key by itself: what comes must be what was acknowledged.
async fn read(server: &Server, keys: &Keys, what: &str) -> Result<(), Status> {
    let client = Client::connect(&server.url()).await;
    let all = client.all("key").await?;
    assert_eq!((all.kvs.len(), all.count as usize), (keys.len(), keys.len()), "{what}: keys are lost");
    for (key, value) in keys {
        let found = client.get(key.clone()).await?;
        assert_eq!(found.as_ref(), Some(value), "{what}: {key} is not what was acknowledged");
    }
    Ok(())
}

/// The last line of a log that tells an error.
pub(crate) fn reason(stderr: &str) -> Option<String> {
    stderr.lines().rev().find(|line| line.contains(r#""error":"#)).map(str::to_owned)
}

/// A copy of the data directory, to damage again and again.
pub(crate) struct Copies {
    pub(crate) home: Home,
    original: PathBuf,
}

impl Copies {
    pub(crate) fn of(home: Home) -> Self {
        let original = home.folder().join("original");
        copy(home.data(), &original);
        Self { home, original }
    }

    /// Puts the database back as it was, and leaves the log.
    pub(crate) fn restore_database(&self) {
        fs::copy(self.original.join("member/snap/db"), self.home.db()).unwrap();
    }

    /// Puts everything back as it was.
    fn restore(&self) -> &Home {
        fs::remove_dir_all(self.home.data()).unwrap();
        copy(&self.original, self.home.data());
        &self.home
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn open(path: &Path) -> fs::File {
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

pub(crate) fn flip(path: &Path, offset: u64, mask: u8) {
    let file = open(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset).unwrap();
}

/// The segment that is written to, the newest.
fn segment(home: &Home) -> PathBuf {
    let logs = home.log_files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "log"));
    logs.max().expect("there is a segment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_log_that_was_cut_is_refused_by_name() {
    let (home, keys) = filled(500, false).await;
    let copies = Copies::of(home);
    for length in [0, 100, 8192, 40_960, 1 << 20] {
        let home = copies.restore();
        let path = segment(home);
        open(&path).set_len(length).unwrap();
        let what = format!("log cut to {length} bytes");
        let reason = start(home, &keys, &what).await;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let reason = reason.unwrap_or_else(|| panic!("{what}: it must be noticed"));
        assert!(reason.contains(&name), "{what}: the file is not named: {reason}");
    }
    // As it was, it is accepted.
    assert_eq!(start(copies.restore(), &keys, "untouched").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_damaged_log_is_refused_by_name() {
    let (home, keys) = filled(500, false).await;
    let copies = Copies::of(home);
    let path = segment(&copies.home);
    let groups = groups(&path);
    assert!(groups.len() > 10, "too few groups: {groups:?}");
    let noise: Vec<u8> = {
        let mut random = StdRng::seed_from_u64(7);
        (0..1 << 20).map(|_| random.random()).collect()
    };
    // Damage before the last few groups is covered by what these say is durable.
    let middle = groups[groups.len() / 2];
    type Damage<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let damages: [Damage<'_>; 5] = [
        ("header of the segment", Box::new(|path| flip(path, 40, 1))),
        ("header of a group", Box::new(|path| flip(path, middle + 17, 4))),
        ("records of a group", Box::new(|path| flip(path, middle + 70, 0x80))),
        ("zeros over a group", Box::new(|path| open(path).write_all_at(&[0; 4096], middle).unwrap())),
        ("noise from the beginning", Box::new(|path| open(path).write_all_at(&noise, 0).unwrap())),
    ];
    for (what, damage) in damages {
        let home = copies.restore();
        damage(&path);
        let reason = start(home, &keys, what).await;
        let reason = reason.unwrap_or_else(|| panic!("{what}: it must be noticed"));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(reason.contains(&name), "{what}: the file is not named: {reason}");
    }
}

/// Where the groups of a segment begin.
fn groups(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).unwrap();
    (0..bytes.len())
        .step_by(4096)
        .filter(|&at| bytes[at..].starts_with(b"HFWG"))
        .map(|at| at as u64)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_that_are_gone_are_not_replaced_by_empty_ones() {
    let (home, keys) = filled(500, true).await;
    let copies = Copies::of(home);

    let home = copies.restore();
    fs::remove_dir_all(home.data().join("member/wal")).unwrap();
    let reason = start(home, &keys, "log removed").await.expect("it must be noticed");
    assert!(reason.contains("there is no log"), "{reason}");

    let home = copies.restore();
    fs::remove_file(segment(home)).unwrap();
    start(home, &keys, "segment removed").await.expect("it must be noticed");

    let home = copies.restore();
    fs::remove_file(home.db()).unwrap();
    // Either the log still holds everything, and then so does the server, or it is refused.
    start(home, &keys, "database removed").await;

    for length in [0, 1000, 4096, 100_000] {
        let home = copies.restore();
        open(&home.db()).set_len(length).unwrap();
        start(home, &keys, &format!("database cut to {length} bytes")).await;
    }
    let home = copies.restore();
    let half = fs::metadata(home.db()).unwrap().len() / 2;
    open(&home.db()).set_len(half).unwrap();
    let reason = start(home, &keys, "half a database").await.expect("it must be noticed");
    assert!(reason.contains("snap/db"), "{reason}");

    let home = copies.restore();
    fs::write(home.db(), "this is no database".repeat(1000)).unwrap();
    let reason = start(home, &keys, "another file as the database").await.expect("it must be noticed");
    assert!(reason.contains("snap/db"), "{reason}");
}

/// As a later release would leave the file: its format version, and a checksum that is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_of_a_later_format_is_refused_by_name_and_left_alone() {
    let (home, keys) = filled(100, true).await;
    let mut bytes = fs::read(home.db()).unwrap();
    let meta = &mut bytes[..4096];
    meta[8] = 2;
    let sum = xxhash_rust::xxh3::xxh3_64(&meta[..4088]);
    meta[4088..].copy_from_slice(&sum.to_le_bytes());
    fs::write(home.db(), &bytes).unwrap();
    let reason = start(&home, &keys, "a later format").await.expect("it must be refused");
    assert!(reason.contains("snap/db has format version 2") && reason.contains("a later one"), "{reason}");
    assert!(fs::read(home.db()).unwrap() == bytes, "the file was written to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flipped_bit_in_the_database_is_never_served() {
    let (home, keys) = filled(4000, true).await;
    let copies = Copies::of(home);
    let db = copies.home.db();
    let whole = offline::check(&db).unwrap();
    assert_eq!(whole.keys, keys.len() as u64);
    let length = fs::metadata(&db).unwrap().len();

    // Offline, everywhere: what is in use is checked. What is free, or the older of the meta pages, may be anything.
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut found = Vec::new();
    for _ in 0..200 {
        let (offset, mask) = (random.random_range(0..length), 1 << random.random_range(0..8));
        flip(&db, offset, mask);
        match offline::check_from(&db, whole.applied) {
            Ok(contents) => assert_eq!((contents.keys, contents.revision), (whole.keys, whole.revision)),
            Err(error) => {
                assert!(error.contains("page") || error.contains("snap/db"), "seed {seed}: {error}");
                found.push((offset, mask));
            }
        }
        flip(&db, offset, mask);
    }
    println!("{} of 200 flips in {length} bytes were found", found.len());
    assert!(found.len() > 20, "seed {seed}: only {} of 200 flips were found", found.len());

    // With a server: a few of those that were found, and both meta pages.
    found.truncate(4);
    found.extend([(100, 1), (4096 + 100, 1)]);
    for (offset, mask) in found {
        let home = copies.restore();
        flip(&home.db(), offset, mask);
        let what = format!("seed {seed}: bit {mask:#x} of byte {offset} of {length}");
        if let Some(reason) = start(home, &keys, &what).await {
            assert!(reason.contains("snap/db"), "{what}: the file is not named: {reason}");
        }
    }
}
