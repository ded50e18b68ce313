//! Identifiers that every member computes alone and must get equal, or that must be unique without asking anybody.
//!
//! The rules are etcd's: a mixed cluster, a restored snapshot and a data directory that moves between the two
//! implementations all depend on the same numbers.

use sha1::{Digest, Sha1};

/// The id of a member named in the first configuration of a cluster: the first eight bytes, big-endian, of the SHA-1
/// over its sorted peer URLs followed by the cluster token.
pub fn bootstrap_member_id(peer_urls: &[String], token: &str) -> u64 {
    member_id(peer_urls, token.as_bytes())
}

/// The id of a member that joins a running cluster. The time of the request, in decimal seconds since the Unix epoch,
/// takes the token's place, so that a member which was removed and is added again gets a new id.
pub fn added_member_id(peer_urls: &[String], unix_seconds: u64) -> u64 {
    member_id(peer_urls, unix_seconds.to_string().as_bytes())
}

fn member_id(peer_urls: &[String], suffix: &[u8]) -> u64 {
    let mut urls: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    urls.sort_unstable();
    let mut hash = Sha1::new();
    for url in urls {
        hash.update(url.as_bytes());
    }
    hash.update(suffix);
    first_eight(&hash.finalize())
}

/// The id of a cluster: the first eight bytes, big-endian, of the SHA-1 over the ids of its first members in ascending
/// order. It never changes afterwards.
pub fn cluster_id(member_ids: &[u64]) -> u64 {
    let mut ids = member_ids.to_vec();
    ids.sort_unstable();
    let mut hash = Sha1::new();
    for id in ids {
        hash.update(id.to_be_bytes());
    }
    first_eight(&hash.finalize())
}

fn first_eight(digest: &[u8]) -> u64 {
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-1 digest has twenty bytes"))
}

/// Source of request ids: the low 16 bits of the member id, then 48 bits that start at the milliseconds of the start
/// time shifted left by eight and count up by one.
///
/// Proposals, configuration changes and read-index contexts share one generator, because members wake their waiting
/// requests by id alone: an id must not repeat over members, nor over the restarts of one member.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    suffix: std::sync::atomic::AtomicU64,
}

const SUFFIX_BITS: u32 = 48;
const MILLIS_BITS: u32 = 40;
const COUNTER_BITS: u32 = 8;

impl RequestIds {
    /// A generator for the member `member_id` that started at `unix_millis` milliseconds after the Unix epoch.
    pub fn new(member_id: u64, unix_millis: u64) -> Self {
        let start = (unix_millis & ((1 << MILLIS_BITS) - 1)) << COUNTER_BITS;
        Self { prefix: member_id << SUFFIX_BITS, suffix: std::sync::atomic::AtomicU64::new(start) }
    }

    /// The next id. Never zero twice in a row; callers that may not use zero or a negative number ask again.
    pub fn next(&self) -> u64 {
        let suffix = self.suffix.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_add(1);
        self.prefix | (suffix & ((1 << SUFFIX_BITS) - 1))
    }

    /// An id for a lease that the client did not choose: a positive `i64`.
    pub fn next_lease(&self) -> i64 {
        loop {
            let id = (self.next() & (i64::MAX as u64)) as i64;
            if id != 0 {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_default_member_has_the_ids_that_etcd_gives_it() {
        let id = bootstrap_member_id(&["http://localhost:2380".into()], "etcd-cluster");
        assert_eq!(format!("{id:x}"), "8e9e05c52164694d");
        assert_eq!(format!("{:x}", cluster_id(&[id])), "cdf818194e3a8c32");
    }

    #[test]
    fn the_token_is_part_of_the_id() {
        let id = bootstrap_member_id(&["http://127.0.0.1:25101".into()], "tok");
        assert_eq!(format!("{id:x}"), "b5f35303d8092d7c");
    }

    #[test]
    fn request_ids_carry_the_member_and_count_up() {
        let ids = RequestIds::new(0x1234_5678_9abc_def0, 0xff_ffff_ffff);
        let first = ids.next();
        assert_eq!(first >> SUFFIX_BITS, 0xdef0);
        assert_eq!(ids.next(), first + 1);
        for _ in 0..1000 {
            assert_eq!(
                ids.next() >> SUFFIX_BITS,
                0xdef0,
                "an overflow of the counter must not reach the member"
            );
        }
    }

    #[test]
    fn lease_ids_are_positive() {
        let ids = RequestIds::new(0xffff, 1);
        assert!(ids.next_lease() > 0);
    }
}
