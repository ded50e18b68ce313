//! `etcd_server_*`: raft as the member sees it, applying, health; and leases.

use prometheus::{GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::make::handles;

handles! {
    /// The member in its cluster.
    ServerMetrics {
        has_leader: IntGauge = gauge("etcd_server_has_leader", "1 when this member knows a leader, else 0."),
        is_leader: IntGauge = gauge("etcd_server_is_leader", "1 when this member is the leader, else 0."),
        is_learner: IntGauge = gauge("etcd_server_is_learner", "1 when this member is a learner, else 0."),
        leader_changes: IntCounter = counter("etcd_server_leader_changes_seen_total", "Changes of leader that this member has seen."),
        learner_promote_failures: IntCounterVec = counters("etcd_server_learner_promote_failures", "Promotions of learners refused while this member led.", &["Reason"]),
        learner_promote_successes: IntCounter = counter("etcd_server_learner_promote_successes", "Promotions of learners done while this member led."),
        heartbeat_send_failures: IntCounter = counter("etcd_server_heartbeat_send_failures_total", "Heartbeats that left late or not at all; the member is overloaded."),
        snapshot_apply_in_progress: IntGauge = gauge("etcd_server_snapshot_apply_in_progress_total", "1 while a received snapshot is taken over, else 0."),
        proposals_committed: IntGauge = gauge("etcd_server_proposals_committed_total", "Index of the last committed proposal."),
        proposals_applied: IntGauge = gauge("etcd_server_proposals_applied_total", "Index of the last applied proposal."),
        proposals_pending: IntGauge = gauge("etcd_server_proposals_pending", "Proposals made here that are not applied yet."),
        proposals_failed: IntCounter = counter("etcd_server_proposals_failed_total", "Proposals made here that failed."),
        slow_apply: IntCounter = counter("etcd_server_slow_apply_total", "Requests that took longer to apply than warning-apply-duration."),
        slow_read_indexes: IntCounter = counter("etcd_server_slow_read_indexes_total", "Read-index rounds that were late or timed out."),
        read_indexes_failed: IntCounter = counter("etcd_server_read_indexes_failed_total", "Read-index rounds that failed."),
        quota_backend_bytes: IntGauge = gauge("etcd_server_quota_backend_bytes", "Bytes of database at which the alarm is raised."),
        health_success: IntCounter = counter("etcd_server_health_success", "Requests to /health that found the member healthy."),
        health_failures: IntCounter = counter("etcd_server_health_failures", "Requests to /health that found the member ill."),
        healthcheck: IntGaugeVec = gauges("etcd_server_healthcheck", "Last result of each check of /livez and /readyz; 1 is good.", &["type", "name"]),
        healthchecks: IntCounterVec = counters("etcd_server_healthchecks_total", "Checks of /livez and /readyz.", &["type", "name", "status"]),
        client_requests: IntCounterVec = counters("etcd_server_client_requests_total", "Requests by kind and by the client's API version.", &["type", "client_api_version"]),
        auth_revision: IntGauge = gauge("etcd_debugging_auth_revision", "Revision of users, roles and permissions."),
        alarms: IntGaugeVec = gauges("etcd_debugging_server_alarms", "1 for each active alarm.", &["server_id", "alarm_type"]),
        id: GaugeVec = info("etcd_server_id", "Member id in the label.", "server_id"),
        version: GaugeVec = info("etcd_server_version", "The etcd version that this server is compatible with, in the label.", "server_version"),
        go_version: GaugeVec = info("etcd_server_go_version", "What this server is built with, in the label.", "server_go_version"),
        cluster_version: GaugeVec = info("etcd_cluster_version", "The version that the cluster has agreed on, in the label.", "cluster_version"),
        holdfast_version: GaugeVec = info("holdfast_version", "The version of Holdfast, in the label.", "version"),
        log_writer: GaugeVec = info("holdfast_log_writer", "How the log is written to the disk, in the label.", "writer"),
        log_lines_dropped: IntCounter = counter("holdfast_log_lines_dropped_total", "Lines of the text log that its outputs were too slow for."),
    }
}

handles! {
    /// Leases.
    LeaseMetrics {
        granted: IntCounter = counter("etcd_debugging_lease_granted_total", "Leases granted."),
        revoked: IntCounter = counter("etcd_debugging_lease_revoked_total", "Leases revoked, expired ones included."),
        renewed: IntCounter = counter("etcd_debugging_lease_renewed_total", "Renewals that this member has done as leader."),
        expired: IntCounter = counter("etcd_debugging_server_lease_expired_total", "Leases that ran out."),
        ttl: Histogram = histogram("etcd_debugging_lease_ttl_total", "Seconds that leases were granted for.", 1.0, 24),
    }
}

impl ServerMetrics {
    /// Tells the member's id.
    pub fn set_member_id(&self, id: u64) {
        self.id.reset();
        self.id.with_label_values(&[&format!("{id:x}")]).set(1.0);
    }

    /// Tells the cluster's version, as `3.7`. An earlier one stays as 0, as in etcd.
    pub fn set_cluster_version(&self, before: Option<&str>, now: &str) {
        if let Some(before) = before {
            self.cluster_version.with_label_values(&[before]).set(0.0);
        }
        self.cluster_version.with_label_values(&[now]).set(1.0);
    }

    /// Tells which writer the log (of raft) uses.
    pub fn set_log_writer(&self, writer: &str) {
        self.log_writer.reset();
        self.log_writer.with_label_values(&[writer]).set(1.0);
    }

    /// Counts a request; `kind` is `unary` or `stream`. What is no version becomes `unknown`, so that clients cannot make
    /// up series without end.
    pub fn count_client_request(&self, kind: &str, client_api_version: Option<&str>) {
        let version = client_api_version.filter(|version| is_api_version(version)).unwrap_or("unknown");
        self.client_requests.with_label_values(&[kind, version]).inc();
    }

    /// Tells the result of one check of `/livez` or `/readyz`.
    pub fn record_health_check(&self, kind: &str, name: &str, good: bool) {
        self.healthcheck.with_label_values(&[kind, name]).set(i64::from(good));
        self.healthchecks.with_label_values(&[kind, name, if good { "success" } else { "error" }]).inc();
    }
}

/// `3.7`: two numbers of one or two digits.
fn is_api_version(text: &str) -> bool {
    let number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor))
}
