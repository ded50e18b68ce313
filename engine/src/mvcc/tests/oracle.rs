//! The same history on real etcd: its `HashKV` must equal ours at every revision that can be read.
//!
//! Runs when the variable `HOLDFAST_ETCD_DIR` names a folder with the binaries `etcd` and `etcdctl`. The hashes that
//! compactions leave, and those at the compacted revision itself, are younger: they are compared when
//! `HOLDFAST_ETCD36_DIR` names a folder with the same binaries of release 3.6 or later.

use super::TestStore;
use crate::mvcc::MvccError;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A single member on free ports, stopped and removed with the value.
struct Etcd {
    process: Child,
    binaries: PathBuf,
    endpoint: String,
    _data: tempfile::TempDir,
}

impl Etcd {
    fn start(binaries: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        // Both are held until both are known, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [client, peer] = ports.map(|port| format!("http://{}", port.local_addr().unwrap()));
        let process = Command::new(binaries.join("etcd"))
            .args(["--name", "m", "--data-dir", data.path().to_str().unwrap()])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("m={peer}"), "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Self { process, binaries: binaries.to_owned(), endpoint: client, _data: data };
        for _ in 0..100 {
            if etcd.try_run(&["endpoint", "health"], "").is_some() {
                return etcd;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("etcd did not become healthy");
    }

    fn try_run(&self, arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new(self.binaries.join("etcdctl"))
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn run(&self, arguments: &[&str], input: &str) -> String {
        self.try_run(arguments, input).unwrap_or_else(|| panic!("etcdctl {arguments:?} failed"))
    }

    fn hash(&self, revision: i64) -> u32 {
        self.hash_and_compaction(revision).unwrap().0
    }

    /// The hash, and the compaction it was made with; `None` when the revision is refused.
    fn hash_and_compaction(&self, revision: i64) -> Option<(u32, i64)> {
        let json = self.try_run(&["endpoint", "hashkv", "--rev", &revision.to_string(), "-w", "json"], "")?;
        let number = |name: &str| {
            let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
            let end = rest.find([',', '}'])?;
            rest[..end].parse::<i64>().ok()
        };
        // Zero is left out.
        Some((u32::try_from(number("hash").unwrap_or(0)).unwrap(), number("compact_revision").unwrap_or(0)))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One random transaction on both: writes of distinct keys, sometimes a deletion of a range beside them.
fn write_both(etcd: &Etcd, store: &TestStore, random: &mut SmallRng) {
    let mut lines = String::new();
    store.write(|txn| {
        let mut keys: Vec<u8> = (b'a'..=b'h').collect();
        for _ in 0..random.random_range(1..4) {
            let key = [keys.swap_remove(random.random_range(0..keys.len()))];
            let shown = char::from(key[0]);
            if random.random_bool(0.6) {
                let value = format!("v{}", random.random_range(0..1000));
                writeln!(lines, "put {shown} {value}").unwrap();
                txn.put(&key, value.as_bytes(), 0).unwrap();
            } else {
                writeln!(lines, "del {shown}").unwrap();
                txn.delete_range(&key, b"", false).unwrap();
            }
        }
        if random.random_bool(0.1) {
            // Keys that no put of this transaction names.
            lines.push_str("del x z\n");
            txn.delete_range(b"x", b"z", false).unwrap();
        }
    });
    etcd.run(&["txn"], &format!("\n{lines}\n\n"));
    if random.random_bool(0.2) {
        store.put("y", "1");
        etcd.run(&["put", "y", "1"], "");
    }
}

fn compact_both(etcd: &Etcd, store: &TestStore, random: &mut SmallRng) {
    let view = store.store.view().unwrap();
    let (oldest, newest) = (view.compact_revision().max(1), view.revision());
    if oldest == newest {
        return;
    }
    let revision = random.random_range(oldest + 1..=newest);
    etcd.run(&["compaction", "--physical", &revision.to_string()], "");
    store.compact(revision).unwrap();
    if random.random_bool(0.5) {
        store.finish_compaction(7);
    }
}

#[test]
fn hashes_are_those_of_etcd() {
    let Some(binaries) = std::env::var_os("HOLDFAST_ETCD_DIR") else {
        eprintln!("skipped: HOLDFAST_ETCD_DIR does not name a folder with etcd and etcdctl");
        return;
    };
    let etcd = Etcd::start(Path::new(&binaries));
    let store = TestStore::new();
    let mut random = SmallRng::seed_from_u64(351);
    let mut compared = 0;
    for round in 0..60 {
        write_both(&etcd, &store, &mut random);
        if round % 10 == 9 {
            compact_both(&etcd, &store, &mut random);
        }
        if round % 15 != 14 {
            continue;
        }
        let view = store.store.view().unwrap();
        // Releases before 3.5.10 refuse the compacted revision itself.
        for revision in view.compact_revision().max(1) + 1..=view.revision() {
            assert_eq!(store.hash(revision), etcd.hash(revision), "round {round}, revision {revision}");
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared} hashes were compared");
    store.assert_clean();
}

fn our_hash(store: &TestStore, revision: i64) -> Option<(u32, i64)> {
    let mut walk = match store.store.hash_kv(revision, 0) {
        Ok(walk) => walk,
        Err(MvccError::Compacted { .. }) => return None,
        Err(other) => panic!("{other}"),
    };
    loop {
        if let Some(hash) = walk.step().unwrap() {
            return Some((hash.hash, hash.compact_revision));
        }
    }
}

/// Compacts both to their ends, with the hash that this leaves.
fn compact_and_hash_both(etcd: &Etcd, store: &TestStore, revision: i64) {
    etcd.run(&["compaction", "--physical", &revision.to_string()], "");
    let mut txn = store.store.begin().unwrap();
    let span = txn.compact(revision).unwrap().unwrap();
    txn.publish().unwrap();
    let mut walk = store.store.hash_compaction(span, 0).unwrap();
    while walk.step().unwrap().is_none() {}
    drop(walk);
    store.finish_compaction(7);
}

/// With more compactions than are remembered; now and then everything is deleted before one.
#[test]
fn hashes_that_compactions_leave_are_those_of_etcd() {
    let Some(binaries) = std::env::var_os("HOLDFAST_ETCD36_DIR") else {
        eprintln!("skipped: HOLDFAST_ETCD36_DIR does not name a folder with etcd and etcdctl");
        return;
    };
    let etcd = Etcd::start(Path::new(&binaries));
    let store = TestStore::new();
    let mut random = SmallRng::seed_from_u64(36);
    let (mut hashed, mut refused) = (0, 0);
    for round in 0..13 {
        for _ in 0..random.random_range(1..6) {
            write_both(&etcd, &store, &mut random);
        }
        if round % 3 == 1 {
            etcd.run(&["del", "a", "zz"], "");
            store.write(|txn| drop(txn.delete_range(b"a", b"zz", false).unwrap()));
        }
        let view = store.store.view().unwrap();
        let (oldest, newest) = (view.compact_revision().max(1), view.revision());
        if round % 4 != 3 && newest > oldest {
            let revision = if round % 3 == 1 { newest } else { random.random_range(oldest + 1..=newest) };
            compact_and_hash_both(&etcd, &store, revision);
        }
        if round % 4 != 0 && round != 12 {
            continue;
        }
        for revision in 1..=newest {
            let ours = our_hash(&store, revision);
            assert_eq!(ours, etcd.hash_and_compaction(revision), "round {round}, revision {revision}");
            hashed += u32::from(ours.is_some());
            refused += u32::from(ours.is_none());
        }
    }
    assert!(hashed > 20 && refused > 5, "{hashed} hashes compared, {refused} refused");
    store.assert_clean();
}
