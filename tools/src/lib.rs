//! The offline CLI and the load generator.
