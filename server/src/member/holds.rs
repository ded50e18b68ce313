//! How long reads in chunks may hold back physical compaction.
//!
//! While such a read lives, what it may still need stays in the database (`engine::mvcc`, module `hold`), and the file
//! grows by what is superseded meanwhile. So each has a limit, counted in ticks of a second. A read that passes it ends
//! with an error of its own, and compaction goes on.

use std::time::Duration;

/// One tick.
pub const TICK: Duration = Duration::from_secs(1);

/// Ticks that a range in chunks may take. A client that reads 1 MB/s gets 60 MB.
pub const RANGE_TICKS: u64 = 60;

/// Ticks that a hash may take, and the one that is made of a compaction: a walk over the whole history, 2 GB of it in
/// some seconds, but a cold disk may be slow. No client can slow it down.
pub const HASH_TICKS: u64 = 5 * 60;

/// Ticks that a snapshot may take: 8 GB through 100 Mbit/s. Compaction goes on behind its last walk, so what is held
/// back becomes less while it is sent.
pub const SNAPSHOT_TICKS: u64 = 10 * 60;
