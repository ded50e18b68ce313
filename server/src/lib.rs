//! The server: threads, sockets, gRPC and HTTP services, flags and logs around the core.

pub mod config;
pub mod logging;
pub mod version;
