//! The metadata keys a client may send along with a call, and how they are read.
//!
//! Only the first value of a key counts. The server sends no metadata of its own.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::error::EtcdError;

/// The token of an authenticated caller. Goes before [`AUTHORIZATION`].
pub const TOKEN: &str = "token";

/// The token again, where [`TOKEN`] is missing: HTTP headers of the JSON gateway arrive under this name.
pub const AUTHORIZATION: &str = "authorization";

/// A prefix of the token that is cut off when it is there. Accepted since 3.5.32, 3.6.13 and 3.7.0.
pub const BEARER_PREFIX: &str = "Bearer ";

/// The call shall fail, and a stream shall end, when the member knows no leader; holds if the value is
/// [`HAS_LEADER_TRUE`].
pub const HAS_LEADER: &str = "hasleader";

/// The value that puts [`HAS_LEADER`] in force. Nothing else does.
pub const HAS_LEADER_TRUE: &str = "true";

/// Version of the client as major.minor; becomes a label of the request counters.
pub const CLIENT_API_VERSION: &str = "client-api-version";

/// The label for clients that do not tell their version.
pub const UNKNOWN_CLIENT_API_VERSION: &str = "unknown";

/// The JSON gateway puts this before the names of ordinary HTTP headers that it passes on.
pub const GATEWAY_PREFIX: &str = "grpcgateway-";

/// Its presence shows that a call came through the JSON gateway. The certificate is then the gateway's and says nothing
/// about the caller.
pub const GATEWAY_ACCEPT: &str = "grpcgateway-accept";

/// The caller's address, added by the JSON gateway. Not looked at.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// The host the caller asked for, added by the JSON gateway. Not looked at.
pub const FORWARDED_HOST: &str = "x-forwarded-host";

/// The caller's token without the bearer prefix, or none when no token was sent. An empty token is a token, and an
/// invalid one.
pub fn auth_token(metadata: &MetadataMap) -> Option<&[u8]> {
    let value = first(metadata, TOKEN).or_else(|| first(metadata, AUTHORIZATION))?.as_bytes();
    Some(value.strip_prefix(BEARER_PREFIX.as_bytes()).unwrap_or(value))
}

/// Whether the caller insists on a leader.
pub fn requires_leader(metadata: &MetadataMap) -> bool {
    first(metadata, HAS_LEADER).is_some_and(|value| value.as_bytes() == HAS_LEADER_TRUE.as_bytes())
}

/// The version the client tells, or [`UNKNOWN_CLIENT_API_VERSION`].
///
/// # Errors
/// [`EtcdError::InvalidClientAPIVersion`] when it is no UTF-8.
pub fn client_api_version(metadata: &MetadataMap) -> Result<&str, EtcdError> {
    match first(metadata, CLIENT_API_VERSION) {
        Some(value) => std::str::from_utf8(value.as_bytes()).map_err(|_| EtcdError::InvalidClientAPIVersion),
        None => Ok(UNKNOWN_CLIENT_API_VERSION),
    }
}

/// Whether the call came through the JSON gateway.
pub fn came_through_gateway(metadata: &MetadataMap) -> bool {
    metadata.contains_key(GATEWAY_ACCEPT)
}

/// The first value of a key; keys with several values keep them in the order they were sent.
fn first<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a MetadataValue<Ascii>> {
    metadata.get(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for (key, value) in pairs {
            metadata.append(*key, value.parse().unwrap());
        }
        metadata
    }

    #[test]
    fn token_goes_before_authorization() {
        assert_eq!(auth_token(&with(&[])), None);
        assert_eq!(auth_token(&with(&[(AUTHORIZATION, "b"), (TOKEN, "a")])), Some(&b"a"[..]));
        assert_eq!(auth_token(&with(&[(AUTHORIZATION, "b")])), Some(&b"b"[..]));
        assert_eq!(auth_token(&with(&[(TOKEN, ""), (AUTHORIZATION, "b")])), Some(&b""[..]));
    }

    #[test]
    fn only_the_first_token_counts_and_loses_its_prefix_once() {
        assert_eq!(auth_token(&with(&[(TOKEN, "a.1"), (TOKEN, "b.2")])), Some(&b"a.1"[..]));
        assert_eq!(auth_token(&with(&[(AUTHORIZATION, "Bearer a.1")])), Some(&b"a.1"[..]));
        assert_eq!(auth_token(&with(&[(TOKEN, "Bearer a.1")])), Some(&b"a.1"[..]));
        assert_eq!(auth_token(&with(&[(TOKEN, "Bearer Bearer a")])), Some(&b"Bearer a"[..]));
        assert_eq!(auth_token(&with(&[(TOKEN, "bearer a")])), Some(&b"bearer a"[..]));
    }

    #[test]
    fn a_leader_is_required_by_the_first_value_only() {
        assert!(requires_leader(&with(&[(HAS_LEADER, "true")])));
        assert!(requires_leader(&with(&[(HAS_LEADER, "true"), (HAS_LEADER, "false")])));
        assert!(!requires_leader(&with(&[(HAS_LEADER, "false"), (HAS_LEADER, "true")])));
        assert!(!requires_leader(&with(&[(HAS_LEADER, "True")])));
        assert!(!requires_leader(&with(&[])));
    }

    #[test]
    fn a_client_version_must_be_text() {
        assert_eq!(client_api_version(&with(&[])), Ok("unknown"));
        assert_eq!(client_api_version(&with(&[(CLIENT_API_VERSION, "3.7")])), Ok("3.7"));
        let mut metadata = MetadataMap::new();
        metadata.insert(CLIENT_API_VERSION, MetadataValue::try_from(&b"3.\xff"[..]).unwrap());
        assert_eq!(client_api_version(&metadata), Err(EtcdError::InvalidClientAPIVersion));
    }

    #[test]
    fn the_gateway_shows() {
        assert!(came_through_gateway(&with(&[(GATEWAY_ACCEPT, "*/*")])));
        assert!(!came_through_gateway(&with(&[(TOKEN, "a")])));
        assert!(GATEWAY_ACCEPT.starts_with(GATEWAY_PREFIX));
    }
}
