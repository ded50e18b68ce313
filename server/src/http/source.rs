//! What the HTTP handlers need to know of the member.

use futures_util::future::BoxFuture;
use holdfast_proto::etcdserverpb::{AlarmMember, Member};

/// The member's health, as far as it can be asked for.
pub trait HealthSource: Send + Sync + 'static {
    /// Reads one key as root: serializable from this member alone, otherwise through the leader. The error is the text
    /// that a client would get.
    fn read(&self, serializable: bool) -> BoxFuture<'_, Result<(), String>>;

    /// The alarms that are raised.
    fn alarms(&self) -> Vec<AlarmMember>;

    /// Whether a leader is known.
    fn has_leader(&self) -> bool;

    /// Whether this member is a learner.
    fn is_learner(&self) -> bool;

    /// The version that the cluster has agreed on (`3.7.0`), once it has.
    fn cluster_version(&self) -> Option<String>;

    /// The version of the stored data (`3.7.0`), once there is one.
    fn storage_version(&self) -> Option<String>;
}

/// What peers ask for over HTTP.
pub trait PeerSource: Send + Sync + 'static {
    /// The cluster's id.
    fn cluster_id(&self) -> u64;

    /// The cluster's members, in the order of their ids.
    fn members(&self) -> Vec<Member>;
}
