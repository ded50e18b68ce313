//! The storage engine: a copy-on-write B+tree in one mapped file, and the revision-keyed MVCC store on it.
