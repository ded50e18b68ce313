//! The flags that do here what they do in etcd.

use super::super::flag::{Flag, Kind, Support};

const fn used(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, support: Support::Used, help }
}

/// The empty word, which leaves a list of URLs as it is.
const EMPTY: &[&str] = &[""];

pub(super) static MEMBER: &[Flag] = &[
    used("name", Kind::Text, "default", "Name of this member; unique in its cluster."),
    used("data-dir", Kind::Text, "", "Directory of this member's data (default \"${name}.etcd\")."),
    used("wal-dir", Kind::Text, "", "Directory of the log, when it is to lie apart from the data."),
    used(
        "listen-peer-urls",
        Kind::Urls(EMPTY),
        "http://localhost:2380",
        "Where other members reach this one.",
    ),
    used(
        "listen-client-urls",
        Kind::Urls(EMPTY),
        "http://localhost:2379",
        "Where clients are served: gRPC and HTTP.",
    ),
    used(
        "listen-client-http-urls",
        Kind::Urls(EMPTY),
        "",
        "Where HTTP alone is served; the client URLs then serve gRPC alone.",
    ),
    used("snapshot-count", Kind::Uint, "10000", "Applied entries after which a raft snapshot is taken."),
    used(
        "snapshot-catchup-entries",
        Kind::Uint,
        "5000",
        "Entries kept behind a raft snapshot for followers that lag.",
    ),
    used("heartbeat-interval", Kind::Uint, "100", "Milliseconds between a leader's heartbeats."),
    used(
        "election-timeout",
        Kind::Uint,
        "1000",
        "Milliseconds without a leader before an election; at most 50000.",
    ),
    used(
        "initial-election-tick-advance",
        Kind::Bool,
        "true",
        "Shorten the wait for the first election after a start.",
    ),
    used(
        "quota-backend-bytes",
        Kind::Int,
        "0",
        "Size of the database that raises the alarm; 0 is 2 GiB, below 0 no limit.",
    ),
];

pub(super) static CLUSTERING: &[Flag] = &[
    used(
        "initial-advertise-peer-urls",
        Kind::Urls(EMPTY),
        "http://localhost:2380",
        "This member's peer URLs as the others are to use them.",
    ),
    used(
        "advertise-client-urls",
        Kind::Urls(EMPTY),
        "http://localhost:2379",
        "This member's client URLs as clients are to use them.",
    ),
    used(
        "initial-cluster",
        Kind::Text,
        "default=http://localhost:2380",
        "The members that found the cluster: name=peer-url, comma-separated.",
    ),
    used(
        "initial-cluster-state",
        Kind::Choice(&["new", "existing"]),
        "new",
        "'new' founds a cluster, 'existing' joins one.",
    ),
    used(
        "initial-cluster-token",
        Kind::Text,
        "etcd-cluster",
        "Goes into the ids of cluster and members, so that clusters cannot be mixed up.",
    ),
    used(
        "strict-reconfig-check",
        Kind::Bool,
        "true",
        "Refuse changes of membership that would cost the quorum.",
    ),
    used("pre-vote", Kind::Bool, "true", "Ask for votes before an election is started."),
    used("max-learners", Kind::Int, "1", "How many learners a cluster may have."),
];

pub(super) static LIMITS: &[Flag] = &[
    used("max-txn-ops", Kind::Uint, "128", "Most operations in one transaction."),
    used("max-request-bytes", Kind::Uint, "1572864", "Most bytes of one request."),
    used(
        "max-concurrent-streams",
        Kind::Uint32,
        "4294967295",
        "Most streams at once on one client connection.",
    ),
    used(
        "grpc-keepalive-min-time",
        Kind::Duration,
        "5s",
        "Shortest pause that clients must keep between pings.",
    ),
    used(
        "grpc-keepalive-interval",
        Kind::Duration,
        "2h",
        "Idle time after which the server pings a client; 0 is never.",
    ),
    used(
        "grpc-keepalive-timeout",
        Kind::Duration,
        "20s",
        "How long a ping may go unanswered before the connection is closed.",
    ),
    used("socket-reuse-port", Kind::Bool, "false", "Set SO_REUSEPORT on the listeners."),
    used("socket-reuse-address", Kind::Bool, "false", "Set SO_REUSEADDR on the listeners."),
    used("cors", Kind::Urls(&["*"]), "*", "Origins that browsers may call from, comma-separated; * is all."),
    used("host-whitelist", Kind::Words, "*", "Host names that plain HTTP requests may ask for; * is all."),
];

pub(super) static COMPACTION: &[Flag] = &[
    used(
        "auto-compaction-mode",
        Kind::Text,
        "periodic",
        "What auto-compaction-retention counts: 'periodic' time, 'revision' revisions.",
    ),
    used(
        "auto-compaction-retention",
        Kind::Text,
        "0",
        "What auto compaction leaves: a duration (a bare number is hours), or revisions; 0 is off.",
    ),
    used(
        "compaction-batch-limit",
        Kind::Int,
        "0",
        "Revisions removed in one step of a compaction; 0 is 1000.",
    ),
    used(
        "compaction-sleep-interval",
        Kind::Duration,
        "0s",
        "Pause between the steps of a compaction; 0 is 10ms.",
    ),
];

pub(super) static LOGGING: &[Flag] = &[
    used("logger", Kind::Text, "zap", "Kind of log lines; 'zap' is the only one."),
    used(
        "log-outputs",
        Kind::Words,
        "default",
        "Where the log goes: 'default' (stderr), 'stderr', 'stdout', or paths, comma-separated.",
    ),
    used("log-level", Kind::Text, "info", "Least level logged: debug, info, warn, error, panic or fatal."),
    used("log-format", Kind::Text, "json", "Form of a log line: json or console."),
];

pub(super) static METRICS: &[Flag] = &[
    used("listen-metrics-urls", Kind::Urls(EMPTY), "", "Further URLs that serve /metrics and health."),
    used("metrics", Kind::Text, "basic", "'extensive' adds histograms of request times for each method."),
    used("warning-apply-duration", Kind::Duration, "100ms", "Warn when applying a request takes longer."),
    used(
        "warning-unary-request-duration",
        Kind::Duration,
        "300ms",
        "Warn when answering a request takes longer.",
    ),
    used(
        "watch-progress-notify-interval",
        Kind::Duration,
        "0s",
        "Time between progress notifications of watches that ask for them; 0 is 10m, at least 100ms.",
    ),
];

pub(super) static UNSAFE: &[Flag] =
    &[used("unsafe-no-fsync", Kind::Bool, "false", "Do not wait for the disk. A crash then loses data.")];

/// What etcd has no flag for.
pub(super) static ADDED: &[Flag] = &[used(
    "scrub-interval",
    Kind::Duration,
    "24h",
    "Time in which the whole database is read once in the background, to find damage; 0 is never.",
)];

pub(super) static OTHER: &[Flag] = &[
    used("enable-grpc-gateway", Kind::Bool, "true", "Serve the API as JSON over HTTP as well."),
    used("version", Kind::Bool, "false", "Print the version and end."),
];
