//! The node alone and among others: what leaves before the disk has answered, and what must not.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{ConfState, HardState, Message, MessageType};

use super::*;

fn node(id: u64, voters: &[u64]) -> Node {
    let conf_state = ConfState { voters: voters.to_vec(), ..ConfState::default() };
    let state = HardState { term: 1, commit: 1, ..HardState::default() };
    let log = LogView::new(state, conf_state, 1, 1);
    let settings = Settings { member_id: id, election_ticks: 10, pre_vote: true, seed: id };
    Node::new(&settings, log, 1, &slog::Logger::root(slog::Discard, slog::o!())).unwrap()
}

/// Collects until there is nothing, without a disk: batches are returned.
fn collect(node: &mut Node) -> Vec<Collected> {
    std::iter::from_fn(|| node.collect()).collect()
}

fn payloads(collected: &[Collected]) -> Vec<Bytes> {
    let committed = collected.iter().flat_map(|out| &out.committed);
    committed
        .filter_map(|entry| match &entry.kind {
            CommittedKind::Request(payload) => Some(payload.clone()),
            _ => None,
        })
        .collect()
}

/// A lone voter that leads, with everything durable and applied.
fn lone_leader() -> Node {
    let mut node = node(1, &[1]);
    node.campaign_if_alone();
    settle(&mut node);
    assert_eq!(node.leadership().role, Role::Leader);
    node
}

fn settle(node: &mut Node) -> Vec<Collected> {
    let mut all = Vec::new();
    loop {
        let collected = collect(node);
        if collected.is_empty() {
            return all;
        }
        for out in &collected {
            if let Some(batch) = &out.batch {
                node.durable(batch.ticket);
            }
            if let Some(last) = out.committed.last() {
                node.applied(last.index, 100, 1 << 20);
            }
        }
        all.extend(collected);
    }
}

#[test]
fn a_lone_voter_leads_at_once_and_commits_only_what_is_durable() {
    let mut node = lone_leader();
    node.propose([Bytes::from_static(b"a"), Bytes::from_static(b"b")]).unwrap();
    let out = collect(&mut node);
    assert!(payloads(&out).is_empty(), "not durable yet");
    let batch = out.iter().find_map(|out| out.batch.as_ref()).unwrap();
    assert_eq!(batch.entries.len(), 2, "proposed together, written together");

    // The next batch is accepted while the first is on its way to the disk.
    node.propose([Bytes::from_static(b"c")]).unwrap();
    let next = collect(&mut node);
    let second = next.iter().find_map(|out| out.batch.as_ref()).unwrap().ticket;
    assert!(second > batch.ticket);
    node.durable(batch.ticket);
    assert_eq!(payloads(&collect(&mut node)), ["a", "b"]);
    node.durable(second);
    assert_eq!(payloads(&collect(&mut node)), ["c"]);
}

#[test]
fn a_read_round_answers_with_what_is_committed() {
    let mut node = node(1, &[1]);
    node.campaign_if_alone();
    node.read_index(7);
    let early = collect(&mut node);
    assert!(
        early.iter().all(|out| out.reads.is_empty()),
        "nothing is committed in this term: raft drops the request"
    );
    for batch in early.into_iter().filter_map(|out| out.batch) {
        node.durable(batch.ticket);
    }
    settle(&mut node);
    node.read_index(8);
    let reads: Vec<_> = settle(&mut node).into_iter().flat_map(|out| out.reads).collect();
    assert_eq!(reads, [(8, node.committed_index())]);
}

#[test]
#[should_panic(expected = "was never handed out")]
fn a_ticket_that_was_never_handed_out_is_a_bug() {
    lone_leader().durable(1000);
}

#[test]
fn votes_wait_for_the_disk_and_heartbeat_answers_do_not() {
    let mut follower = node(2, &[1, 2, 3]);
    let mut heartbeat = Message { from: 1, to: 2, term: 1, commit: 1, ..Message::default() };
    heartbeat.set_msg_type(MessageType::MsgHeartbeat);

    let mut vote = Message { from: 3, to: 2, term: 2, log_term: 1, index: 1, ..Message::default() };
    vote.set_msg_type(MessageType::MsgRequestVote);
    follower.step(vote);
    let out = collect(&mut follower);
    let sent = |out: &[Collected]| out.iter().flat_map(|out| &out.messages).count();
    assert_eq!(sent(&out), 0, "a vote that is not on disk could be given twice");
    let ticket = out[0].batch.as_ref().unwrap().ticket;

    // A heartbeat of the new term: its answer would promise a term that is not on disk yet.
    heartbeat.term = 2;
    heartbeat.from = 3;
    follower.step(heartbeat.clone());
    assert_eq!(sent(&collect(&mut follower)), 0);
    follower.durable(ticket);
    let released = collect(&mut follower);
    assert_eq!(sent(&released), 2, "the vote and the answer");

    // Now that the term is durable, an append may be on its way to the disk without holding up heartbeats.
    let entry =
        raft::eraftpb::Entry { term: 2, index: 2, data: Bytes::from_static(b"x"), ..Default::default() };
    let mut append =
        Message { from: 3, to: 2, term: 2, log_term: 1, index: 1, commit: 1, ..Message::default() };
    append.set_msg_type(MessageType::MsgAppend);
    append.set_entries(vec![entry].into());
    follower.step(append);
    assert_eq!(sent(&collect(&mut follower)), 0, "the append is answered when it is durable");
    follower.step(heartbeat);
    assert_eq!(sent(&collect(&mut follower)), 1);
}

/// Three nodes, a network that delivers everything, and disks that are always ready.
struct Cluster {
    nodes: BTreeMap<u64, Node>,
    wire: VecDeque<Message>,
    applied: BTreeMap<u64, Vec<Committed>>,
}

impl Cluster {
    fn new() -> Self {
        let nodes = (1..=3).map(|id| (id, node(id, &[1, 2, 3]))).collect();
        Self { nodes, wire: VecDeque::new(), applied: BTreeMap::new() }
    }

    fn run(&mut self) {
        loop {
            let mut quiet = true;
            for (id, node) in &mut self.nodes {
                for out in settle(node) {
                    quiet = false;
                    self.wire.extend(out.messages);
                    self.applied.entry(*id).or_default().extend(out.committed);
                }
            }
            while let Some(message) = self.wire.pop_front() {
                quiet = false;
                if let Some(node) = self.nodes.get_mut(&message.to) {
                    node.step(message);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn elect(&mut self) -> u64 {
        for _ in 0..200 {
            self.nodes.values_mut().for_each(Node::tick);
            self.run();
            if let Some((id, _)) = self.nodes.iter().find(|(_, node)| node.leadership().role == Role::Leader)
            {
                return *id;
            }
        }
        panic!("nobody was elected in 200 ticks");
    }
}

#[test]
fn three_members_agree_on_the_order() {
    let mut cluster = Cluster::new();
    let leader = cluster.elect();
    let follower = if leader == 1 { 2 } else { 1 };
    // A follower hands proposals on to the leader.
    for (id, payload) in [(leader, "a"), (follower, "b"), (leader, "c")] {
        cluster.nodes.get_mut(&id).unwrap().propose([Bytes::from_static(payload.as_bytes())]).unwrap();
        cluster.run();
    }
    for applied in cluster.applied.values() {
        let order: Vec<_> = applied
            .iter()
            .filter_map(|entry| match &entry.kind {
                CommittedKind::Request(payload) => Some(payload.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}

#[test]
fn a_leader_takes_a_learner_in_gos_encoding() {
    let mut cluster = Cluster::new();
    let leader = cluster.elect();
    let context = ConfChangeContext { id: 4, is_learner: true, ..ConfChangeContext::default() };
    let change = ConfChange {
        request_id: 9,
        kind: ConfChangeKind::AddLearnerNode,
        node_id: 4,
        context: Some(context),
    };
    let node = cluster.nodes.get_mut(&leader).unwrap();
    node.propose_conf_change(&change).unwrap();
    // A second change while the first is pending becomes an empty entry, as on Go's leader.
    node.propose_conf_change(&change).unwrap();
    cluster.run();
    for applied in cluster.applied.values() {
        let changes: Vec<_> = applied
            .iter()
            .filter_map(|entry| match &entry.kind {
                CommittedKind::ConfChange(payload) => Some(decode_conf_change(payload).unwrap()),
                _ => None,
            })
            .collect();
        assert_eq!(changes, std::slice::from_ref(&change));
    }
    for node in cluster.nodes.values_mut() {
        node.apply_conf_change(Some(&change));
    }
    let remove = ConfChange { request_id: 10, kind: ConfChangeKind::RemoveNode, node_id: 4, context: None };
    cluster.nodes.get_mut(&leader).unwrap().propose_conf_change(&remove).unwrap();
    cluster.run();
    assert!(
        cluster.applied[&leader].iter().any(|entry| matches!(&entry.kind, CommittedKind::ConfChange(payload)
            if decode_conf_change(payload).unwrap() == remove)),
        "the first change is no longer pending once it is applied"
    );
}

#[test]
fn a_run_is_decided_by_its_seeds() {
    let history = || {
        let mut cluster = Cluster::new();
        let mut leaders = Vec::new();
        for round in 0..300u64 {
            for (id, node) in &mut cluster.nodes {
                if (round + id) % 17 != 0 {
                    node.tick();
                }
            }
            cluster.run();
            leaders.push(cluster.nodes.values().map(Node::leadership).collect::<Vec<_>>());
        }
        leaders
    };
    assert_eq!(history(), history());
}

#[test]
fn a_stale_rejection_does_not_move_a_follower_back() {
    let mut cluster = Cluster::new();
    let leader = cluster.elect();
    let follower = if leader == 1 { 2 } else { 1 };
    let node = cluster.nodes.get_mut(&leader).unwrap();
    node.propose([Bytes::from_static(b"a")]).unwrap();
    cluster.run();
    let node = cluster.nodes.get_mut(&leader).unwrap();
    let (term, index) = (node.leadership().term, node.committed_index());
    // A lost message puts the follower into probing, where raft-rs takes any rejection of what it sent last.
    node.unreachable(follower);
    let mut stale = Message {
        from: follower,
        to: leader,
        term,
        index,
        reject: true,
        reject_hint: 1,
        ..Message::default()
    };
    stale.set_msg_type(MessageType::MsgAppendResponse);
    node.step(stale);
    assert!(collect(node).is_empty(), "nothing is sent again for what the follower has matched since");
}
