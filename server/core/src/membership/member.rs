//! One member, in the JSON form that etcd stores and that peers exchange.

use holdfast_proto::etcdserverpb;
use serde::{Deserialize, Serialize};

use crate::raft::ConfChangeContext;

/// A member of the cluster. It has started once when it has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Where other members reach it.
    #[serde(rename = "peerURLs", default, deserialize_with = "null_as_empty")]
    pub peer_urls: Vec<String>,
    /// Whether it follows the log without a vote.
    #[serde(rename = "isLearner", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_learner: bool,
    /// Its name; empty until it has started and said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where clients reach it; empty until it has started and said so.
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
}

fn null_as_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(from).map(Option::unwrap_or_default)
}

impl Member {
    pub(super) fn from_context(context: &ConfChangeContext) -> Self {
        Self {
            id: context.id,
            peer_urls: context.peer_urls.clone().unwrap_or_default(),
            is_learner: context.is_learner,
            name: context.name.clone(),
            client_urls: context.client_urls.clone(),
        }
    }

    /// The form that clients get.
    pub fn to_proto(&self) -> etcdserverpb::Member {
        etcdserverpb::Member {
            id: self.id,
            name: self.name.clone(),
            peer_urls: self.peer_urls.clone(),
            client_urls: self.client_urls.clone(),
            is_learner: self.is_learner,
        }
    }
}
