//! Configuration changes in the encoding of Go's raft library.
//!
//! raft-rs numbers the kinds of a change differently (its 2 adds a learner, Go's 2 updates a node), so a change never
//! passes through raft-rs's own encoder: it is written here, carried as opaque bytes, and translated only when it is
//! applied. The context is etcd's JSON, with the attributes of the member flattened into one object.

use bytes::Bytes;
use holdfast_proto::raftpb;
use prost::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use serde::{Deserialize, Serialize};

/// What a change does to a member. The discriminants are those of Go's `ConfChangeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfChangeKind {
    /// Adds a voter, or promotes a learner to one.
    AddNode = 0,
    /// Removes a voter or a learner, for good.
    RemoveNode = 1,
    /// Changes the peer URLs of a member; raft itself sees nothing of it.
    UpdateNode = 2,
    /// Adds a learner.
    AddLearnerNode = 3,
}

/// What the proposer of a change says about the member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfChangeContext {
    /// The member's id; must equal the node id of the change.
    pub id: u64,
    /// The member's peer URLs; absent (`null`) on a promotion.
    #[serde(rename = "peerURLs")]
    pub peer_urls: Option<Vec<String>>,
    /// Whether the member joins as a learner.
    #[serde(rename = "isLearner", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_learner: bool,
    /// The member's name; known for members of the first configuration only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The member's client URLs; never set by a proposer today, but read where present.
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
    /// Whether this change promotes a learner.
    #[serde(rename = "isPromote", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_promote: bool,
}

/// A configuration change as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfChange {
    /// The request that proposed it; zero for the first configuration.
    pub request_id: u64,
    /// What it does.
    pub kind: ConfChangeKind,
    /// To which member.
    pub node_id: u64,
    /// What is known of the member; absent on a removal.
    pub context: Option<ConfChangeContext>,
}

/// Why the payload of a configuration-change entry cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfChangeError {
    /// The payload is not a `ConfChange` message.
    #[error("the payload of a configuration change does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The change is of a kind that no etcd version writes.
    #[error("configuration change of unknown kind {0}")]
    UnknownKind(i32),
    /// The context is missing, not JSON, or about another member than the change.
    #[error("configuration change for member {node_id:x} has an unusable context: {what}")]
    Context {
        /// The member that the change names.
        node_id: u64,
        /// What is wrong with the context.
        what: String,
    },
}

impl ConfChange {
    /// The bytes that go into the log entry. Every scalar is written, zero or not, as etcd's own members write it.
    pub fn encode(&self) -> Bytes {
        let context = self.context.as_ref().map(|context| {
            Bytes::from(serde_json::to_vec(context).expect("a struct of strings and numbers serialises"))
        });
        raftpb::ConfChange {
            id: Some(self.request_id),
            r#type: Some(self.kind as i32),
            node_id: Some(self.node_id),
            context,
        }
        .encode_to_vec()
        .into()
    }

    /// The change as raft-rs has to apply it; `None` where raft has nothing to do.
    pub(super) fn for_raft(&self) -> Option<ConfChangeV2> {
        let kind = match self.kind {
            ConfChangeKind::AddNode => ConfChangeType::AddNode,
            ConfChangeKind::RemoveNode => ConfChangeType::RemoveNode,
            ConfChangeKind::AddLearnerNode => ConfChangeType::AddLearnerNode,
            ConfChangeKind::UpdateNode => return None,
        };
        Some(single(kind, self.node_id))
    }
}

/// A change that leaves the configuration as it is: what raft is told when a committed change was refused, so that it
/// no longer counts as pending.
pub(super) fn refused() -> ConfChangeV2 {
    single(ConfChangeType::AddNode, 0)
}

fn single(kind: ConfChangeType, node_id: u64) -> ConfChangeV2 {
    let mut change = ConfChangeSingle::default();
    change.set_change_type(kind);
    change.node_id = node_id;
    let mut changes = ConfChangeV2::default();
    changes.set_changes(vec![change].into());
    changes
}

/// Reads the payload of a configuration-change entry.
///
/// # Errors
/// [`ConfChangeError`] when it is not what an etcd member would have proposed. A committed entry of that form must stop
/// the member: applying it differently from the others would split the cluster's membership.
pub fn decode_conf_change(payload: &[u8]) -> Result<ConfChange, ConfChangeError> {
    let wire = raftpb::ConfChange::decode(payload)?;
    let kind = match wire.r#type.unwrap_or(0) {
        0 => ConfChangeKind::AddNode,
        1 => ConfChangeKind::RemoveNode,
        2 => ConfChangeKind::UpdateNode,
        3 => ConfChangeKind::AddLearnerNode,
        other => return Err(ConfChangeError::UnknownKind(other)),
    };
    let node_id = wire.node_id.unwrap_or(0);
    let context = match wire.context.as_deref().unwrap_or_default() {
        [] => None,
        json => Some(
            serde_json::from_slice::<ConfChangeContext>(json)
                .map_err(|error| ConfChangeError::Context { node_id, what: error.to_string() })?,
        ),
    };
    match &context {
        Some(context) if context.id != node_id => {
            let what = format!("it is about member {:x}", context.id);
            return Err(ConfChangeError::Context { node_id, what });
        }
        None if kind != ConfChangeKind::RemoveNode => {
            return Err(ConfChangeError::Context { node_id, what: "it is missing".into() });
        }
        _ => {}
    }
    Ok(ConfChange { request_id: wire.id.unwrap_or(0), kind, node_id, context })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bootstrap_change_has_the_bytes_of_etcd() {
        let context = ConfChangeContext {
            id: 5,
            peer_urls: Some(vec!["http://a:1".into()]),
            name: "n1".into(),
            ..ConfChangeContext::default()
        };
        let change =
            ConfChange { request_id: 0, kind: ConfChangeKind::AddNode, node_id: 5, context: Some(context) };
        let bytes = change.encode();
        let json = br#"{"id":5,"peerURLs":["http://a:1"],"name":"n1"}"#;
        let mut expected = vec![0x08, 0, 0x10, 0, 0x18, 5, 0x22, json.len() as u8];
        expected.extend_from_slice(json);
        assert_eq!(&bytes[..], &expected[..]);
        assert_eq!(decode_conf_change(&bytes).unwrap(), change);
    }

    #[test]
    fn a_promotion_names_no_urls() {
        let context = ConfChangeContext { id: 7, is_promote: true, ..ConfChangeContext::default() };
        let json = serde_json::to_string(&context).unwrap();
        assert_eq!(json, r#"{"id":7,"peerURLs":null,"isPromote":true}"#);
    }

    #[test]
    fn unusable_changes_are_named() {
        assert!(matches!(decode_conf_change(&[0xff]), Err(ConfChangeError::Decode(_))));
        assert!(matches!(decode_conf_change(&[0x10, 9]), Err(ConfChangeError::UnknownKind(9))));
        let missing = decode_conf_change(&[0x10, 0, 0x18, 5]).unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
        let other = ConfChange {
            request_id: 1,
            kind: ConfChangeKind::AddNode,
            node_id: 5,
            context: Some(ConfChangeContext { id: 6, ..ConfChangeContext::default() }),
        };
        assert!(decode_conf_change(&other.encode()).unwrap_err().to_string().contains("member 6"));
        assert!(decode_conf_change(&[0x10, 1, 0x18, 5]).is_ok(), "a removal needs no context");
    }
}
