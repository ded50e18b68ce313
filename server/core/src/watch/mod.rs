//! Watches: who follows which keys, how far everyone is, and what each is sent next.
//!
//! The [`Hub`] is a state machine without clock, thread or channel. It is told of new revisions, of what clients ask on
//! their streams, of time that passes; it puts [`Response`]s into the [`Outlet`] of each stream.
//!
//! A watcher is in one of four states:
//!
//! ```text
//!            ┌────────── caught up ──────────┐
//!            ▼                               │
//!         synced ── no room, or lost ──► ready ◄── room ── parked
//!     (in the index:                   (a cursor that      (a cursor whose
//!      gets new revisions)              catches up)         stream is full)
//!                                            │
//!                                            └── overtaken by compaction ──► ended
//! ```
//!
//! - A *synced* watcher has been given everything up to the hub's revision. It stands in an index by key, so that a new
//!   revision costs what it hits, not what exists.
//! - A *ready* watcher is no more than the revision that it wants next. One step of [`Hub::catch_up`] takes the one that
//!   has waited longest, reads a bounded piece of history from the store, and serves all whose cursor lies inside it.
//! - A *parked* watcher waits until its client has read something. Nothing is kept for it: a stream holds a bounded number
//!   of responses and bytes, and what does not fit is read from the store again.
//! - An *ended* watcher was overtaken by compaction and has been told so; only its identifier remains until the client
//!   cancels it.
//!
//! The order of delivery is right by one number for each watcher, `next`: the first revision that it has not been given.
//! Every response to it is made at `next` or later, and moves it. So nothing can come twice, whichever of the two ways it
//! comes, and nothing can be left out, since a watcher leaves the index with its `next` and comes back only when that
//! lies above the hub's revision.
//!
//! | file | what |
//! | --- | --- |
//! | `hub.rs` | streams and watchers: open, create, cancel, close |
//! | `states.rs` | the four states and the ways between them |
//! | `dispatch.rs` | new revisions to synced watchers |
//! | `catch_up.rs` | history to ready watchers |
//! | `progress.rs` | how far a watcher or stream is, on request and from time to time |
//! | `index.rs`, `interval.rs` | watchers by key and by range |
//! | `ready.rs`, `slab.rs`, `range.rs` | the queue of cursors; storage with stable keys; ranges of keys |
//! | `event.rs`, `response.rs` | the wire form: each event is encoded once, for all |
//! | `outlet.rs`, `reader.rs` | what the hub needs of the outside |

mod catch_up;
mod dispatch;
mod event;
mod hub;
mod index;
mod interval;
mod outlet;
mod progress;
mod range;
mod reader;
mod ready;
mod response;
mod slab;
mod states;

#[cfg(test)]
mod tests;

pub use hub::{Hub, HubStats, Limits, StreamId};
pub use outlet::{Load, Outlet};
pub use range::{EmptyRange, WatchRange};
pub use reader::Reader;
pub use response::{Identity, Response, What};
