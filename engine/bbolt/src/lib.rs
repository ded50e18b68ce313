//! Reader and writer of etcd's own database file (bbolt, format version 2).
