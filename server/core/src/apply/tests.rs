//! Tests of apply over a real store.
