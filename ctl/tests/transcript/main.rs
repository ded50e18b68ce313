//! The same command lines with real etcdctl against one etcd and with holdfastctl against another: what they
//! print and how they exit must be equal.
//!
//! The environment variable `HOLDFAST_ETCD_DIR` names a folder with `etcd` and `etcdctl` of version 3.5;
//! without it the tests say that they are skipped. The command lines stand in `scripts/`, see [`script`] for
//! their form.

mod etcd;
mod normal;
mod run;
mod script;
mod watching;

use std::{env, path::PathBuf};

use run::Side;

/// The folder with the real programs.
fn etcd_dir() -> Option<PathBuf> {
    let dir = env::var_os("HOLDFAST_ETCD_DIR").map(PathBuf::from);
    if dir.is_none() {
        println!("skipped: HOLDFAST_ETCD_DIR does not name a folder with etcd and etcdctl");
    }
    dir
}

/// Plays a script on two fresh servers.
fn play(text: &str) {
    let Some(dir) = etcd_dir() else { return };
    let reference = Side::reference(&dir);
    let ours = Side::ours(&dir);
    script::play(text, reference, ours);
}

#[test]
fn keys() {
    play(include_str!("scripts/keys.txt"));
}

#[test]
fn txn() {
    play(include_str!("scripts/txn.txt"));
}

#[test]
fn leases() {
    play(include_str!("scripts/leases.txt"));
}

#[test]
fn cluster() {
    play(include_str!("scripts/cluster.txt"));
}

#[test]
fn command_line() {
    play(include_str!("scripts/command_line.txt"));
}

#[test]
fn authentication() {
    play(include_str!("scripts/authentication.txt"));
}

#[test]
fn watch() {
    play(include_str!("scripts/watch.txt"));
}

#[test]
fn watch_resumes() {
    let Some(dir) = etcd_dir() else { return };
    watching::resumes(&dir);
}

#[test]
fn watch_live() {
    let Some(dir) = etcd_dir() else { return };
    watching::live(&dir);
}
