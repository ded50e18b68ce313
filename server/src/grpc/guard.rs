//! What every gRPC call goes through first: metadata that may refuse it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use holdfast_proto::error::EtcdError;
use tonic::Status;

use crate::member::Member;

/// The state of [`Guard::check`].
#[derive(Clone)]
pub(super) struct Guard(Member);

impl Guard {
    /// A guard for a member's services.
    pub(super) fn new(member: Member) -> Self {
        Self(member)
    }

    /// Refuses a call that asks for a leader while none is known, and one whose API version is not text.
    pub(super) async fn check(State(guard): State<Self>, request: Request<Body>, next: Next) -> Response {
        match guard.refusal(request.headers()) {
            Some(error) => Status::from(error).into_http(),
            None => next.run(request).await,
        }
    }

    fn refusal(&self, headers: &http::HeaderMap) -> Option<EtcdError> {
        if headers.get("client-api-version").is_some_and(|version| version.to_str().is_err()) {
            return Some(EtcdError::InvalidClientAPIVersion);
        }
        let wants_leader = headers.get("hasleader").is_some_and(|value| value.as_bytes() == b"true");
        if wants_leader && self.0.status().leader == 0 {
            return Some(EtcdError::NoLeader);
        }
        None
    }
}
