//! The log: block-aligned groups in recycled segments, one thread, group commit.
