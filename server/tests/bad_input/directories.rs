//! Data directories that are not a server's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::ctl::Ctl;
use crate::common::grpc::Client;
use crate::common::{Home, real};

/// How long a refusal may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until a start has ended by itself; it must have failed. Returns what it said.
fn refused(home: &Home) -> String {
    let (status, stderr) = home.spawn().wait(LIMIT).expect("the start must be refused, and is not");
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}\n{stderr}");
    assert!(!stderr.contains("panicked at"), "{stderr}");
    stderr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_member_on_the_same_directory_is_refused() {
    let first = Home::holdfast();
    let server = first.start();
    let client = Client::connect(&server.url()).await;
    client.put("a", "1").await.unwrap();
    let second = Home::holdfast().with_data(first.data());
    for _ in 0..3 {
        let stderr = refused(&second);
        assert!(stderr.contains("in use by another process"), "{stderr}");
        assert!(stderr.contains(&server.pid().to_string()), "it is not said by whom: {stderr}");
    }
    // The first is not disturbed, and everything is there when it comes back.
    client.put("b", "2").await.unwrap();
    server.kill();
    let server = first.start();
    let client = Client::connect(&server.url()).await;
    assert_eq!(client.get("a").await.unwrap().unwrap(), "1");
    assert_eq!(client.get("b").await.unwrap().unwrap(), "2");
    server.terminate();
}

#[test]
fn a_directory_of_go_etcd_is_refused_and_not_touched() {
    let Some(etcd) = real::etcd35() else { return };
    let theirs = Home::of(etcd.server.clone());
    let server = theirs.start();
    let ctl = Ctl::new(&etcd.ctl, &server.endpoint(), theirs.folder());
    ctl.ok(&["put", "a", "1"]);
    server.terminate();
    let before = contents(theirs.data());

    let ours = Home::holdfast().with_data(theirs.data());
    let stderr = refused(&ours);
    assert!(stderr.contains("holdfast has not touched it"), "{stderr}");
    assert!(stderr.contains("make-mirror"), "it is not said how to bring the data over: {stderr}");
    assert!(contents(theirs.data()) == before, "the directory has changed");

    let server = theirs.start();
    let ctl = Ctl::new(&etcd.ctl, &server.endpoint(), theirs.folder());
    assert_eq!(ctl.ok(&["get", "a"]), "a\n1\n");
}

/// All files below a directory.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
            files.insert(path, Vec::new());
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let home = Home::holdfast();
    fs::write(home.data(), "not a directory").unwrap();
    let stderr = refused(&home);
    assert!(stderr.contains("cannot access data directory"), "{stderr}");
    assert_eq!(fs::read_to_string(home.data()).unwrap(), "not a directory");
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let home = Home::holdfast();
    let server = home.start();
    let taken = server.url();
    let other = Home::holdfast().with(&["--listen-client-urls", &taken, "--advertise-client-urls", &taken]);
    let stderr = refused(&other);
    assert!(stderr.contains("address already in use"), "{stderr}");
}
