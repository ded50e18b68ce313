//! Which versions this server has: its own, and the one of etcd that it is compatible with.

pub use holdfast_proto::version::{
    CLUSTER_VERSION as CLUSTER, HOLDFAST_VERSION as HOLDFAST, MIN_CLUSTER_VERSION as MIN_CLUSTER,
    SERVER_VERSION as ETCD,
};

/// What stands where etcd has the hash of its commit.
pub fn git_sha() -> String {
    format!("holdfast-{HOLDFAST}")
}

/// What stands where etcd has the version of Go.
pub fn go() -> String {
    match option_env!("HOLDFAST_RUSTC") {
        Some(rustc) => format!("none ({rustc})"),
        None => "none (rustc)".to_owned(),
    }
}

/// The operating system, in Go's words.
pub fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The processor, in Go's words.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
