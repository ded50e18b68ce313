//! Benches of the whole system: the side-by-side harness against real etcd.

pub mod side_by_side;
