//! Real etcd's programs.

use std::path::PathBuf;

use super::skipped;

/// The programs of one etcd release.
#[derive(Clone)]
pub(crate) struct Etcd {
    /// The server.
    pub(crate) server: PathBuf,
    /// The client.
    pub(crate) ctl: PathBuf,
    /// The offline tool; only 3.5 and later have it.
    pub(crate) utl: PathBuf,
}

/// etcd 3.5, or a line that says that the test is skipped.
pub(crate) fn etcd35() -> Option<Etcd> {
    named("HOLDFAST_ETCD_DIR", "etcd, etcdctl and etcdutl 3.5")
}

/// etcd 3.4, or a line that says that the test is skipped.
pub(crate) fn etcd34() -> Option<Etcd> {
    named("HOLDFAST_ETCD34_DIR", "etcd and etcdctl 3.4")
}

fn named(variable: &str, what: &str) -> Option<Etcd> {
    let Some(folder) = std::env::var_os(variable).map(PathBuf::from) else {
        skipped(&format!("{variable} is not set; it names a folder with {what}"));
        return None;
    };
    let etcd = Etcd { server: folder.join("etcd"), ctl: folder.join("etcdctl"), utl: folder.join("etcdutl") };
    assert!(etcd.ctl.exists(), "{variable} is {}, which has no etcdctl", folder.display());
    Some(etcd)
}
