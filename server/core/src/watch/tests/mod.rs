//! Tests of the hub as a whole, on a real store in memory; those of single parts stand beside them.

#![allow(clippy::unwrap_used)]

mod client;
mod compaction;
mod golden;
mod progress;
mod random;
mod slow;
mod world;

use world::{Ask, World};
