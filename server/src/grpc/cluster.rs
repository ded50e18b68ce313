//! Cluster: the list of members. Changes of membership come with clusters of more than one member.

use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::etcdserverpb::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use super::Services;
use super::later::not_yet;

#[tonic::async_trait]
impl Cluster for Services {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        if request.get_ref().linearizable {
            self.member().read_barrier().await?;
        }
        // Answers about the cluster leave the revision out.
        let header = Some(self.member().header_at(0));
        Ok(Response::new(pb::MemberListResponse { header, members: self.member().members() }))
    }

    async fn member_add(
        &self,
        _: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(not_yet("MemberAdd"))
    }

    async fn member_remove(
        &self,
        _: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(not_yet("MemberRemove"))
    }

    async fn member_update(
        &self,
        _: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(not_yet("MemberUpdate"))
    }

    async fn member_promote(
        &self,
        _: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(not_yet("MemberPromote"))
    }
}
