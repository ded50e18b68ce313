//! Consensus: raft-rs wrapped so that it behaves as the members of an etcd cluster expect.
//!
//! [`Node`] is the state machine. It is fed proposals, peer messages, ticks and completions and gives back, through
//! [`Node::collect`], what has to happen next: a batch for the log, messages, committed entries, finished read-index
//! rounds. Readies are asynchronous: the next batch is accepted while the last is being synced, and what may only
//! leave after a sync (votes, append responses) is held back here until the shell reports the batch as durable.

mod confchange;
mod log;
mod node;
mod reads;
mod settings;

#[cfg(test)]
mod tests;

pub use confchange::{ConfChange, ConfChangeContext, ConfChangeError, ConfChangeKind, decode_conf_change};
pub use log::LogView;
pub use node::{Collected, Committed, CommittedKind, Leadership, LogBatch, Node, NodeError, Role};
pub use reads::{ReadRound, ReadRounds};
pub use settings::Settings;
