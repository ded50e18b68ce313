//! Which versions this server has: its own, and the one of etcd that it is compatible with.

/// The version of etcd that clients are told, because they gate features on it.
pub const ETCD: &str = "3.7.1";

/// The version of the API that goes with it, as the cluster agrees on it (major and minor only).
pub const CLUSTER: &str = "3.7.0";

/// The oldest cluster version that a member of ours can live in.
pub const MIN_CLUSTER: &str = "3.0.0";

/// Our own version.
pub const HOLDFAST: &str = env!("CARGO_PKG_VERSION");

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
