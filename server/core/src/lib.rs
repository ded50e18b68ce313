//! The sans-I/O core: everything that decides.
//!
//! The raft node, apply, leases, watches and membership are state machines here: they take inputs (a proposal, a
//! message, a tick, a completed write) and return outputs (bytes to append, messages, replies). Nothing in this crate
//! reads a clock, opens a file or a socket, starts a thread or draws a random number, so that a whole cluster can run
//! in one thread on virtual time from one seed. The threads and sockets around it stand in `holdfast-server`.

pub mod apply;
pub mod ids;
pub mod lease;
pub mod membership;
pub mod raft;
pub mod watch;
