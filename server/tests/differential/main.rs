//! Real etcdctl says the same about Holdfast and about real etcd.
//!
//! One script of commands runs against both servers, each fresh, side by side. What the commands print and how they end
//! must be equal once ids, ports, times, sizes and raft's numbers are masked; revisions, hashes of the history, events
//! and error texts are not masked. The script runs with etcdctl 3.5 and with etcdctl 3.4.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
mod known;
mod mask;
mod run;
mod script;

use std::path::Path;

use common::real::Etcd;
use common::{Home, real};
use run::{Outcome, Side};
use script::Action;

#[test]
fn etcdctl_35_sees_no_difference() {
    let Some(etcd) = real::etcd35() else { return };
    compare(&etcd.server, &etcd, Some(&etcd.utl));
}

#[test]
fn etcdctl_34_sees_no_difference() {
    let Some(client) = real::etcd34() else { return };
    // The newer server where there is one: fewer answers differ for the sake of age alone.
    let Some(server) = real::etcd35().or_else(real::etcd34) else { return };
    compare(&server.server, &client, None);
}

/// Runs the script with `client` against real etcd and against Holdfast.
fn compare(etcd_server: &Path, client: &Etcd, utl: Option<&Path>) {
    let script = script::script();
    let run = |home: Home| Side::start(home, &client.ctl, utl).run(&script);
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(Home::of(etcd_server.to_owned())));
        let ours = run(Home::holdfast());
        (theirs.join().unwrap(), ours)
    });

    let mut differences = String::new();
    let mut known_seen = Vec::new();
    for ((step, theirs), ours) in script.iter().zip(&theirs).zip(&ours) {
        if let Action::Watch { lines } = step.action {
            let printed = theirs.stdout.lines().count();
            assert_eq!(
                printed, lines,
                "the script waits for another number of lines: {} {theirs:?}",
                step.line
            );
        }
        if theirs == ours {
            continue;
        }
        match known::reason(&step.line) {
            Some(_) => known_seen.push(step.line.as_str()),
            None => differences += &describe(&step.line, theirs, ours),
        }
    }
    assert!(differences.is_empty(), "Holdfast differs from etcd:\n{differences}");
    println!("{} commands compared, known to differ: {known_seen:?}", script.len());
}

fn describe(line: &str, theirs: &Outcome, ours: &Outcome) -> String {
    format!("--- {line}\netcd:     {theirs:?}\nholdfast: {ours:?}\n")
}
