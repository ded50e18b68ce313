//! What the server says when it refuses or ends a watcher.
//!
//! A watcher that cannot be made or go on does not fail its stream: it gets an answer with `canceled` set and one of
//! the texts below as `cancel_reason`. Clients show and compare these texts. A watcher overtaken by compaction gets no
//! text at all, but `compact_revision`.

use crate::error::EtcdError;

/// In a request: the server shall choose the identifier.
pub const AUTO_WATCH_ID: i64 = 0;

/// In an answer: it concerns no watcher, but the stream (progress) or a request that was refused.
pub const INVALID_WATCH_ID: i64 = -1;

/// The identifier asked for belongs to another watcher of the stream.
pub const DUPLICATE_WATCH_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// The end of the range lies at or before its first key.
pub const EMPTY_WATCHER_RANGE: &str = "mvcc: watcher range is empty";

/// The start revision is negative. The only use of this text: after a real compaction the reason is empty.
pub const COMPACTED: &str = EtcdError::Compacted.message();

/// The caller may not read the range; also any failure to tell who the caller is that has no text of its own.
pub const PERMISSION_DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";

/// The caller's token is not valid.
pub const INVALID_AUTH_TOKEN: &str =
    "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";

/// The caller's identity is older than the last change of users or roles.
pub const AUTH_OLD_REVISION: &str =
    "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old";

/// The caller did not say who it is.
pub const USER_EMPTY: &str = "rpc error: code = InvalidArgument desc = etcdserver: user name is empty";

/// The reason for a watcher that was refused because its permission check ended in `error`.
pub fn reason_of_failed_check(error: EtcdError) -> &'static str {
    match error {
        EtcdError::InvalidAuthToken => INVALID_AUTH_TOKEN,
        EtcdError::AuthOldRevision => AUTH_OLD_REVISION,
        EtcdError::UserEmpty => USER_EMPTY,
        _ => PERMISSION_DENIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four of the reasons are errors as a Go client prints them; they must follow the table.
    #[test]
    fn reasons_agree_with_the_error_table() {
        for error in [
            EtcdError::PermissionDenied,
            EtcdError::InvalidAuthToken,
            EtcdError::AuthOldRevision,
            EtcdError::UserEmpty,
        ] {
            assert_eq!(reason_of_failed_check(error), error.go_text());
        }
        assert_eq!(reason_of_failed_check(EtcdError::NoLeader), PERMISSION_DENIED);
        assert_eq!(COMPACTED, "etcdserver: mvcc: required revision has been compacted");
    }
}
