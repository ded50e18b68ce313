//! Real etcd as the oracle: it accepts what the writer writes, and the reader reads what it writes.
//!
//! Set `HOLDFAST_ETCD_DIR` to a folder with etcd, etcdctl and etcdutl; without it these tests are skipped.
#![allow(clippy::unwrap_used)]

mod etcd;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use holdfast_bbolt::read::Item;
use holdfast_bbolt::snapshot::{HashedWriter, Trailer, verify};
use holdfast_bbolt::{Database, Emitter, Plan, ReadError, Status, write_image};

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;

/// All buckets of an etcd 3.5, in order.
const BUCKETS: [&str; 10] = [
    "alarm",
    "auth",
    "authRoles",
    "authUsers",
    "cluster",
    "key",
    "lease",
    "members",
    "members_removed",
    "meta",
];

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A `mvccpb.KeyValue` of a key that was created at `revision`.
fn record(key: &[u8], revision: u64, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    varint(key.len() as u64, &mut out);
    out.extend_from_slice(key);
    for (tag, number) in [(0x10, revision), (0x18, revision), (0x20, 1)] {
        out.push(tag);
        varint(number, &mut out);
    }
    out.push(0x2a);
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn revision_key(main: u64, sub: u64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes()].concat()
}

/// The value of the user key that was written at `revision`: mostly small, sometimes with overflow pages.
fn value_of(revision: u64, big: usize) -> Vec<u8> {
    let len = match revision % 100 {
        7 => big,
        8 => 5000,
        9 => 2030,
        _ => 40 + revision as usize % 200,
    };
    vec![b'a' + (revision % 26) as u8; len]
}

/// The buckets of a store with `count` user keys.
fn store(count: u64, big: usize) -> Vec<(&'static str, Bucket)> {
    let mut buckets = BUCKETS.map(|name| (name, Bucket::new()));
    for (name, bucket) in &mut buckets {
        match *name {
            "auth" => drop(bucket.insert(b"authRevision".to_vec(), 1u64.to_be_bytes().to_vec())),
            "cluster" => drop(bucket.insert(b"clusterVersion".to_vec(), b"3.5.0".to_vec())),
            "meta" => {
                bucket.insert(b"consistent_index".to_vec(), (count + 5).to_be_bytes().to_vec());
                bucket.insert(b"term".to_vec(), 2u64.to_be_bytes().to_vec());
            }
            "key" => {
                for revision in 2..count + 2 {
                    let name = format!("k{revision:07}");
                    let value = record(name.as_bytes(), revision, &value_of(revision, big));
                    bucket.insert(revision_key(revision, 0), value);
                }
            }
            _ => {}
        }
    }
    buckets.into()
}

fn write_snapshot(file: &Path, buckets: &[(&str, Bucket)]) {
    let buckets: Vec<(&str, &Bucket)> = buckets.iter().map(|(name, bucket)| (*name, bucket)).collect();
    let mut out = HashedWriter::new(std::io::BufWriter::new(File::create(file).unwrap()));
    write_image(&mut out, &buckets).unwrap();
    out.finish().unwrap();
}

fn our_status(file: &Path) -> Status {
    let database = Database::open(File::open(file).unwrap()).unwrap();
    let report = database.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.faults);
    database.status().unwrap()
}

/// The figures that etcdutl 3.5 shows.
fn figures(status: &Status) -> [u64; 4] {
    [u64::from(status.hash), status.revision as u64, status.total_entries, status.total_size]
}

#[test]
fn etcdutl_agrees_on_the_status_of_our_files() {
    let Some(etcd) = etcd::etcd("etcdutl_agrees_on_the_status_of_our_files") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (count, big) in [(0, 0), (1, 10), (8, 700), (30, 70_000), (3000, 200_000), (60_000, 9000)] {
        let file = folder.path().join(format!("{count}.db"));
        write_snapshot(&file, &store(count, big));
        let ours = our_status(&file);
        assert_eq!(figures(&ours), etcd.status(&file), "{count} keys");
        assert_eq!(ours.total_keys, count);
        assert_eq!(ours.revision, if count == 0 { 0 } else { count as i64 + 1 });
    }
}

/// bbolt goes on with a file of ours: it restores it, serves from it, changes and compacts it, and it stays sound.
#[test]
fn etcd_serves_and_changes_our_snapshot() {
    let Some(etcd) = etcd::etcd("etcd_serves_and_changes_our_snapshot") else { return };
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("snapshot.db");
    let data = folder.path().join("data");
    let count = 5000;
    write_snapshot(&snapshot, &store(count, 100_000));
    assert_eq!(verify(&File::open(&snapshot).unwrap()).unwrap(), Trailer::Valid);
    etcd.restore(&snapshot, &data);

    let server = etcd.start(&data);
    assert_eq!(server.count(), count);
    for revision in [2, 9, 108, 1107, 2509, count + 1] {
        let key = format!("k{revision:07}");
        let value = server.ctl(&["get", "--print-value-only", &key]);
        assert_eq!(value.trim_end().as_bytes(), value_of(revision, 100_000), "{key}");
    }
    server.ctl(&["put", "new", "value"]);
    let deleted = server.ctl(&["del", "k0000100", "k0004900"]);
    assert_eq!(deleted.trim(), "4800");
    // Removes most entries of the `key` bucket, so that bbolt merges our pages.
    server.ctl(&["compact", &(count + 3).to_string(), "--physical"]);
    server.ctl(&["put", "after", "compaction"]);
    assert_eq!(server.count(), 202);
    let saved = folder.path().join("saved.db");
    server.ctl(&["snapshot", "save", etcd::path(&saved)]);
    drop(server);

    for file in [saved, data.join("member/snap/db")] {
        let ours = our_status(&file);
        assert_eq!(figures(&ours), etcd.status(&file));
        assert_eq!(ours.total_keys, 202);
        assert_eq!(ours.revision, count as i64 + 4);
    }
}

#[test]
fn real_files_are_read_and_written_again() {
    let Some(etcd) = etcd::etcd("real_files_are_read_and_written_again") else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = etcd.start(&data);
    for batch in 0..20 {
        let line = |at: usize| format!("put k{batch:03}{at:03} {}", "v".repeat((batch * 100 + at) % 377 + 1));
        server.txn(&(0..100).map(line).collect::<Vec<_>>().join("\n"));
    }
    for (name, len) in [("big1", 5000), ("big2", 70_000), ("big3", 120_000)] {
        server.ctl(&["put", name, &"x".repeat(len)]);
    }
    server.ctl(&["del", "k003", "k007"]);
    server.ctl(&["lease", "grant", "1000"]);
    server.ctl(&["user", "add", "someone:secret"]);
    let count = server.count();
    assert_eq!(count, 1603);
    let saved = folder.path().join("saved.db");
    server.ctl(&["snapshot", "save", etcd::path(&saved)]);
    drop(server);

    assert_eq!(verify(&File::open(&saved).unwrap()).unwrap(), Trailer::Valid);
    let ours = our_status(&saved);
    assert_eq!(figures(&ours), etcd.status(&saved));
    assert_eq!(ours.total_keys, count);
    let raw = data.join("member/snap/db");
    assert_eq!(figures(&our_status(&raw)), etcd.status(&raw));

    let copy = folder.path().join("copy.db");
    write_again(&saved, &copy);
    let [hash, revision, entries, _] = etcd.status(&copy);
    assert_eq!([hash, revision, entries], figures(&ours)[..3], "the same contents");
    let again = folder.path().join("again");
    etcd.restore(&copy, &again);
    let server = etcd.start(&again);
    assert_eq!(server.count(), count);
    assert_eq!(server.ctl(&["get", "--print-value-only", "big3"]).trim_end().len(), 120_000);
    assert_eq!(server.ctl(&["user", "list"]).trim(), "someone");
}

/// Copies a database entry by entry through both passes of the writer, as a server does with its store.
fn write_again(from: &Path, to: &Path) {
    let database = Database::open(File::open(from).unwrap()).unwrap();
    assert_eq!(
        database.buckets().map(|bucket| bucket.unwrap().name().to_vec()).collect::<Vec<_>>(),
        BUCKETS.map(|name| name.as_bytes().to_vec())
    );
    let mut plan = Plan::new();
    database
        .for_each(|item| {
            match item {
                Item::Bucket { name } => plan.bucket(name).unwrap(),
                Item::Entry { entry, .. } => plan.entry(entry.key.len(), entry.value.len()).unwrap(),
            }
            Ok::<(), ReadError>(())
        })
        .unwrap();
    let layout = plan.finish().unwrap();
    let len = layout.file_len();
    let out = HashedWriter::new(std::io::BufWriter::new(File::create(to).unwrap()));
    let mut emitter = Emitter::new(layout, database.meta().txid, out).unwrap();
    database
        .for_each(|item| {
            match item {
                Item::Bucket { name } => emitter.bucket(name).unwrap(),
                Item::Entry { entry, .. } => emitter.entry(entry.key, entry.value).unwrap(),
            }
            Ok::<(), ReadError>(())
        })
        .unwrap();
    emitter.finish().unwrap().finish().unwrap();
    assert_eq!(std::fs::metadata(to).unwrap().len(), len + 32);
}
