//! Talks to the cluster: one connection at a time, to whichever endpoint answers.
//!
//! The rules are those of etcd's own client, seen from outside:
//! 1. The endpoints are tried in order, the next one a moment after the one before it; the first that accepts
//!    is used.
//! 2. While none accepts, all are tried again until the call's time is over.
//! 3. A call that only reads is repeated, at another endpoint if there is one, when a server says it is
//!    unavailable. A call that writes is not: nobody knows whether the first attempt was done.
//! 4. A call that is refused for an invalid token is repeated once with a new token.

pub(crate) mod address;
mod api;
mod call;
mod connect;
pub(crate) mod error;
pub(crate) mod options;
mod stream;

use tonic::{metadata::AsciiMetadataValue, transport::Channel};

use connect::Connector;
use options::{Credentials, Options};

/// A client of one cluster.
#[derive(Debug)]
pub(crate) struct Client {
    options: Options,
    connector: Connector,
    channel: Option<Channel>,
    credentials: Credentials,
    token: Option<AsciiMetadataValue>,
    /// What stood in the way of the last attempt.
    obstacle: Option<String>,
}

impl Client {
    /// A client that connects when it is first needed.
    pub(crate) fn new(options: Options) -> Self {
        let connector = Connector::new(&options);
        Self {
            options,
            connector,
            channel: None,
            credentials: Credentials::None,
            token: None,
            obstacle: None,
        }
    }

    /// The same client for a single endpoint, with a connection and a fate of its own.
    pub(crate) fn only(&self, endpoint: &address::Address) -> Self {
        let options = Options { endpoints: vec![endpoint.clone()], ..self.options.clone() };
        Self { credentials: self.credentials.clone(), token: self.token.clone(), ..Self::new(options) }
    }

    /// The endpoints in use.
    pub(crate) fn endpoints(&self) -> &[address::Address] {
        &self.options.endpoints
    }

    /// Lets calls take as long as they need.
    pub(crate) fn without_timeout(&mut self) {
        self.options.call_timeout = None;
    }
}
