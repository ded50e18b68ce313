//! The sans-I/O core: raft node, apply, leases, watches, membership.
