//! HTTP beside gRPC: `/version`, `/health`, `/livez`, `/readyz`, `/metrics` for clients, and what peers ask for.
//!
//! Bodies, headers and status codes are etcd's, which are those of Go's `net/http`: a plain-text error has a line break at its
//! end and `nosniff`, a wrong method names the right one in `Allow`. The handlers see the member only through
//! [`HealthSource`] and [`PeerSource`].

mod access;
mod answer;
mod checks;
mod client;
mod health;
mod peer;
mod source;
#[cfg(test)]
mod tests;

pub use self::access::Access;
pub use self::client::{ClientHttp, metrics_router};
pub use self::peer::peer_router;
pub use self::source::{HealthSource, PeerSource};
