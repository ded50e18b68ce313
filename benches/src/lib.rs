//! Criterion benches, and the side-by-side harness against real etcd.
