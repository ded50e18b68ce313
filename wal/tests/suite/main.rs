//! The log from outside: against a model, over crashes, with damage and faults, and on real files.
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod faults;
mod files;
mod model;
mod support;
mod threads;
