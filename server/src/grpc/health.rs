//! The standard health service: one server, which serves once it is up.

use std::collections::BTreeMap;
use std::pin::Pin;

use holdfast_proto::error::EtcdError;
use holdfast_proto::health as pb;
use pb::health_check_response::ServingStatus;
use pb::health_server::Health;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Services;

fn answer(status: ServingStatus) -> pb::HealthCheckResponse {
    pb::HealthCheckResponse { status: status as i32 }
}

#[tonic::async_trait]
impl Health for Services {
    async fn check(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<pb::HealthCheckResponse>, Status> {
        if request.get_ref().service.is_empty() {
            return Ok(Response::new(answer(ServingStatus::Serving)));
        }
        Err(EtcdError::UnknownHealthService.into())
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let status = if request.get_ref().service.is_empty() {
            ServingStatus::Serving
        } else {
            ServingStatus::ServiceUnknown
        };
        // The status does not change while the server runs; the stream stays open, as clients expect it to.
        let services = self.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            if sender.send(Ok(answer(status))).await.is_ok() {
                tokio::select! {
                    () = sender.closed() => {}
                    () = services.stopped() => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list(
        &self,
        _: Request<pb::HealthListRequest>,
    ) -> Result<Response<pb::HealthListResponse>, Status> {
        let statuses = BTreeMap::from([(String::new(), answer(ServingStatus::Serving))]);
        Ok(Response::new(pb::HealthListResponse { statuses }))
    }
}
