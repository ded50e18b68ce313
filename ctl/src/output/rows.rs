//! Replies that are lists of records: their columns, shared by the simple format and by tables.

use holdfast_proto::etcdserverpb as pb;

use super::{EndpointHash, EndpointHealth, EndpointStatus};
use crate::go_text::{duration, humanize};

/// Records with the names of their columns.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Vec<&'static str>,
    pub(super) records: Vec<Vec<String>>,
}

/// Members: one record each.
pub(super) fn members(response: &pb::MemberListResponse) -> Rows {
    let columns = vec!["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"];
    let record = |member: &pb::Member| {
        let state = if member.name.is_empty() { "unstarted" } else { "started" };
        vec![
            format!("{:x}", member.id),
            state.to_owned(),
            member.name.clone(),
            member.peer_urls.join(","),
            member.client_urls.join(","),
            member.is_learner.to_string(),
        ]
    };
    Rows { columns, records: response.members.iter().map(record).collect() }
}

/// Health of endpoints: one record each.
pub(super) fn health(list: &[EndpointHealth]) -> Rows {
    let columns = vec!["endpoint", "health", "took", "error"];
    let record = |row: &EndpointHealth| {
        vec![
            row.endpoint.clone(),
            row.error.is_none().to_string(),
            duration::format(row.took),
            row.error.clone().unwrap_or_default(),
        ]
    };
    Rows { columns, records: list.iter().map(record).collect() }
}

/// Hashes of endpoints: one record each. Servers since 3.6 tell the revision of the hash.
pub(super) fn hashes(list: &[EndpointHash]) -> Rows {
    let with_revision = list.iter().any(|row| row.hash.hash_revision != 0);
    let mut columns = vec!["endpoint", "hash"];
    if with_revision {
        columns.push("hash revision");
    }
    let record = |row: &EndpointHash| {
        let mut record = vec![row.endpoint.clone(), row.hash.hash.to_string()];
        if with_revision {
            record.push(row.hash.hash_revision.to_string());
        }
        record
    };
    Rows { columns, records: list.iter().map(record).collect() }
}

/// Whether a server tells what servers tell since 3.6.
pub(super) fn tells_more(status: &pb::StatusResponse) -> bool {
    !status.storage_version.is_empty() || status.db_size_quota != 0 || status.downgrade_info.is_some()
}

/// A column of the state of an endpoint: its name, whether only servers since 3.6 fill it, and its content.
type StatusColumn = (&'static str, bool, fn(&EndpointStatus) -> String);

const STATUS_COLUMNS: &[StatusColumn] = &[
    ("endpoint", false, |row| row.endpoint.clone()),
    ("ID", false, |row| format!("{:x}", row.status.header.unwrap_or_default().member_id)),
    ("version", false, |row| row.status.version.clone()),
    ("storage version", true, |row| row.status.storage_version.clone()),
    ("db size", false, |row| humanize::bytes(row.status.db_size.unsigned_abs())),
    ("in use", true, |row| humanize::bytes(row.status.db_size_in_use.unsigned_abs())),
    ("percentage not in use", true, |row| percentage_not_in_use(&row.status)),
    ("quota", true, |row| humanize::bytes(row.status.db_size_quota.unsigned_abs())),
    ("is leader", false, |row| {
        (row.status.leader == row.status.header.unwrap_or_default().member_id).to_string()
    }),
    ("is learner", false, |row| row.status.is_learner.to_string()),
    ("raft term", false, |row| row.status.raft_term.to_string()),
    ("raft index", false, |row| row.status.raft_index.to_string()),
    ("raft applied index", false, |row| row.status.raft_applied_index.to_string()),
    ("errors", false, |row| row.status.errors.join(", ")),
    ("downgrade target version", true, |row| {
        row.status.downgrade_info.clone().unwrap_or_default().target_version
    }),
    ("downgrade enabled", true, |row| {
        row.status.downgrade_info.clone().unwrap_or_default().enabled.to_string()
    }),
];

/// State of endpoints: one record each. The columns are those of etcdctl 3.5 or of 3.6, after what the
/// servers tell.
pub(super) fn status(list: &[EndpointStatus]) -> Rows {
    let modern = list.iter().any(|row| tells_more(&row.status));
    let chosen: Vec<&StatusColumn> =
        STATUS_COLUMNS.iter().filter(|(_, only_modern, _)| modern || !only_modern).collect();
    let record = |row: &EndpointStatus| chosen.iter().map(|(_, _, content)| content(row)).collect();
    Rows {
        columns: chosen.iter().map(|(name, ..)| *name).collect(),
        records: list.iter().map(record).collect(),
    }
}

fn percentage_not_in_use(status: &pb::StatusResponse) -> String {
    let in_use = (status.db_size_in_use as i128 * 100).checked_div(status.db_size as i128).unwrap_or(100);
    format!("{}%", 100 - in_use)
}
