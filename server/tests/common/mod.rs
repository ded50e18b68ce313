//! What the end-to-end tests share: servers as processes, command-line clients as processes, and a gRPC client.
//!
//! A [`Home`] is a place where a server lives: a temporary folder, ports, flags. Starting it gives a [`Server`], which
//! is a process; when that value goes, also because a test panics, the process goes with it, and with the home goes the
//! folder. Every wait has an end.
//!
//! The server under test is the one that cargo has built with the test. `HOLDFAST_TEST_BINARY` names another one, such
//! as a release build. Real etcd is found through `HOLDFAST_ETCD_DIR` (3.5) and `HOLDFAST_ETCD34_DIR` (3.4); a test that
//! needs one says that it is skipped when there is none.

pub(crate) mod ctl;
pub(crate) mod grpc;
pub(crate) mod home;
pub(crate) mod offline;
pub(crate) mod ports;
pub(crate) mod real;

pub(crate) use home::{Home, Server};

use std::io::Write as _;

/// Says why a test does nothing. It goes past the test runner's capture, so that it is seen also when all is well.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}
