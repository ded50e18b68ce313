//! One call with all its attempts. See the rules in the head of [`super`].

use std::time::Duration;

use holdfast_proto::{
    error::EtcdError,
    etcdserverpb::{AuthenticateRequest, auth_client::AuthClient},
    metadata::{CLIENT_API_VERSION, TOKEN},
    version::API_VERSION,
};
use prost::Message;
use tonic::{
    Code, Request, Response, Status,
    metadata::{AsciiMetadataValue, MetadataValue},
    transport::Channel,
};

use super::{Client, error::CallError, options::Credentials};
use crate::notice;

/// How often a call is sent at most.
const MAX_ATTEMPTS: usize = 100;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(25);

/// Whether a call may be sent again when its fate is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It only reads.
    Safe,
    /// It changes something.
    Unsafe,
}

/// A request with what every request carries.
pub(crate) fn request<Q>(message: Q, token: Option<&AsciiMetadataValue>) -> Request<Q> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(CLIENT_API_VERSION, MetadataValue::from_static(API_VERSION));
    if let Some(token) = token {
        request.metadata_mut().insert(TOKEN, token.clone());
    }
    request
}

impl Client {
    /// Sends a request by `send`, as often as the rules allow, within the time for a call.
    pub(crate) async fn call<Q, A>(
        &mut self,
        repeat: Repeat,
        message: Q,
        send: impl AsyncFn(Channel, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CallError>
    where
        Q: Message + Clone,
    {
        let size = message.encoded_len();
        if size > self.options.max_send_bytes {
            let message = format!(
                "trying to send message larger than max ({size} vs. {})",
                self.options.max_send_bytes
            );
            return Err(CallError::Other { code: Code::ResourceExhausted, message });
        }
        self.limited(async move |client| client.attempts(repeat, message, send).await).await
    }

    /// Runs `work` for at most the time of a call. When it is over and something stood in the way, says what
    /// on stderr: the error itself only tells that time is over.
    pub(crate) async fn limited<A>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<A, CallError>,
    ) -> Result<A, CallError> {
        self.obstacle = None;
        let outcome = match self.options.call_timeout {
            None => work(self).await,
            Some(limit) => tokio::time::timeout(limit, work(self)).await.unwrap_or(Err(CallError::Deadline)),
        };
        if let (Err(CallError::Deadline), Some(reason)) = (&outcome, self.obstacle.take()) {
            notice::warn("no server could be reached in time", "error", &reason);
        }
        outcome
    }

    /// A connection, made now if there is none.
    pub(crate) async fn channel(&mut self) -> Channel {
        loop {
            if let Some(channel) = &self.channel {
                return channel.clone();
            }
            match self.connector.connect().await {
                Ok(channel) => self.channel = Some(channel),
                Err(reason) => {
                    self.obstacle = Some(reason);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Gives the connection up; the next one goes to another endpoint if there is one.
    pub(crate) fn disconnect(&mut self) {
        self.channel = None;
        self.connector.prefer_next();
    }

    /// The token in use, if any.
    pub(crate) fn token(&self) -> Option<&AsciiMetadataValue> {
        self.token.as_ref()
    }

    async fn attempts<Q, A>(
        &mut self,
        repeat: Repeat,
        message: Q,
        send: impl AsyncFn(Channel, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CallError>
    where
        Q: Message + Clone,
    {
        let mut token_renewed = false;
        for attempt in 1.. {
            let channel = self.channel().await;
            let error = match send(channel, request(message.clone(), self.token.as_ref())).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => CallError::from(status),
            };
            if error == CallError::Server(EtcdError::InvalidAuthToken) && !token_renewed {
                token_renewed = true;
                self.reauthenticate().await?;
                continue;
            }
            if repeat == Repeat::Unsafe || !error.is_unavailable() || attempt == MAX_ATTEMPTS {
                return Err(error);
            }
            self.obstacle = Some(error.to_string());
            self.disconnect();
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("the last attempt returns its error")
    }

    /// Says who the caller is. A server without authentication accepts anybody.
    ///
    /// # Errors
    /// The server rejects the user or could not be reached in time.
    pub(crate) async fn authenticate(&mut self, credentials: Credentials) -> Result<(), CallError> {
        self.credentials = credentials;
        self.limited(Self::reauthenticate).await
    }

    /// Gets a new token.
    ///
    /// # Errors
    /// The server rejects the user.
    pub(crate) async fn reauthenticate(&mut self) -> Result<(), CallError> {
        let (user, password) = match &self.credentials {
            Credentials::None => return Ok(()),
            Credentials::Token(token) => {
                self.token = Some(token_value(token)?);
                return Ok(());
            }
            // Without a password nobody can be authenticated; the server then says that the user is missing.
            Credentials::Password { password, .. } if password.is_empty() => return Ok(()),
            Credentials::Password { user, password } => (user.clone(), password.clone()),
        };
        let message = AuthenticateRequest { name: user, password };
        loop {
            let channel = self.channel().await;
            match AuthClient::new(channel)
                .authenticate(request(message.clone(), None))
                .await
                .map_err(CallError::from)
            {
                Ok(response) => {
                    self.token = Some(token_value(&response.into_inner().token)?);
                    return Ok(());
                }
                Err(CallError::Server(EtcdError::AuthNotEnabled)) => return Ok(()),
                Err(error) if error.is_unavailable() => {
                    self.obstacle = Some(error.to_string());
                    self.disconnect();
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn token_value(token: &str) -> Result<AsciiMetadataValue, CallError> {
    token.parse().map_err(|_| CallError::Other {
        code: Code::Unauthenticated,
        message: "the token has characters that no header can carry".to_owned(),
    })
}
