//! The trees of a store, and what their parents remember of them.
//!
//! Three trees hold the history, and every change keeps them in step within one transaction:
//!
//! ```text
//! RECORDS  revision (17 bytes, 18 for a deletion)  → mvccpb.KeyValue in wire form (a deletion: the key alone)
//! LIVE     user key                                → newest version of a living key, and the one before: see `live`
//! HISTORY  user key, revision                      → a version that was superseded, and by what, see `history`
//! ```
//!
//! A version is in LIVE while it is the newest of its key, and still while it is the one before that; then in HISTORY
//! until compaction removes it together with its record. A deletion has a record and no row. `LEASE_KEYS` turns the lease of LIVE's rows around: lease id (8
//! bytes, highest first) and user key, with an empty value.
//!
//! The other trees are etcd's small buckets, stored as etcd stores them, and none of this layer's business, except
//! for a few keys of META (see `meta`).
//!
//! A tree's stamp is the revision at which its row last changed meaning: LIVE's modification, HISTORY's supersession.
//! Parents keep the greatest stamp below each child, so "what changed since revision R" skips all that did not.
//! RECORDS needs none: its keys are revisions.

use super::{history, live};
use crate::tree::{TreeId, TreeSpec};

/// Every change, by revision.
pub const RECORDS: TreeId = TreeId(0);
/// The newest version of every living key.
pub const LIVE: TreeId = TreeId(1);
/// The superseded versions that are not compacted yet.
pub const HISTORY: TreeId = TreeId(2);
/// Leases: id (8 bytes, highest first) → `leasepb.Lease`.
pub const LEASES: TreeId = TreeId(3);
/// Keys attached to a lease: id (8 bytes, highest first), user key → nothing.
pub const LEASE_KEYS: TreeId = TreeId(4);
/// Alarms: `AlarmMember` → nothing.
pub const ALARMS: TreeId = TreeId(5);
/// Members: id in lower-case hexadecimal → JSON.
pub const MEMBERS: TreeId = TreeId(6);
/// Ids of removed members.
pub const MEMBERS_REMOVED: TreeId = TreeId(7);
/// Cluster version and downgrade job.
pub const CLUSTER: TreeId = TreeId(8);
/// Whether auth is on, and its revision.
pub const AUTH: TreeId = TreeId(9);
/// Users: name → `authpb.User`.
pub const AUTH_USERS: TreeId = TreeId(10);
/// Roles: name → `authpb.Role`.
pub const AUTH_ROLES: TreeId = TreeId(11);
/// Numbers about the store itself.
pub const META: TreeId = TreeId(12);

/// The table to open a [`crate::tree::Db`] with. The position of a row is its [`TreeId`] and part of the file format.
pub static SPECS: &[TreeSpec] = &[
    TreeSpec { name: "records", stamp: unstamped },
    TreeSpec { name: "live", stamp: live::stamp },
    TreeSpec { name: "history", stamp: history::stamp },
    TreeSpec { name: "leases", stamp: unstamped },
    TreeSpec { name: "lease_keys", stamp: unstamped },
    TreeSpec { name: "alarms", stamp: unstamped },
    TreeSpec { name: "members", stamp: unstamped },
    TreeSpec { name: "members_removed", stamp: unstamped },
    TreeSpec { name: "cluster", stamp: unstamped },
    TreeSpec { name: "auth", stamp: unstamped },
    TreeSpec { name: "auth_users", stamp: unstamped },
    TreeSpec { name: "auth_roles", stamp: unstamped },
    TreeSpec { name: "meta", stamp: unstamped },
];

fn unstamped(_key: &[u8], _value: &[u8]) -> u64 {
    0
}

/// Name of a tree, for messages.
pub fn name(tree: TreeId) -> &'static str {
    SPECS.get(usize::from(tree.0)).map_or("unknown", |spec| spec.name)
}

/// Whether the MVCC layer alone writes to this tree.
pub(crate) fn is_versioned(tree: TreeId) -> bool {
    [RECORDS, LIVE, HISTORY, LEASE_KEYS].iter().any(|own| own.0 == tree.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positions_in_the_table() {
        let expected = [
            (RECORDS, "records"),
            (LIVE, "live"),
            (HISTORY, "history"),
            (LEASES, "leases"),
            (LEASE_KEYS, "lease_keys"),
            (ALARMS, "alarms"),
            (MEMBERS, "members"),
            (MEMBERS_REMOVED, "members_removed"),
            (CLUSTER, "cluster"),
            (AUTH, "auth"),
            (AUTH_USERS, "auth_users"),
            (AUTH_ROLES, "auth_roles"),
            (META, "meta"),
        ];
        assert_eq!(expected.len(), SPECS.len());
        for (id, expected) in expected {
            assert_eq!(name(id), expected);
        }
    }
}
