//! What a member does from time to time: let leases end, compact by itself, say who it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use holdfast_proto::error::EtcdError;
use holdfast_proto::{etcdserverpb as pb, limits, membershippb, version};
use tokio::task::JoinHandle;

use super::Member;
use super::auto_compaction::AutoCompactor;
use crate::config::Config;

/// Leases revoked in one look; with two looks a second it is twice etcd's rate of a thousand.
const REVOKES_PER_LOOK: usize = 1000;

/// Pause before something that has failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Starts the periodic tasks.
pub(super) fn start(member: &Member, config: &Config) -> Vec<JoinHandle<()>> {
    let name = config.name.clone();
    let client_urls = config.advertise_client_urls.iter().map(ToString::to_string).collect();
    let mut tasks = vec![
        tokio::spawn(publish(member.clone(), name, client_urls)),
        tokio::spawn(let_leases_end(member.clone())),
        tokio::spawn(raise_alarms(member.clone())),
        tokio::spawn(let_long_reads_end(member.clone())),
    ];
    if let Some(compactor) = AutoCompactor::new(config.auto_compaction) {
        tasks.push(tokio::spawn(compact(member.clone(), compactor)));
    }
    tasks
}

/// Tells the cluster this member's name and client URLs, and agrees on the cluster version when there is none yet.
/// Tried until it works or the member stops: clients find members by what is published here.
async fn publish(member: Member, name: String, client_urls: Vec<String>) {
    if member.wait_ready().await.is_err() {
        return;
    }
    let member_id = member.status().member_id;
    let known = member.members().into_iter().find(|known| known.id == member_id);
    if !known.is_some_and(|known| known.name == name && known.client_urls == client_urls) {
        let attributes = membershippb::Attributes { name, client_urls };
        let request =
            membershippb::ClusterMemberAttrSetRequest { member_id, member_attributes: Some(attributes) };
        let request = pb::InternalRaftRequest {
            cluster_member_attr_set: Some(request),
            ..pb::InternalRaftRequest::default()
        };
        if !insist(&member, request, "failed to publish local member to cluster through raft").await {
            return;
        }
        tracing::info!(
            "local-member-id" = format!("{member_id:x}"),
            "cluster-id" = format!("{:x}", member.status().cluster_id),
            "published local member to cluster through raft"
        );
    }
    if member.cluster_version().is_none() {
        let request = membershippb::ClusterVersionSetRequest { ver: version::CLUSTER_VERSION.to_owned() };
        let request = pb::InternalRaftRequest {
            cluster_version_set: Some(request),
            ..pb::InternalRaftRequest::default()
        };
        if insist(&member, request, "failed to set the cluster version").await {
            tracing::info!("cluster-version" = version::CLUSTER_VERSION, "set initial cluster version");
        }
    }
}

/// Proposes until it works. `false` when the member stops.
async fn insist(member: &Member, request: pb::InternalRaftRequest, failure: &'static str) -> bool {
    loop {
        match member.propose(request.clone()).await {
            Ok(_) => return true,
            Err(EtcdError::Stopped) => return false,
            Err(error) => tracing::warn!(%error, "{failure}"),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Revokes what is due. Only the leader has due leases.
async fn let_leases_end(member: Member) {
    let mut looks = tokio::time::interval(limits::LEASE_EXPIRY_CHECK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // Each is its own entry and its own revision. They are not waited for: one that is slow must not keep the others
        // alive. The lessor hands a lease out again when nothing has come of it.
        for id in member.leases().take_due(REVOKES_PER_LOOK) {
            tokio::spawn(revoke(member.clone(), id));
        }
    }
}

async fn revoke(member: Member, id: i64) {
    let lease_revoke = Some(pb::LeaseRevokeRequest { id });
    let request = pb::InternalRaftRequest { lease_revoke, ..pb::InternalRaftRequest::default() };
    match member.propose(request).await {
        Ok(_) => {
            member.0.counters.expired_leases.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => {
            tracing::debug!(lease = id, %error, "failed to revoke a lease that has ended; it is tried again");
        }
    }
}

/// Raises the alarm when apply finds the database over its quota.
async fn raise_alarms(member: Member) {
    loop {
        member.0.shared.no_space.notified().await;
        member.raise_no_space().await;
    }
}

/// Lets long reads grow older, so that none holds back compaction for ever.
async fn let_long_reads_end(member: Member) {
    let mut ticks = tokio::time::interval(super::holds::TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0.. {
        ticks.tick().await;
        member.store().db().set_tick(tick);
        let broken = member.store().hold_stats().broken;
        member.store().tick_holds();
        let ended = member.store().hold_stats().broken - broken;
        if ended > 0 {
            tracing::warn!(
                reads = ended,
                "long reads have passed their limit and end, so that compaction can go on"
            );
        }
    }
}

async fn compact(member: Member, mut compactor: AutoCompactor) {
    let mut looks = tokio::time::interval(compactor.interval().max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if member.status().leader != member.status().member_id {
            continue;
        }
        let Ok(view) = member.view() else { return };
        let Some(revision) = compactor.look(view.revision()) else { continue };
        tracing::info!(revision, "starting auto compaction");
        let compaction = Some(pb::CompactionRequest { revision, physical: false });
        let request = pb::InternalRaftRequest { compaction, ..pb::InternalRaftRequest::default() };
        match member.propose(request).await {
            Ok(_) => {
                compactor.done(revision);
                tracing::info!(revision, "completed auto compaction");
            }
            // Somebody else has compacted further.
            Err(EtcdError::Compacted) => compactor.done(revision),
            Err(error) => tracing::warn!(revision, %error, "failed auto compaction"),
        }
    }
}
