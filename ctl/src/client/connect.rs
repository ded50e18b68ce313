//! Finds an endpoint that accepts a connection.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tonic::transport::{Channel, Endpoint};

use super::{address::Address, error::innermost, options::Options};

/// Head start of an endpoint before the next one is tried as well. A connection in one data centre takes far
/// less; a server that has lost its power, whose packets go nowhere, costs no more than this.
const HEAD_START: Duration = Duration::from_millis(100);

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    endpoints: Vec<Address>,
    dial_timeout: Duration,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
    /// The endpoint to begin with.
    first: usize,
}

impl Connector {
    /// A connector for the endpoints of `options`.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            endpoints: options.endpoints.clone(),
            dial_timeout: options.dial_timeout,
            keepalive_interval: options.keepalive_interval,
            keepalive_timeout: options.keepalive_timeout,
            first: 0,
        }
    }

    /// Tries every endpoint once, and returns the first connection that comes about.
    ///
    /// # Errors
    /// All of them failed; the reason is that of the last.
    pub(crate) async fn connect(&mut self) -> Result<Channel, String> {
        let count = self.endpoints.len();
        let mut waiting = (0..count).map(|offset| (self.first + offset) % count).peekable();
        let mut attempts = FuturesUnordered::new();
        let mut failure = "no endpoint given".to_owned();
        loop {
            if let Some(index) = waiting.next() {
                attempts.push(self.dial(index));
            }
            let others_wait = waiting.peek().is_some();
            tokio::select! {
                attempt = attempts.next() => match attempt {
                    Some(Ok((index, channel))) => {
                        drop(attempts);
                        self.first = index;
                        return Ok(channel);
                    }
                    Some(Err(reason)) => failure = reason,
                    None => return Err(failure),
                },
                () = tokio::time::sleep(HEAD_START), if others_wait => {}
            }
        }
    }

    /// Begins with the next endpoint from now on, because the current one did not serve well.
    pub(crate) fn prefer_next(&mut self) {
        self.first = (self.first + 1) % self.endpoints.len().max(1);
    }

    async fn dial(&self, index: usize) -> Result<(usize, Channel), String> {
        let address = &self.endpoints[index];
        if !address.has_port() {
            return Err(format!("{address}: the endpoint has no port"));
        }
        let endpoint = Endpoint::from_shared(address.uri())
            .map_err(|error| format!("{address}: {}", innermost(&error)))?;
        let endpoint = endpoint
            .connect_timeout(self.dial_timeout)
            .http2_keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout);
        match tokio::time::timeout(self.dial_timeout, endpoint.connect()).await {
            Ok(Ok(channel)) => Ok((index, channel)),
            Ok(Err(error)) => Err(format!("{address}: {}", innermost(&error))),
            Err(_) => Err(format!("{address}: no connection within the dial timeout")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::TcpListener;

    use super::*;

    fn connector(endpoints: &[&str]) -> Connector {
        Connector {
            endpoints: endpoints.iter().map(|text| Address::parse(text)).collect(),
            dial_timeout: Duration::from_millis(500),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(6),
            first: 0,
        }
    }

    /// A port nobody listens at: it was free a moment ago.
    async fn closed_port() -> String {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
    }

    #[tokio::test]
    async fn the_first_endpoint_that_accepts_is_used_and_remembered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().to_string();
        let closed = closed_port().await;
        let mut connector = connector(&["nonsense", &closed, &open]);
        connector.connect().await.unwrap();
        assert_eq!(connector.first, 2);
        connector.prefer_next();
        assert_eq!(connector.first, 0);
    }

    #[tokio::test]
    async fn a_failure_names_endpoint_and_reason() {
        let closed = closed_port().await;
        let reason = connector(&[&closed]).connect().await.unwrap_err();
        assert!(reason.starts_with(&closed) && reason.contains("refused"), "{reason}");
        assert_eq!(connector(&["foo"]).connect().await.unwrap_err(), "foo: the endpoint has no port");
    }
}
