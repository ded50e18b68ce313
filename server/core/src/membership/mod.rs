//! Who is in the cluster, as the log says it.
//!
//! Every member applies the same configuration changes and must come to the same verdict on each: a change that is
//! committed but not valid is refused by all of them alike. What is kept is what etcd keeps in its `members`,
//! `members_removed` and `cluster` buckets, in the same form.

mod member;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::error::EtcdError;

use crate::raft::{ConfChange, ConfChangeKind};

pub use member::Member;
pub use store::{MembershipError, load, save_change, save_member, save_version};

/// Members, removed members and the cluster version.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
    version: Option<String>,
    max_learners: usize,
}

impl Membership {
    /// Nobody yet; at most `max_learners` learners at a time. All members of a cluster need the same limit, because it
    /// decides which committed changes are valid.
    pub fn new(max_learners: usize) -> Self {
        Self { max_learners, ..Self::default() }
    }

    /// The members by ascending id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The member with this id.
    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Whether this id was removed; it can never come back.
    pub fn is_removed(&self, id: u64) -> bool {
        self.removed.contains(&id)
    }

    /// The cluster version that the leader has set, such as `3.7.0`; `None` before the first was agreed.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Ids of voters and of learners, each ascending: raft's configuration.
    pub fn voters_and_learners(&self) -> (Vec<u64>, Vec<u64>) {
        let ids = |learner| self.members().filter(|m| m.is_learner == learner).map(|m| m.id).collect();
        (ids(false), ids(true))
    }

    /// Whether a committed change may be applied.
    ///
    /// # Errors
    /// The error that its proposer gets; all members refuse the change alike.
    pub fn validate(&self, change: &ConfChange) -> Result<(), EtcdError> {
        let id = change.node_id;
        if self.is_removed(id) {
            return Err(EtcdError::MemberNotFound);
        }
        let context = change.context.as_ref();
        match change.kind {
            ConfChangeKind::AddNode | ConfChangeKind::AddLearnerNode => {
                if context.is_some_and(|context| context.is_promote) {
                    let member = self.member(id).ok_or(EtcdError::MemberNotFound)?;
                    return if member.is_learner { Ok(()) } else { Err(EtcdError::MemberNotLearner) };
                }
                if self.member(id).is_some() {
                    return Err(EtcdError::MemberExist);
                }
                self.peer_urls_are_free(id, change)?;
                let learners = self.members().filter(|member| member.is_learner).count();
                if context.is_some_and(|context| context.is_learner) && learners >= self.max_learners {
                    return Err(EtcdError::TooManyLearners);
                }
                Ok(())
            }
            ConfChangeKind::RemoveNode => self.member(id).map(|_| ()).ok_or(EtcdError::MemberNotFound),
            ConfChangeKind::UpdateNode => {
                self.member(id).ok_or(EtcdError::MemberNotFound)?;
                self.peer_urls_are_free(id, change)
            }
        }
    }

    fn peer_urls_are_free(&self, id: u64, change: &ConfChange) -> Result<(), EtcdError> {
        let urls =
            change.context.as_ref().and_then(|context| context.peer_urls.as_deref()).unwrap_or_default();
        let taken = self
            .members()
            .filter(|member| member.id != id)
            .any(|member| member.peer_urls.iter().any(|url| urls.contains(url)));
        if taken { Err(EtcdError::PeerURLExist) } else { Ok(()) }
    }

    /// Applies a change that [`Self::validate`] has passed. Returns the ids whose records changed.
    pub fn apply(&mut self, change: &ConfChange) {
        let id = change.node_id;
        match (change.kind, &change.context) {
            (ConfChangeKind::AddNode | ConfChangeKind::AddLearnerNode, Some(context))
                if context.is_promote =>
            {
                if let Some(member) = self.members.get_mut(&id) {
                    member.is_learner = false;
                }
            }
            (ConfChangeKind::AddNode | ConfChangeKind::AddLearnerNode, Some(context)) => {
                self.members.insert(id, Member::from_context(context));
            }
            (ConfChangeKind::UpdateNode, Some(context)) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.peer_urls = context.peer_urls.clone().unwrap_or_default();
                }
            }
            (ConfChangeKind::RemoveNode, _) => {
                self.members.remove(&id);
                self.removed.insert(id);
            }
            // The decoder refuses a change of these kinds without a context.
            (_, None) => {}
        }
    }

    /// A member has said its name and its client URLs. Returns whether the member is known.
    pub fn set_attributes(&mut self, id: u64, name: String, client_urls: Vec<String>) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        member.name = name;
        member.client_urls = client_urls;
        true
    }

    /// The leader has set the cluster version.
    pub fn set_version(&mut self, version: String) {
        self.version = Some(version);
    }

    pub(crate) fn insert(&mut self, member: Member) {
        self.members.insert(member.id, member);
    }

    pub(crate) fn insert_removed(&mut self, id: u64) {
        self.removed.insert(id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::raft::ConfChangeContext;

    fn change(kind: ConfChangeKind, id: u64, url: &str) -> ConfChange {
        let context = ConfChangeContext {
            id,
            peer_urls: Some(vec![url.into()]),
            is_learner: kind == ConfChangeKind::AddLearnerNode,
            ..ConfChangeContext::default()
        };
        ConfChange { request_id: 1, kind, node_id: id, context: Some(context) }
    }

    fn promotion(id: u64) -> ConfChange {
        let context = ConfChangeContext { id, is_promote: true, ..ConfChangeContext::default() };
        ConfChange { request_id: 1, kind: ConfChangeKind::AddNode, node_id: id, context: Some(context) }
    }

    fn removal(id: u64) -> ConfChange {
        ConfChange { request_id: 1, kind: ConfChangeKind::RemoveNode, node_id: id, context: None }
    }

    fn applied(membership: &mut Membership, change: &ConfChange) -> Result<(), EtcdError> {
        membership.validate(change)?;
        membership.apply(change);
        Ok(())
    }

    #[test]
    fn the_life_of_a_member() {
        let mut cluster = Membership::new(1);
        applied(&mut cluster, &change(ConfChangeKind::AddNode, 1, "http://a:1")).unwrap();
        applied(&mut cluster, &change(ConfChangeKind::AddLearnerNode, 2, "http://b:1")).unwrap();
        assert_eq!(cluster.voters_and_learners(), (vec![1], vec![2]));
        applied(&mut cluster, &promotion(2)).unwrap();
        assert_eq!(cluster.voters_and_learners(), (vec![1, 2], vec![]));
        applied(&mut cluster, &change(ConfChangeKind::UpdateNode, 2, "http://c:1")).unwrap();
        assert_eq!(cluster.member(2).unwrap().peer_urls, ["http://c:1"]);
        applied(&mut cluster, &removal(2)).unwrap();
        assert!(cluster.is_removed(2));
        assert_eq!(cluster.voters_and_learners(), (vec![1], vec![]));
    }

    #[test]
    fn invalid_changes_are_refused_with_etcds_errors() {
        let mut cluster = Membership::new(1);
        applied(&mut cluster, &change(ConfChangeKind::AddNode, 1, "http://a:1")).unwrap();
        applied(&mut cluster, &change(ConfChangeKind::AddLearnerNode, 2, "http://b:1")).unwrap();
        let refused = |change: &ConfChange| cluster.validate(change).unwrap_err();
        assert_eq!(refused(&change(ConfChangeKind::AddNode, 1, "http://x:1")), EtcdError::MemberExist);
        assert_eq!(refused(&change(ConfChangeKind::AddNode, 3, "http://a:1")), EtcdError::PeerURLExist);
        assert_eq!(
            refused(&change(ConfChangeKind::AddLearnerNode, 3, "http://x:1")),
            EtcdError::TooManyLearners
        );
        assert_eq!(refused(&promotion(1)), EtcdError::MemberNotLearner);
        assert_eq!(refused(&promotion(9)), EtcdError::MemberNotFound);
        assert_eq!(refused(&removal(9)), EtcdError::MemberNotFound);
        assert_eq!(refused(&change(ConfChangeKind::UpdateNode, 9, "http://x:1")), EtcdError::MemberNotFound);
        assert_eq!(refused(&change(ConfChangeKind::UpdateNode, 2, "http://a:1")), EtcdError::PeerURLExist);
        cluster.apply(&removal(2));
        assert_eq!(
            cluster.validate(&change(ConfChangeKind::AddNode, 2, "http://y:1")),
            Err(EtcdError::MemberNotFound),
            "a removed id never comes back"
        );
    }
}
