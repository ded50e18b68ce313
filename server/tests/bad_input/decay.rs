//! Files that are damaged while the server runs: by a disk, or by somebody who has no business there.
//!
//! Whoever meets the damage first — a client's read, the apply thread, the scrubber — the server ends by itself, in
//! time, with a status that is not zero and a line that names the file; and nothing that was acknowledged is lost.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::damage::{Copies, Keys, STOP_LIMIT, filled, flip, open, reason, start};
use crate::common::grpc::Client;
use crate::common::{Server, offline};

/// What is left of a database that somebody has cut: less than any of its trees needs.
const CUT_BYTES: u64 = 16 << 10;

/// Waits until the server has ended by itself, and returns the reason that it gives.
fn ended(server: Server, what: &str) -> (String, String) {
    let (status, stderr) = server.wait(STOP_LIMIT).unwrap_or_else(|| panic!("{what}: the server serves on"));
    assert_eq!(status.code(), Some(1), "{what}: {status:?}\n{stderr}");
    let reason = reason(&stderr).unwrap_or_else(|| panic!("{what}: no reason is given:\n{stderr}"));
    assert!(reason.contains("snap/db"), "{what}: the file is not named: {reason}");
    (reason, stderr)
}

/// The start on a file that was really cut is refused by name. The log is whole: with an older copy of the database that
/// it still reaches back to, everything is there again.
async fn recovers(copies: &Copies, keys: &Keys) {
    let home = &copies.home;
    let refused = start(home, keys, "a database that was cut").await.expect("it must be noticed");
    assert!(refused.contains("snap/db") && refused.contains("it has been cut"), "{refused}");
    copies.restore_database();
    if let Some(refused) = start(home, keys, "an older copy of the database").await {
        // On a very slow machine a checkpoint came between: then the log begins behind the copy.
        assert!(refused.contains("entries between them are missing"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_is_cut_under_a_read_stops_the_server_by_name() {
    let (home, mut keys) = filled(4000, true).await;
    let copies = Copies::of(home);
    let server = copies.home.start();
    let client = Client::connect(&server.url()).await;
    let more: Keys = (0..100).map(|n| (format!("key-more{n}"), format!("{n}").into())).collect();
    client.put_all(&more).await;
    keys.extend(more);
    open(&copies.home.db()).set_len(CUT_BYTES).unwrap();
    let (first, value) = keys.first_key_value().unwrap();
    // Never something else. Most likely an error, when the server goes.
    if let Ok(Ok(found)) = tokio::time::timeout(STOP_LIMIT, client.get(first.clone())).await {
        assert_eq!(found.as_ref(), Some(value));
        let _ = tokio::time::timeout(STOP_LIMIT, client.all("key")).await;
    }
    let (reason, stderr) = ended(server, "cut under a read");
    assert!(reason.contains("SIGBUS") && reason.contains("restore this member"), "{reason}");
    assert!(stderr.contains("a page of the database cannot be read"), "{stderr}");
    assert!(stderr.contains("closed etcd server"), "the end was orderly:\n{stderr}");
    recovers(&copies, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_is_cut_under_a_write_stops_the_server_by_name() {
    let (home, _) = filled(4000, true).await;
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    open(&home.db()).set_len(CUT_BYTES).unwrap();
    // The apply thread meets it, and nobody is told that the write was done.
    let written = tokio::time::timeout(STOP_LIMIT, client.put("key", "more")).await;
    assert!(!matches!(written, Ok(Ok(_))), "a write was acknowledged: {written:?}");
    let (reason, _) = ended(server, "cut under a write");
    assert!(reason.contains("SIGBUS"), "{reason}");
}

/// The number that a metric has.
fn metric(server: &Server, name: &str) -> u64 {
    let mut stream = TcpStream::connect(server.endpoint()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name}:\n{text}")).trim().parse::<f64>().unwrap() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_scrubber_finds_a_page_that_nobody_reads() {
    let (home, _) = filled(1000, true).await;
    let home = home.with(&["--scrub-interval=1ms"]);
    let db = home.db();
    // A bit whose change matters, found while nobody has the file; near its beginning, since pages at its end are moved.
    let length = fs::metadata(&db).unwrap().len();
    let matters = |offset: &u64| {
        flip(&db, *offset, 1);
        let found = offline::check(&db).is_err();
        flip(&db, *offset, 1);
        found
    };
    let offset = (8..length / 4096).map(|page| page * 4096 + 4000).find(matters).unwrap();

    let server = home.start();
    let deadline = Instant::now() + STOP_LIMIT;
    while metric(&server, "holdfast_engine_scrub_rounds_total") < 2 {
        assert!(Instant::now() < deadline, "no round is finished");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(metric(&server, "holdfast_engine_scrubbed_pages_total") > 100);
    assert!(metric(&server, "holdfast_engine_scrub_last_round_timestamp_seconds") > 1_700_000_000);
    assert_eq!(metric(&server, "holdfast_engine_scrub_faults_total"), 0);
    // The same memory as the server's map.
    flip(&db, offset, 1);
    let (reason, stderr) = ended(server, "a flipped bit");
    assert!(stderr.contains("the scrubber has found a damaged page"), "{stderr}");
    assert!(reason.contains(&format!("page {} ", offset / 4096)), "page {}: {reason}", offset / 4096);
}
