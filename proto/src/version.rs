//! Which etcd we say we are, and which Holdfast we are.
//!
//! Clients and members of etcd compare these with their own version: the command-line tool refuses what the server is
//! too old for, members refuse peers that are too old, and a cluster speaks the lowest version among its members.

/// The release of etcd whose interface we serve; answered by `/version`, by status calls and to peers.
/// Raising it promises everything that release added.
pub const SERVER_VERSION: &str = "3.7.1";

/// The version a cluster of such members agrees to speak. Its patch number is always 0.
pub const CLUSTER_VERSION: &str = "3.7.0";

/// The version of the layout of stored data, as status calls and snapshots tell it.
pub const STORAGE_VERSION: &str = "3.7.0";

/// The lowest cluster version we can live in; sent to peers, and also what a cluster is at before it has agreed.
pub const MIN_CLUSTER_VERSION: &str = "3.0.0";

/// What our own clients send as [`CLIENT_API_VERSION`](crate::metadata::CLIENT_API_VERSION): major and minor only.
pub const API_VERSION: &str = "3.7";

/// The version of Holdfast itself.
pub const HOLDFAST_VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_together() {
        assert!(SERVER_VERSION.starts_with(&format!("{API_VERSION}.")));
        assert_eq!(CLUSTER_VERSION, format!("{API_VERSION}.0"));
        assert_eq!(STORAGE_VERSION, CLUSTER_VERSION);
        assert_eq!(HOLDFAST_VERSION.split('.').count(), 3);
    }
}
