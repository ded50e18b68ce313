//! Listeners: sockets, and gRPC and HTTP on one port.
//!
//! [`bind`] opens the sockets of URLs, [`accept`] takes connections from them, [`connection`] speaks HTTP/1.1 or HTTP/2 on each,
//! and [`front`] decides per request whether it is gRPC or plain HTTP. On the gRPC side [`count`] keeps the metrics and
//! [`framework`] gives tonic's own errors the words of Go's library, which clients know.

mod accept;
mod bind;
mod connection;
mod count;
mod framework;
mod front;
mod messages;
mod socket;
#[cfg(test)]
mod tests;

pub use self::accept::Server;
pub use self::bind::{BindError, Listener, bind};
pub use self::connection::Settings;
pub use self::count::{GrpcRequestBody, GrpcService};
pub use self::front::{Front, HttpService};
