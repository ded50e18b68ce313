//! Failures of a call, in the words of Go's client, by which reports count them.

use std::fmt;

use holdfast_proto::error::EtcdError;
use http::HeaderMap;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The server answered with a status other than OK.
    Status {
        /// gRPC status code.
        code: u32,
        /// The server's text.
        message: String,
    },
    /// The stream broke, but not its connection.
    Stream(String),
    /// The connection broke or could not be made.
    Connection(String),
    /// The answer is not gRPC, or not the message expected.
    Malformed(String),
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    /// Errors of etcd's own table are told by their text alone, all others as `rpc error: code = … desc = …`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, text) = match self {
            Self::Status { message, .. } if EtcdError::from_message(message).is_some() => {
                return formatter.write_str(message);
            }
            Self::Status { code, message } => (code_name(*code), message),
            Self::Connection(text) => ("Unavailable", text),
            Self::Stream(text) | Self::Malformed(text) => ("Internal", text),
        };
        match code {
            "" => write!(formatter, "rpc error: code = Code({}) desc = {text}", self.number()),
            name => write!(formatter, "rpc error: code = {name} desc = {text}"),
        }
    }
}

impl CallError {
    fn number(&self) -> u32 {
        match self {
            Self::Status { code, .. } => *code,
            Self::Connection(_) => 14,
            Self::Stream(_) | Self::Malformed(_) => 13,
        }
    }

    /// What `error` of a stream means: whether its connection has gone too.
    pub(super) fn from_h2(error: &h2::Error) -> Self {
        if error.is_io() || error.is_go_away() {
            Self::Connection(format!("connection error: desc = \"{error}\""))
        } else {
            Self::Stream(format!("stream terminated: {error}"))
        }
    }

    /// Reads the status in `headers`: the trailers, or the headers of an answer without a body.
    pub(super) fn check(headers: &HeaderMap) -> Result<(), Self> {
        let Some(status) = headers.get("grpc-status") else {
            return Err(Self::Malformed("the answer ends without grpc-status".to_owned()));
        };
        if status == "0" {
            return Ok(());
        }
        let code = status.to_str().ok().and_then(|text| text.parse().ok());
        let message =
            headers.get("grpc-message").map_or_else(String::new, |text| percent_decode(text.as_bytes()));
        Err(Self::Status { code: code.unwrap_or(2), message })
    }
}

/// Go's name of a status code; empty for a code that it does not know.
fn code_name(code: u32) -> &'static str {
    match i32::try_from(code) {
        Ok(number @ 0..=16) => holdfast_proto::error::code_name(tonic::Code::from_i32(number)),
        _ => "",
    }
}

/// Undoes the percent encoding of `grpc-message`; what is not an escape stays as it is.
fn percent_decode(text: &[u8]) -> String {
    let hex = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trailers(status: &str, message: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", status.parse().unwrap());
        if let Some(message) = message {
            headers.insert("grpc-message", message.parse().unwrap());
        }
        headers
    }

    #[test]
    fn errors_are_told_in_gos_words() {
        let text = |status, message| CallError::check(&trailers(status, message)).unwrap_err().to_string();
        assert_eq!(text("14", Some("a%20b%")), "rpc error: code = Unavailable desc = a b%");
        assert_eq!(text("99", None), "rpc error: code = Code(99) desc = ");
        assert_eq!(text("x", None), "rpc error: code = Unknown desc = ");
        assert_eq!(text("14", Some("etcdserver: request timed out")), "etcdserver: request timed out");
        assert!(CallError::check(&trailers("0", None)).is_ok());
        assert!(CallError::check(&HeaderMap::new()).is_err());
    }
}
