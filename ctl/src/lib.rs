//! The client CLI: etcdctl's commands, flags and output.
