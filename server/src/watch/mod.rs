//! Watches on threads and sockets: the [`Hub`](holdfast_core::watch::Hub) of the core, fed and drained.
//!
//! ```text
//! apply thread ── changes ──► inbox ──► hub thread ── responses ──► pipe ──► body of the HTTP/2 response
//!                               ▲                                    │
//! request reader ── asks ───────┤                                    │
//!                               └───────────── room ─────────────────┘
//! ```
//!
//! Nobody waits for a client. Applying never waits for the hub: what it has no room for is forgotten, and found in the store
//! again. The hub never waits for a stream: what a pipe has no room for is not made. A stream's request reader does wait,
//! until the answers to earlier requests have been taken, so that a client that only asks and never reads stops being heard.
//! So a client that stops reading holds a bounded number of bytes: what its pipe may hold, one chunk in the body, and what
//! HTTP/2's flow control lets out of it.
//!
//! | file | what |
//! | --- | --- |
//! | `inbox.rs` | what waits for the hub thread |
//! | `hub_thread.rs` | the thread |
//! | `pipe.rs` | what waits for one client |
//! | `handle.rs` | opening streams, from a service or from inside the process |
//! | `service.rs`, `requests.rs`, `body.rs` | the gRPC method: its request stream and its response stream |
//! | `permission.rs` | who may watch what |

mod body;
mod handle;
mod hub_thread;
mod inbox;
mod permission;
mod pipe;
mod requests;
mod service;

#[cfg(test)]
mod tests;

use holdfast_core::watch::Identity;
use holdfast_engine::mvcc::{MvccError, View};

use crate::member::Member;

pub use handle::{Asks, Responses, WatchHandle};
pub use hub_thread::{Settings, start};
pub use inbox::Feed;
pub use service::{PATH, WatchService};

/// What watches need of the member that they belong to.
pub trait Host: Send + Sync + 'static {
    /// The published state.
    ///
    /// # Errors
    /// It cannot be read.
    fn view(&self) -> Result<View, MvccError>;

    /// Who answers, in which term.
    fn identity(&self) -> Identity;

    /// Whether a leader is known.
    fn has_leader(&self) -> bool;

    /// The store cannot be read: the member must stop.
    fn store_failed(&self, error: MvccError);
}

impl Host for Member {
    fn view(&self) -> Result<View, MvccError> {
        self.store().view()
    }

    fn identity(&self) -> Identity {
        let header = self.header_at(0);
        Identity { cluster_id: header.cluster_id, member_id: header.member_id, raft_term: header.raft_term }
    }

    fn has_leader(&self) -> bool {
        self.status().leader != 0
    }

    fn store_failed(&self, error: MvccError) {
        // The status that it makes of the error is for a client; here there is none.
        drop(Member::store_failed(self, error));
    }
}
