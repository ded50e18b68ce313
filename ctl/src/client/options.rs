//! What a client is made from.

use std::time::Duration;

use super::address::Address;

/// Settings of a client.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The servers, in order of preference; at least one.
    pub(crate) endpoints: Vec<Address>,
    /// Longest time for one attempt to connect.
    pub(crate) dial_timeout: Duration,
    /// Longest time for one call with all its attempts; none: no limit.
    pub(crate) call_timeout: Option<Duration>,
    /// Pause between two probes of a connection in use.
    pub(crate) keepalive_interval: Duration,
    /// Longest time to wait for the answer to a probe.
    pub(crate) keepalive_timeout: Duration,
    /// Largest request, in bytes.
    pub(crate) max_send_bytes: usize,
    /// Largest answer, in bytes.
    pub(crate) max_receive_bytes: usize,
}

/// Who the caller says to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Nobody.
    None,
    /// A user, who gets a token for the password.
    Password {
        /// The name of the user.
        user: String,
        /// Its password.
        password: String,
    },
    /// The bearer of a token made elsewhere.
    Token(String),
}
