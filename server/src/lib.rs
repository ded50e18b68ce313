//! The server: threads, sockets, gRPC and HTTP services, flags and logs around the core.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod grpc;
pub mod http;
pub mod listen;
pub mod logging;
pub mod member;
pub mod metrics;
pub mod node;
pub mod start;
pub mod version;
pub mod watch;
