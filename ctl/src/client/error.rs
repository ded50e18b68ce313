//! Why a call failed, in the words users know from etcd's client.

use std::error::Error as _;

use holdfast_proto::error::{EtcdError, code_name};
use tonic::{Code, Status};

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The time for the call is over; what stood in the way is told apart, on stderr.
    #[error("context deadline exceeded")]
    Deadline,
    /// The connection broke or could not be used.
    #[error("rpc error: code = Unavailable desc = {0}")]
    Transport(String),
    /// The server answered with an error that etcd knows. The text alone says it all.
    #[error("{}", .0.message())]
    Server(EtcdError),
    /// The server, or something on the way to it, answered with another error.
    #[error("rpc error: code = {} desc = {message}", code_name(*.code))]
    Other {
        /// The code of the status.
        code: Code,
        /// Its message.
        message: String,
    },
}

impl CallError {
    /// Whether another server, or the same one later, may well answer.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Server(error) => error.code() == Code::Unavailable,
            Self::Other { code, .. } => *code == Code::Unavailable,
            Self::Deadline => false,
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        if let Some(error) = EtcdError::from_message(status.message()) {
            return Self::Server(error);
        }
        if let Some(source) = status.source() {
            // No server said this: the library wraps what happened to the connection.
            return Self::Transport(innermost(source));
        }
        match status.code() {
            Code::DeadlineExceeded => Self::Deadline,
            code => Self::Other { code, message: status.message().to_owned() },
        }
    }
}

/// The message of the first cause, such as "Connection refused (os error 111)".
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_lose_their_wrapping_and_others_keep_it() {
        let shown = |status: Status| CallError::from(status).to_string();
        assert_eq!(shown(EtcdError::EmptyKey.into()), "etcdserver: key is not provided");
        assert_eq!(shown(Status::unimplemented("no")), "rpc error: code = Unimplemented desc = no");
        assert_eq!(shown(Status::deadline_exceeded("x")), "context deadline exceeded");
    }

    #[test]
    fn only_unavailable_servers_are_worth_another_try() {
        assert!(CallError::from(Status::from(EtcdError::NoLeader)).is_unavailable());
        assert!(CallError::from(Status::unavailable("x")).is_unavailable());
        assert!(!CallError::from(Status::from(EtcdError::EmptyKey)).is_unavailable());
        assert!(!CallError::Deadline.is_unavailable());
    }
}
