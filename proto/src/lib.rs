//! The wire contract: etcd's v3 messages and services, its error table, its limits.
