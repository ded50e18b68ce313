//! The offline CLI and the load generator.

pub mod bench;
