//! Histograms by kind of request. A series appears with its first observation, as in etcd, and is looked up only once.

use std::sync::OnceLock;

use prometheus::{Histogram, HistogramVec, Registry};

use super::make::{self, doubling};

/// The kinds of entry that etcd tells apart when it measures applying. The names are its label values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Op {
    Range,
    Put,
    DeleteRange,
    Txn,
    Compaction,
    LeaseGrant,
    LeaseRevoke,
    LeaseCheckpoint,
    Alarm,
    Authenticate,
    AuthEnable,
    AuthDisable,
    AuthStatus,
    AuthUserAdd,
    AuthUserDelete,
    AuthUserGet,
    AuthUserChangePassword,
    AuthUserGrantRole,
    AuthUserRevokeRole,
    AuthUserList,
    AuthRoleAdd,
    AuthRoleDelete,
    AuthRoleGet,
    AuthRoleGrantPermission,
    AuthRoleRevokePermission,
    AuthRoleList,
    ClusterVersionSet,
    ClusterMemberAttrSet,
    DowngradeInfoSet,
    DowngradeVersionTest,
    /// A transaction that only reads; it is not applied but answered.
    ReadonlyTxn,
    Unknown,
}

const OPS: usize = Op::Unknown as usize + 1;

/// `etcd_server_apply_duration_seconds`, `etcd_server_range_duration_seconds`, `etcd_server_request_duration_seconds`.
#[derive(Debug)]
pub struct ApplyMetrics {
    apply: HistogramVec,
    apply_by_op: [[OnceLock<Histogram>; 2]; OPS],
    range: HistogramVec,
    range_by_success: [OnceLock<Histogram>; 2],
    request: HistogramVec,
    request_by_op: [[OnceLock<Histogram>; 2]; OPS],
}

const WORDS: [&str; 2] = ["false", "true"];

impl ApplyMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            apply: make::histograms(
                registry,
                "etcd_server_apply_duration_seconds",
                "Time to apply an entry, by kind.",
                &["version", "op", "success"],
                doubling(0.0001, 20),
            ),
            apply_by_op: std::array::from_fn(|_| Default::default()),
            range: make::histograms(
                registry,
                "etcd_server_range_duration_seconds",
                "Time of a range.",
                &["success"],
                doubling(0.0001, 20),
            ),
            range_by_success: Default::default(),
            request: make::histograms(
                registry,
                "etcd_server_request_duration_seconds",
                "Time from a request to its answer, by kind.",
                &["type", "success"],
                doubling(0.001, 14),
            ),
            request_by_op: std::array::from_fn(|_| Default::default()),
        }
    }

    /// An entry was applied.
    pub fn applied(&self, op: Op, success: bool, seconds: f64) {
        let name = op.apply_label();
        self.apply_by_op[op as usize][usize::from(success)]
            .get_or_init(|| self.apply.with_label_values(&["v3", name, WORDS[usize::from(success)]]))
            .observe(seconds);
    }

    /// A range was read.
    pub fn ranged(&self, success: bool, seconds: f64) {
        self.range_by_success[usize::from(success)]
            .get_or_init(|| self.range.with_label_values(&[WORDS[usize::from(success)]]))
            .observe(seconds);
    }

    /// A request was answered.
    pub fn answered(&self, op: Op, success: bool, seconds: f64) {
        let name = op.request_label();
        self.request_by_op[op as usize][usize::from(success)]
            .get_or_init(|| self.request.with_label_values(&[name, WORDS[usize::from(success)]]))
            .observe(seconds);
    }
}

impl Op {
    fn apply_label(self) -> &'static str {
        if self == Self::Unknown { "unknown" } else { self.request_label() }
    }

    fn request_label(self) -> &'static str {
        match self {
            Self::Range => "Range",
            Self::Put => "Put",
            Self::DeleteRange => "DeleteRange",
            Self::Txn => "Txn",
            Self::Compaction => "Compaction",
            Self::LeaseGrant => "LeaseGrant",
            Self::LeaseRevoke => "LeaseRevoke",
            Self::LeaseCheckpoint => "LeaseCheckpoint",
            Self::Alarm => "Alarm",
            Self::Authenticate => "Authenticate",
            Self::AuthEnable => "AuthEnable",
            Self::AuthDisable => "AuthDisable",
            Self::AuthStatus => "AuthStatus",
            Self::AuthUserAdd => "AuthUserAdd",
            Self::AuthUserDelete => "AuthUserDelete",
            Self::AuthUserGet => "AuthUserGet",
            Self::AuthUserChangePassword => "AuthUserChangePassword",
            Self::AuthUserGrantRole => "AuthUserGrantRole",
            Self::AuthUserRevokeRole => "AuthUserRevokeRole",
            Self::AuthUserList => "AuthUserList",
            Self::AuthRoleAdd => "AuthRoleAdd",
            Self::AuthRoleDelete => "AuthRoleDelete",
            Self::AuthRoleGet => "AuthRoleGet",
            Self::AuthRoleGrantPermission => "AuthRoleGrantPermission",
            Self::AuthRoleRevokePermission => "AuthRoleRevokePermission",
            Self::AuthRoleList => "AuthRoleList",
            Self::ClusterVersionSet => "ClusterVersionSet",
            Self::ClusterMemberAttrSet => "ClusterMemberAttrSet",
            Self::DowngradeInfoSet => "DowngradeInfoSet",
            Self::DowngradeVersionTest => "DowngradeVersionTest",
            Self::ReadonlyTxn => "ReadonlyTxn",
            Self::Unknown => "Unknown",
        }
    }
}
