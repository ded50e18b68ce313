//! Times, and what follows from them.

use std::time::Duration;

/// How often the leader shows that it is alive (`--heartbeat-interval`); also the length of a tick of raft.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// Silence after which followers elect a new leader (`--election-timeout`). Shorter, and a pause of the leader costs an
/// election; longer, and so does every write while there is none. All members must use the same.
pub const ELECTION: Duration = Duration::from_secs(1);

/// Longest election time-out that may be set: anything above is surely a mistake of unit.
pub const MAX_ELECTION: Duration = Duration::from_secs(50);

/// Least ratio of election time-out to heartbeat, so that a lost heartbeat is no reason to elect.
pub const MIN_HEARTBEATS_PER_ELECTION: u32 = 5;
const _: () = assert!(ELECTION.as_millis() >= HEARTBEAT.as_millis() * MIN_HEARTBEATS_PER_ELECTION as u128);

/// How long the server works on a request besides elections: the longest a disk and a network may take.
pub const REQUEST_BASE: Duration = Duration::from_secs(5);

/// How long the server works on a request before it answers that time has run out: two elections may fall into it.
pub const fn request_timeout(election: Duration) -> Duration {
    REQUEST_BASE.saturating_add(election.saturating_mul(2))
}

/// Shortest life of a lease in seconds for the election time-out and heartbeat in force: one and a half elections,
/// rounded up, since a lease cannot be renewed while there is no leader. Shorter wishes are raised to it.
///
/// A heartbeat of zero counts as one millisecond.
pub const fn min_lease_ttl_seconds(election: Duration, heartbeat: Duration) -> i64 {
    let tick_ms = if heartbeat.as_millis() == 0 { 1 } else { heartbeat.as_millis() };
    let ticks = election.as_millis() / tick_ms;
    ((3 * ticks / 2) * tick_ms).div_ceil(1000) as i64
}

/// How long lease calls and promotions wait for this member to apply what is committed.
pub const APPLIED_INDEX_WAIT: Duration = Duration::from_secs(1);

/// After which an unanswered read index is asked for again, with a new identifier.
pub const READ_INDEX_RETRY: Duration = Duration::from_millis(500);

/// How long a member must have been connected to count as healthy when membership changes.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// Polls, one election time-out apart, that must find no leader before streams that insist on one are ended.
pub const NO_LEADER_POLLS: u32 = 3;

/// Silence of a client's connection after which the server pings it (`--grpc-keepalive-interval`).
pub const GRPC_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2 * 60 * 60);

/// How long the server waits for the answer to its ping before it closes (`--grpc-keepalive-timeout`).
pub const GRPC_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Least time between pings of a client (`--grpc-keepalive-min-time`). Who pings more often, or without a call under
/// way, is sent away with `too_many_pings`.
pub const GRPC_KEEPALIVE_MIN_TIME: Duration = Duration::from_secs(5);

/// Applying a request takes longer than this: a warning (`--warning-apply-duration`).
pub const WARNING_APPLY: Duration = Duration::from_millis(100);

/// Answering a call takes longer than this: a warning (`--warning-unary-request-duration`).
pub const WARNING_UNARY_REQUEST: Duration = Duration::from_millis(300);

/// How long a TLS handshake may take, so that idle connections cannot pile up. Since 3.5.33, 3.6.14 and 3.7.1.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long an HTTP client may take to send its headers. Since 3.5.33, 3.6.14 and 3.7.1.
pub const HTTP_HEADER_READ: Duration = Duration::from_secs(5 * 60);

/// How often the leader looks whether a downgrade is done.
pub const DOWNGRADE_CHECK: Duration = Duration::from_secs(5);

/// How often the leader compares the members' hashes of past compactions.
pub const COMPACT_HASH_CHECK: Duration = Duration::from_secs(60);

/// How often the leader looks for leases that have ended.
pub const LEASE_EXPIRY_CHECK: Duration = Duration::from_millis(500);

/// How often the leader records how long leases still live, for those that live longer than this.
pub const LEASE_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Life in seconds of the lease the server grants for a lock or campaign that brings none. Nobody renews it.
pub const SESSION_LEASE_TTL_SECONDS: i64 = 60;

/// How often watchers that are behind catch up a step.
pub const WATCH_RESYNC: Duration = Duration::from_millis(100);

/// After which delivery to a slow watch stream is tried again.
pub const WATCH_BLOCKED_RETRY: Duration = Duration::from_millis(10);

/// How often an idle watcher is told how far it is (`--watch-progress-notify-interval`).
pub const WATCH_PROGRESS_NOTIFY: Duration = Duration::from_secs(10 * 60);

/// Shortest interval between such notices that may be set.
pub const MIN_WATCH_PROGRESS_NOTIFY: Duration = Duration::from_millis(100);

/// The interval of each stream is longer by up to one part in this many, by chance, so that streams opened together do
/// not wake together.
pub const WATCH_PROGRESS_JITTER: u32 = 10;

/// Rest between two steps of a compaction (`--compaction-sleep-interval`), in which writers go ahead.
pub const COMPACTION_SLEEP: Duration = Duration::from_millis(10);

/// Life of a simple token without use (`--auth-token-ttl`).
pub const SIMPLE_TOKEN_TTL: Duration = Duration::from_secs(300);

/// Life of a signed token (option `ttl` of `--auth-token`).
pub const JWT_TTL: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_timeout_holds_two_elections() {
        assert_eq!(request_timeout(ELECTION), Duration::from_secs(7));
        assert_eq!(request_timeout(MAX_ELECTION), Duration::from_secs(105));
    }

    #[test]
    fn min_lease_ttl_rounds_ticks_down_and_seconds_up() {
        let ms = Duration::from_millis;
        assert_eq!(min_lease_ttl_seconds(ELECTION, HEARTBEAT), 2);
        assert_eq!(min_lease_ttl_seconds(ms(2000), ms(100)), 3);
        assert_eq!(min_lease_ttl_seconds(ms(50_000), ms(100)), 75);
        // 9 ticks of 111 ms: 13 ticks (of 13.5) are 1443 ms.
        assert_eq!(min_lease_ttl_seconds(ms(1000), ms(111)), 2);
        // 5 ticks of 133 ms: 7 ticks (of 7.5) are 931 ms.
        assert_eq!(min_lease_ttl_seconds(ms(667), ms(133)), 1);
        assert_eq!(min_lease_ttl_seconds(ms(1000), Duration::ZERO), 2);
    }
}
