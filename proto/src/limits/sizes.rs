//! Sizes, counts and rates.

/// Largest encoded entry of the raft log that a request may become, envelope included (`--max-request-bytes`).
/// Clients size their batches by it, and a large entry stalls replication of everything behind it. Only the
/// proposing member checks it: what is in the log is applied whatever its size.
pub const MAX_REQUEST_BYTES: usize = 1536 * 1024;

/// Above this [`MAX_REQUEST_BYTES`] may still be set, but the server warns: heartbeats queue up behind such entries.
pub const RECOMMENDED_MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// What a gRPC message may be larger than the request limit. It leaves the decision about slightly too large requests
/// to the server, which answers with its own error rather than the framework's. Also the bound at which answers to
/// fragmenting watchers are cut.
pub const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// Largest gRPC message the server takes in with the default request limit.
pub const MAX_RECEIVE_BYTES: usize = MAX_REQUEST_BYTES + GRPC_OVERHEAD_BYTES;

/// Largest gRPC message the server sends: no limit of ours, only the most that lengths in Go's library can say. Ranges
/// may well be larger than requests.
pub const MAX_SEND_BYTES: usize = i32::MAX as usize;

/// Comparisons or operations in each list of a transaction (`--max-txn-ops`). Applying one holds up everything else, so
/// it must stay short. Nested transactions share what their parent leaves.
pub const MAX_TXN_OPS: usize = 128;

/// Size at which a member's database refuses to grow (`--quota-backend-bytes`; 0 means this default, a negative number
/// no quota). Raising it lengthens recovery and the transfer of snapshots.
pub const QUOTA_BACKEND_BYTES: i64 = 2 * 1024 * 1024 * 1024;

/// Above this quota the server warns at its start.
pub const RECOMMENDED_MAX_QUOTA_BYTES: i64 = 8 * 1024 * 1024 * 1024;

/// What a put costs beside key and value when the quota is checked: an estimate of its bookkeeping.
pub const QUOTA_PUT_OVERHEAD_BYTES: i64 = 256;

/// What a new lease costs when the quota is checked.
pub const QUOTA_LEASE_BYTES: i64 = 64;

/// Calls at one time on one connection (`--max-concurrent-streams`): no limit, since one client connection carries
/// many watches.
pub const MAX_CONCURRENT_STREAMS: u32 = u32::MAX;

/// Learners at one time (`--max-learners`). Each costs the leader a full copy of the traffic. Part of the replicated
/// state's rules: members that disagree apply a membership change differently and diverge.
pub const MAX_LEARNERS: usize = 1;

/// Longest life of a lease in seconds, about 285 years: any more, counted in nanoseconds, would overflow 63 bits.
pub const MAX_LEASE_TTL_SECONDS: i64 = 9_000_000_000;
const _: () = assert!(MAX_LEASE_TTL_SECONDS.checked_mul(1_000_000_000).is_some());

/// Leases whose end the leader proposes in one second. Slower, and keys outlive their leases; faster, and a mass expiry
/// crowds out clients.
pub const LEASE_REVOKES_PER_SECOND: usize = 1000;

/// Ends of leases proposed and not yet applied.
pub const LEASE_REVOKES_IN_FLIGHT: usize = 16;

/// Leases whose remaining life one checkpoint entry carries.
pub const LEASE_CHECKPOINT_BATCH: usize = 1000;

/// Entries that applying may lag behind committing before requests are refused
/// ([`RequestTooManyRequests`](crate::error::EtcdError::RequestTooManyRequests)). It bounds the memory that waits.
pub const MAX_APPLY_GAP: u64 = 5000;

/// The same for requests that free resources, so that an overloaded member can still end leases. Since 3.7.
pub const MAX_APPLY_GAP_PRIORITY: u64 = 2 * MAX_APPLY_GAP;

/// Entries in one raft message, in bytes. A slow link must get through one well within an election time-out.
pub const RAFT_MESSAGE_BYTES: u64 = 1024 * 1024;

/// Raft messages with entries sent to one follower and not yet answered.
pub const RAFT_MESSAGES_IN_FLIGHT: usize = 512;

/// Snapshots being sent at one time.
pub const RAFT_SNAPSHOTS_IN_FLIGHT: usize = 16;

/// Applied entries between two snapshots of raft (`--snapshot-count`); 100 000 before 3.6.
pub const SNAPSHOT_COUNT: u64 = 10_000;

/// Entries kept behind a snapshot, so that a follower that is a little slow needs no snapshot.
pub const SNAPSHOT_CATCH_UP_ENTRIES: u64 = 5000;

/// Revisions that one answer to a watcher that catches up carries. It bounds memory and the wait of other watchers.
pub const WATCH_BATCH_REVISIONS: usize = 1000;

/// Event answers that wait for one watch stream before its watchers count as slow.
pub const WATCH_STREAM_EVENTS: usize = 128;

/// Answers about watchers (created, cancelled) that wait for one watch stream.
pub const WATCH_STREAM_CONTROLS: usize = 16;

/// Watchers that catch up in one pass. With more, one pass would hold up the newest events.
pub const WATCHERS_PER_SYNC: usize = 512;

/// Revisions that one step of a compaction goes through (`--compaction-batch-limit`). It bounds how long writers wait.
pub const COMPACTION_BATCH_REVISIONS: usize = 1000;

/// Bytes of the database in one message of a snapshot stream.
pub const SNAPSHOT_CHUNK_BYTES: usize = 32 * 1024;

/// Keys in the first message of a streamed range; later ones grow and shrink with the size of what they carried.
pub const RANGE_STREAM_FIRST_KEYS: i64 = 10;

/// Hashes of past compactions that are remembered, for members that compact later to compare with.
pub const COMPACTION_HASHES: usize = 10;

/// Cost of hashing a password (`--bcrypt-cost`): each step up doubles the time of every login.
pub const BCRYPT_COST: u32 = 10;

/// Lowest cost that bcrypt knows. Outside the bounds the default is taken.
pub const MIN_BCRYPT_COST: u32 = 4;

/// Highest cost that bcrypt knows.
pub const MAX_BCRYPT_COST: u32 = 31;
const _: () = assert!(MIN_BCRYPT_COST <= BCRYPT_COST && BCRYPT_COST <= MAX_BCRYPT_COST);

/// Longest password in bytes. bcrypt does not look further, so a longer one would match all that begin alike.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// Letters of a simple token before its dot.
pub const SIMPLE_TOKEN_LETTERS: usize = 16;

/// Body of a lease call that one member forwards to another.
pub const LEASE_FORWARD_REQUEST_BYTES: usize = 64 * 1024;

/// Answer to a forwarded lease call; it may name every key of a lease.
pub const LEASE_FORWARD_RESPONSE_BYTES: usize = 100 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that were measured on a running etcd.
    #[test]
    fn measured_values() {
        assert_eq!(MAX_REQUEST_BYTES, 1_572_864);
        assert_eq!(MAX_RECEIVE_BYTES, 2_097_152);
        assert_eq!(MAX_SEND_BYTES, 2_147_483_647);
        assert_eq!(QUOTA_BACKEND_BYTES, 2_147_483_648);
        assert_eq!(MAX_CONCURRENT_STREAMS, 4_294_967_295);
    }
}
