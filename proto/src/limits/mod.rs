//! Limits and defaults that clients, peers and operators rely on.
//!
//! They are etcd's. Each constant says why it is what it is and what breaks if it changes; the ones that a flag
//! overrides name the flag. Units stand last in the names. Where one follows from others, the relation is checked at
//! compile time.

mod sizes;
mod times;

pub use sizes::*;
pub use times::*;
