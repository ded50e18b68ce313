//! gRPC on bare HTTP/2: what a load generator needs of it, and no more.
//!
//! A call is one HTTP/2 stream: a header block built once per connection and method, one data frame (five bytes
//! of prefix, then the message), and the answer's headers, data and trailers. The usual client stack adds
//! buffers, body adapters, interceptors and channel queues to that, several microseconds of CPU for each
//! request, which a generator would have to take from the load it offers.
//!
//! [`Connection`] dials and, after a break, dials again; a [`Caller`] is one client's handle on a connection
//! and has one call at a time; [`Stream`] is a call that stays open in both directions. [`Frames`] lays messages
//! out; [`Messages`] takes them apart; [`CallError`] tells failures in Go's words.

mod connection;
mod error;
mod frame;
mod stream;

pub(crate) use connection::{Caller, Connection, Dial, DialError, Keep, Reply, Route};
pub(crate) use error::CallError;
pub(crate) use frame::{Frames, Messages};
pub(crate) use stream::Stream;
