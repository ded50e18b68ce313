//! Errors that tonic makes by itself, given the words of Go's gRPC library.
//!
//! Clients and tests know `grpc: received message larger than max` and `unknown service`; tonic says the same in other words
//! and partly with other codes. An error is in the headers when nothing was sent before it, otherwise in the trailers; both
//! pass through [`translate`].

use http::HeaderMap;
use http::header::HeaderValue;
use tonic::{Code, Status};

use crate::metrics::methods::{is_service, split_path};

/// The beginning of tonic's text for a message above the limit; the two numbers follow.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";
/// The beginning of tonic's text for a message that is above the limit once it is decompressed; the limit follows.
const TOO_LARGE_INSIDE: &str = "Error decompressing: size limit, of ";
/// The beginning of prost's text for bytes that are no message.
const UNDECODABLE: &str = "failed to decode Protobuf message: ";

/// Looks at the status in headers or trailers; rewrites it when it is tonic's own. Returns the code that is there then.
pub(super) fn translate(path: &str, headers: &mut HeaderMap) -> Option<Code> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    if !matches!(code, Code::OutOfRange | Code::ResourceExhausted | Code::Internal | Code::Unimplemented) {
        return Some(code);
    }
    let status = Status::from_header_map(headers)?;
    let Some(status) = translated(path, code, status.message()) else { return Some(code) };
    headers.remove("grpc-message");
    headers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    let mut encoded = HeaderMap::new();
    if status.add_header(&mut encoded).is_ok()
        && let Some(message) = encoded.remove("grpc-message")
    {
        headers.insert("grpc-message", message);
    }
    Some(status.code())
}

fn translated(path: &str, code: Code, message: &str) -> Option<Status> {
    match code {
        Code::OutOfRange => {
            let (found, limit) = message.strip_prefix(TOO_LARGE)?.split_once(" bytes, the limit is: ")?;
            let limit = limit.strip_suffix(" bytes").unwrap_or(limit);
            let text = format!("grpc: received message larger than max ({found} vs. {limit})");
            Some(Status::resource_exhausted(text))
        }
        Code::ResourceExhausted => {
            let (limit, _) = message.strip_prefix(TOO_LARGE_INSIDE)?.split_once(" bytes")?;
            let text = format!("grpc: received message after decompression larger than max {limit}");
            Some(Status::resource_exhausted(text))
        }
        Code::Internal => {
            let why = message.strip_prefix(UNDECODABLE)?;
            Some(Status::internal(format!("grpc: error unmarshalling request: {why}")))
        }
        Code::Unimplemented if message.is_empty() => Some(Status::unimplemented(unknown(path))),
        _ => None,
    }
}

/// What Go says to a path that nobody serves.
fn unknown(path: &str) -> String {
    match split_path(path) {
        None => format!("malformed method name: {path:?}"),
        Some((service, method)) if is_service(service) => {
            format!("unknown method {method} for service {service}")
        }
        Some((service, _)) => format!("unknown service {service}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(path: &str, status: &Status) -> (Code, String) {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let code = translate(path, &mut headers).unwrap();
        let after = Status::from_header_map(&headers).unwrap();
        assert_eq!(after.code(), code);
        (code, after.message().to_owned())
    }

    #[test]
    fn tonics_own_errors_get_gos_words() {
        let put = "/etcdserverpb.KV/Put";
        for (path, status, code, text) in [
            (
                put,
                Status::out_of_range(
                    "Error, decoded message length too large: found 3145738 bytes, the limit is: 2097152 bytes",
                ),
                Code::ResourceExhausted,
                "grpc: received message larger than max (3145738 vs. 2097152)",
            ),
            (
                put,
                Status::resource_exhausted(
                    "Error decompressing: size limit, of 2097152 bytes, exceeded while decompressing message",
                ),
                Code::ResourceExhausted,
                "grpc: received message after decompression larger than max 2097152",
            ),
            (
                put,
                Status::internal("failed to decode Protobuf message: PutRequest.key: invalid wire type"),
                Code::Internal,
                "grpc: error unmarshalling request: PutRequest.key: invalid wire type",
            ),
            (
                "/etcdserverpb.KV/Nope",
                Status::unimplemented(""),
                Code::Unimplemented,
                "unknown method Nope for service etcdserverpb.KV",
            ),
            ("/a.B/C", Status::unimplemented(""), Code::Unimplemented, "unknown service a.B"),
            ("/a.B", Status::unimplemented(""), Code::Unimplemented, "malformed method name: \"/a.B\""),
        ] {
            assert_eq!(through(path, &status), (code, text.to_owned()));
        }
    }

    #[test]
    fn our_own_errors_stay() {
        for status in [
            Status::out_of_range("etcdserver: mvcc: required revision has been compacted"),
            Status::resource_exhausted("etcdserver: mvcc: database space exceeded"),
            Status::internal("broken"),
            Status::unimplemented("not yet"),
            Status::ok(""),
        ] {
            assert_eq!(through("/a.B/C", &status), (status.code(), status.message().to_owned()));
        }
        assert_eq!(translate("/a.B/C", &mut HeaderMap::new()), None);
    }
}
