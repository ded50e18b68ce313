//! The flags of etcd that this server knows of but does not act on.

use super::super::flag::{Flag, Kind, Support};

const fn inert(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Flag {
    Flag { name, kind, default, support: Support::NoEffect(why), help: why }
}

const fn refused(name: &'static str, kind: Kind, default: &'static str) -> Flag {
    Flag { name, kind, default, support: Support::Refused, help: "" }
}

const fn ignored(name: &'static str) -> Flag {
    Flag { name, kind: Kind::Ignored, default: "", support: Support::Used, help: "" }
}

const NO_BATCHES: &str = "The database is written at every publish; there are no timed batches.";
const NO_SNAP_FILES: &str = "Files no longer needed are recycled at once.";
const NO_DEFRAG: &str = "Free space is returned while the server runs.";

pub(super) static NO_EFFECT: &[Flag] = &[
    inert("backend-batch-interval", Kind::Duration, "0s", NO_BATCHES),
    inert("backend-batch-limit", Kind::Int, "0", NO_BATCHES),
    inert("backend-bbolt-freelist-type", Kind::Text, "", "The database has no bbolt free list."),
    inert("bootstrap-defrag-threshold-megabytes", Kind::Uint, "0", NO_DEFRAG),
    inert("downgrade-check-time", Kind::Duration, "5s", "There is no storage version to downgrade."),
    inert("max-snapshots", Kind::Uint, "5", NO_SNAP_FILES),
    inert("max-wals", Kind::Uint, "5", NO_SNAP_FILES),
    inert(
        "raft-read-timeout",
        Kind::Duration,
        "5s",
        "Connections between members have time-outs of their own.",
    ),
    inert(
        "raft-write-timeout",
        Kind::Duration,
        "5s",
        "Connections between members have time-outs of their own.",
    ),
    inert("v2-deprecation", Kind::Text, "write-only", "There is no v2 store."),
];

pub(super) static REFUSED: &[Flag] = &[
    refused("auth-token", Kind::Text, "simple"),
    refused("auth-token-ttl", Kind::Uint, "300"),
    refused("auto-tls", Kind::Bool, "false"),
    refused("bcrypt-cost", Kind::Uint, "10"),
    refused("cert-file", Kind::Text, ""),
    refused("cipher-suites", Kind::Words, ""),
    refused("client-cert-allowed-hostname", Kind::Words, ""),
    refused("client-cert-auth", Kind::Bool, "false"),
    refused("client-cert-file", Kind::Text, ""),
    refused("client-crl-file", Kind::Text, ""),
    refused("client-key-file", Kind::Text, ""),
    refused("compact-hash-check-time", Kind::Duration, "1m"),
    refused("config-file", Kind::Text, ""),
    refused("corrupt-check-time", Kind::Duration, "0s"),
    refused("discovery-cacert", Kind::Text, ""),
    refused("discovery-cert", Kind::Text, ""),
    refused("discovery-dial-timeout", Kind::Duration, "2s"),
    refused("discovery-endpoints", Kind::Words, ""),
    refused("discovery-fallback", Kind::Choice(&["exit", "proxy"]), "exit"),
    refused("discovery-insecure-skip-tls-verify", Kind::Bool, "false"),
    refused("discovery-insecure-transport", Kind::Bool, "true"),
    refused("discovery-keepalive-time", Kind::Duration, "2s"),
    refused("discovery-keepalive-timeout", Kind::Duration, "6s"),
    refused("discovery-key", Kind::Text, ""),
    refused("discovery-password", Kind::Text, ""),
    refused("discovery-request-timeout", Kind::Duration, "5s"),
    refused("discovery-srv", Kind::Text, ""),
    refused("discovery-srv-name", Kind::Text, ""),
    refused("discovery-token", Kind::Text, ""),
    refused("discovery-user", Kind::Text, ""),
    refused("distributed-tracing-address", Kind::Text, "localhost:4317"),
    refused("distributed-tracing-instance-id", Kind::Text, ""),
    refused("distributed-tracing-sampling-rate", Kind::Int, "0"),
    refused("distributed-tracing-service-name", Kind::Text, "etcd"),
    refused("enable-distributed-tracing", Kind::Bool, "false"),
    refused("enable-log-rotation", Kind::Bool, "false"),
    refused("enable-pprof", Kind::Bool, "false"),
    refused("feature-gates", Kind::Text, ""),
    refused("force-new-cluster", Kind::Bool, "false"),
    refused("key-file", Kind::Text, ""),
    refused(
        "log-rotation-config-json",
        Kind::Text,
        "{\"maxsize\": 100, \"maxage\": 0, \"maxbackups\": 0, \"localtime\": false, \"compress\": false}",
    ),
    refused("memory-mlock", Kind::Bool, "false"),
    refused("peer-auto-tls", Kind::Bool, "false"),
    refused("peer-cert-allowed-cn", Kind::Words, ""),
    refused("peer-cert-allowed-hostname", Kind::Words, ""),
    refused("peer-cert-file", Kind::Text, ""),
    refused("peer-client-cert-auth", Kind::Bool, "false"),
    refused("peer-client-cert-file", Kind::Text, ""),
    refused("peer-client-key-file", Kind::Text, ""),
    refused("peer-crl-file", Kind::Text, ""),
    refused("peer-key-file", Kind::Text, ""),
    refused("peer-skip-client-san-verification", Kind::Bool, "false"),
    refused("peer-trusted-ca-file", Kind::Text, ""),
    refused("self-signed-cert-validity", Kind::Uint, "1"),
    refused("tls-max-version", Kind::Text, ""),
    refused("tls-min-version", Kind::Text, "TLS1.2"),
    refused("trusted-ca-file", Kind::Text, ""),
];

pub(super) static IGNORED: &[Flag] = &[
    ignored("cluster-active-size"),
    ignored("cluster-remove-delay"),
    ignored("cluster-sync-interval"),
    ignored("config"),
    ignored("force"),
    ignored("max-result-buffer"),
    ignored("max-retry-attempts"),
    ignored("peer-heartbeat-interval"),
    ignored("peer-election-timeout"),
    ignored("retry-interval"),
    ignored("snapshot"),
    ignored("v"),
    ignored("vv"),
    ignored("test.coverprofile"),
    ignored("test.outputdir"),
];
