//! Lease.

use std::pin::Pin;
use std::time::Duration;

use holdfast_core::apply::Reply;
use holdfast_core::lease::RenewRefusal;
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::etcdserverpb::lease_server::Lease;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Services, complete_header, unexpected_reply};

/// Answers to renewals that may wait for a client that does not read them.
const PENDING_ANSWERS: usize = 16;

/// Pause between two looks for a leader, or for the deletion of a lease that is due.
const POLL: Duration = Duration::from_millis(50);

impl Services {
    /// Renews a lease; `None` when there is none to renew. "Not found" is said only after everything that was committed
    /// has been applied, so that a lease that was just granted is seen.
    async fn renew(&self, id: i64) -> Result<Option<i64>, EtcdError> {
        let deadline = tokio::time::Instant::now() + self.member().request_timeout();
        let mut waited = false;
        loop {
            match self.member().leases().renew(id) {
                Ok(seconds) => return Ok(Some(seconds)),
                Err(RenewRefusal::NotFound) if waited => return Ok(None),
                Err(RenewRefusal::NotFound) => {
                    self.member().wait_applied().await?;
                    waited = true;
                }
                Err(refusal @ (RenewRefusal::Due | RenewRefusal::NotPrimary)) => {
                    if tokio::time::Instant::now() >= deadline {
                        let no_leader = refusal == RenewRefusal::NotPrimary;
                        return Err(if no_leader { EtcdError::NoLeader } else { EtcdError::Timeout });
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn keep_alive(
        self,
        mut requests: Streaming<pb::LeaseKeepAliveRequest>,
        answers: mpsc::Sender<Result<pb::LeaseKeepAliveResponse, Status>>,
    ) {
        loop {
            let request = tokio::select! {
                request = requests.message() => request,
                () = self.stopped() => return,
            };
            let request = match request {
                Ok(Some(request)) => request,
                // The client has said all that it wants to say.
                Ok(None) => return,
                Err(status) => {
                    // Nobody may be there any more to be told.
                    let _ = answers.send(Err(status)).await;
                    return;
                }
            };
            let header = self.member().header();
            let answer = match (header, self.renew(request.id).await) {
                (Ok(header), Ok(seconds)) => Ok(pb::LeaseKeepAliveResponse {
                    header: Some(header),
                    id: request.id,
                    ttl: seconds.unwrap_or(0),
                }),
                (Err(error), _) | (_, Err(error)) => Err(error.into()),
            };
            let failed = answer.is_err();
            if answers.send(answer).await.is_err() || failed {
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl Lease for Services {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let mut request = request.into_inner();
        if request.id == 0 {
            // Chosen here, so that the log entry says it and all members agree.
            request.id = self.member().next_lease_id();
        }
        let envelope = pb::InternalRaftRequest { lease_grant: Some(request), ..Default::default() };
        self.member().require_space(&envelope).await?;
        match self.member().propose(envelope).await? {
            Reply::LeaseGrant(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let envelope =
            pb::InternalRaftRequest { lease_revoke: Some(request.into_inner()), ..Default::default() };
        match self.member().propose(envelope).await? {
            Reply::LeaseRevoke(mut response) => {
                complete_header(self.member(), &mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(unexpected_reply()),
        }
    }

    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<pb::LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let (sender, receiver) = mpsc::channel(PENDING_ANSWERS);
        tokio::spawn(self.clone().keep_alive(request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let request = request.into_inner();
        let member = self.member();
        if member.status().leader == 0 {
            return Err(EtcdError::NoLeader.into());
        }
        let mut times = member.leases().times(request.id);
        if times.is_none() {
            member.wait_applied().await?;
            times = member.leases().times(request.id);
        }
        let view = member.view()?;
        let header = Some(member.header_at(view.revision()));
        let Some(times) = times else {
            let unknown =
                pb::LeaseTimeToLiveResponse { header, id: request.id, ttl: -1, ..Default::default() };
            return Ok(Response::new(unknown));
        };
        let keys = if request.keys {
            view.lease_keys(request.id).map_err(|error| member.store_failed(error))?
        } else {
            Vec::new()
        };
        Ok(Response::new(pb::LeaseTimeToLiveResponse {
            header,
            id: request.id,
            ttl: times.remaining_seconds,
            granted_ttl: times.granted_seconds,
            keys,
        }))
    }

    async fn lease_leases(
        &self,
        _: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let leases = self.member().leases().list().into_iter().map(|id| pb::LeaseStatus { id }).collect();
        Ok(Response::new(pb::LeaseLeasesResponse { header: Some(self.member().header()?), leases }))
    }
}
