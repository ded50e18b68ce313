//! Maintenance: status, alarms, hashes, snapshots.

use std::pin::Pin;
use std::sync::Arc;

use holdfast_core::apply::Reply;
use holdfast_engine::mvcc::{HashKv, MvccError};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::etcdserverpb::maintenance_server::Maintenance;
use holdfast_proto::version;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::image::{self, Image, ImageError};
use super::later::not_yet;
use super::{Services, complete_header, on_scan_thread, snapshot, unexpected_reply};
use crate::member::Member;
use crate::member::holds::HASH_TICKS;

#[tonic::async_trait]
impl Maintenance for Services {
    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        let envelope = pb::InternalRaftRequest { alarm: Some(request.into_inner()), ..Default::default() };
        match self.member().propose(envelope).await? {
            Reply::Alarm(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }

    async fn status(&self, _: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        let member = self.member();
        let status = member.status();
        let stats = member.store().db().stats();
        let page = u64::from(stats.page_size);
        Ok(Response::new(pb::StatusResponse {
            header: Some(member.header()?),
            version: version::SERVER_VERSION.to_owned(),
            db_size: (stats.pages * page) as i64,
            leader: status.leader,
            raft_index: status.committed,
            raft_term: status.term,
            raft_applied_index: status.applied,
            errors: errors(member, status.leader),
            db_size_in_use: (stats.pages_in_use * page) as i64,
            is_learner: status.is_learner,
            storage_version: version::STORAGE_VERSION.to_owned(),
            db_size_quota: member.quota_bytes().map_or(0, |bytes| bytes as i64),
            downgrade_info: Some(pb::DowngradeInfo::default()),
        }))
    }

    async fn defragment(
        &self,
        _: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        // Nothing is rebuilt and no write waits: pages move off the end of the file in small steps from now on.
        self.member().defragment();
        Ok(Response::new(pb::DefragmentResponse::default()))
    }

    async fn hash(&self, _: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let member = self.member().clone();
        let folder = self.0.spool_folder.clone();
        let hashed = on_scan_thread(move || {
            let image = Image::take(member.store(), &folder, HASH_TICKS)?;
            Ok((image.revision(), image::database_hash(image)?))
        });
        let (revision, hash) =
            hashed.await?.map_err(|error: ImageError| snapshot::refusal(self.member(), error))?;
        Ok(Response::new(pb::HashResponse { header: Some(self.member().header_at(revision)), hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let revision = request.get_ref().revision;
        let member = self.member().clone();
        // A client that leaves drops this, and then nobody needs the hash.
        let (asking, asked) = oneshot::channel::<()>();
        let hashed = on_scan_thread(move || hash_in_steps(&member, revision, asked)).await?;
        drop(asking);
        match hashed {
            Ok((current_revision, hash)) => Ok(Response::new(pb::HashKvResponse {
                header: Some(self.member().header_at(current_revision)),
                hash: hash.hash,
                compact_revision: hash.compact_revision,
                hash_revision: hash.hash_revision,
            })),
            Err(MvccError::Compacted { .. } | MvccError::Outlived { .. }) => Err(EtcdError::Compacted.into()),
            Err(MvccError::FutureRevision { .. }) => Err(EtcdError::FutureRev.into()),
            Err(error) => Err(self.member().store_failed(error)),
        }
    }

    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<pb::SnapshotResponse, Status>> + Send>>;

    async fn snapshot(
        &self,
        _: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let Ok(permit) = Arc::clone(&self.0.snapshots).acquire_owned().await else {
            return Err(EtcdError::Stopped.into());
        };
        let chunks = snapshot::stream(self.member().clone(), self.0.spool_folder.clone(), permit);
        Ok(Response::new(Box::pin(ReceiverStream::new(chunks))))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let status = self.member().status();
        if status.leader != status.member_id {
            return Err(EtcdError::NotLeader.into());
        }
        if request.get_ref().target_id == status.member_id {
            return Ok(Response::new(pb::MoveLeaderResponse::default()));
        }
        // There is no other member to which leadership could move.
        Err(EtcdError::BadLeaderTransferee.into())
    }

    async fn downgrade(
        &self,
        _: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        Err(not_yet("Downgrade"))
    }
}

/// Hashes the history, in steps over one state after the other, for as long as somebody asks. Returns the current
/// revision with it.
fn hash_in_steps(
    member: &Member,
    revision: i64,
    mut asked: oneshot::Receiver<()>,
) -> Result<(i64, HashKv), MvccError> {
    let mut walk = member.store().hash_kv(revision, HASH_TICKS)?;
    loop {
        if let Some(hash) = walk.step()? {
            return Ok((walk.current_revision(), hash));
        }
        if asked.try_recv() == Err(oneshot::error::TryRecvError::Closed) {
            return Err(MvccError::Outlived { revision });
        }
    }
}

/// What is wrong with the member, a line each.
fn errors(member: &Member, leader: u64) -> Vec<String> {
    let mut errors = Vec::new();
    if leader == 0 {
        errors.push(EtcdError::NoLeader.message().to_owned());
    }
    for alarm in member.alarms() {
        let kind = match pb::AlarmType::try_from(alarm.alarm) {
            Ok(kind) => kind.as_str_name().to_owned(),
            Err(_) => alarm.alarm.to_string(),
        };
        errors.push(format!("memberID:{} alarm:{kind}", alarm.member_id));
    }
    errors
}
