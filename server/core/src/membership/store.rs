//! The membership in the engine: read at start, written in the transaction of the entry that changed it.

use holdfast_engine::mvcc::{ApplyTxn, MvccError, View, trees};

use super::{Member, Membership};
use crate::raft::{ConfChange, ConfChangeKind};

/// Why the stored membership cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] MvccError),
    /// A record is not in the form that was written.
    #[error(
        "the stored record of member {key:?} is damaged: {what}; restore the member from a backup, or remove it from the cluster and add it again"
    )]
    Damaged {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

const VERSION_KEY: &[u8] = b"clusterVersion";
const REMOVED: &[u8] = b"removed";

/// Reads what the engine holds.
pub fn load(view: &View, max_learners: usize) -> Result<Membership, MembershipError> {
    let mut membership = Membership::new(max_learners);
    for entry in view.aux_entries(trees::MEMBERS)? {
        let (key, value) = entry?;
        let member: Member =
            serde_json::from_slice(value).map_err(|error| damaged(key, error.to_string()))?;
        membership.insert(member);
    }
    for entry in view.aux_entries(trees::MEMBERS_REMOVED)? {
        let (key, _) = entry?;
        let text = String::from_utf8_lossy(key);
        let id = u64::from_str_radix(&text, 16).map_err(|error| damaged(key, error.to_string()))?;
        membership.insert_removed(id);
    }
    if let Some(version) = view.aux(trees::CLUSTER, VERSION_KEY)? {
        let version =
            String::from_utf8(version.to_vec()).map_err(|error| damaged(VERSION_KEY, error.to_string()))?;
        membership.set_version(version);
    }
    Ok(membership)
}

/// Writes what `change`, already applied to `membership`, has changed.
pub fn save_change(
    txn: &mut ApplyTxn,
    membership: &Membership,
    change: &ConfChange,
) -> Result<(), MvccError> {
    if change.kind == ConfChangeKind::RemoveNode {
        txn.aux_delete(trees::MEMBERS, &member_key(change.node_id))?;
        return txn.aux_put(trees::MEMBERS_REMOVED, &member_key(change.node_id), REMOVED);
    }
    save_member(txn, membership, change.node_id)
}

/// Writes one member's record.
pub fn save_member(txn: &mut ApplyTxn, membership: &Membership, id: u64) -> Result<(), MvccError> {
    let Some(member) = membership.member(id) else { return Ok(()) };
    let json = serde_json::to_vec(member).expect("a struct of strings and numbers serialises");
    txn.aux_put(trees::MEMBERS, &member_key(id), &json)
}

/// Writes the cluster version.
pub fn save_version(txn: &mut ApplyTxn, version: &str) -> Result<(), MvccError> {
    txn.aux_put(trees::CLUSTER, VERSION_KEY, version.as_bytes())
}

/// Ids are lower-case hexadecimal without leading zeros, as in etcd's buckets.
fn member_key(id: u64) -> Vec<u8> {
    format!("{id:x}").into_bytes()
}

fn damaged(key: &[u8], what: String) -> MembershipError {
    MembershipError::Damaged { key: String::from_utf8_lossy(key).into_owned(), what }
}
