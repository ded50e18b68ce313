//! Benches: the server beside real etcd (feature `servers`), the engine beside other embedded stores (feature `engines`).

#[cfg(any(feature = "engines", feature = "servers"))]
mod common;
#[cfg(feature = "engines")]
pub mod engines;
#[cfg(feature = "servers")]
pub mod side_by_side;
