//! The load generator: the subcommands, flags and report of etcd's `benchmark`, on a client lean enough to
//! saturate a server from one core.
//!
//! # How it is built
//!
//! Everything runs on one thread, on a current-thread runtime: a generator that shares its core with nothing
//! else needs no locks, and its own cost per request is what bounds the load that it can offer. Below the
//! workloads there is no gRPC stack but HTTP/2 itself ([`wire`]): a request is one pre-built header block and
//! one frame of prost bytes. Clients are tasks; those that share a connection find their answers in the same
//! read and leave their next requests in the same write.
//!
//! * [`flags`]: the command line. * [`keys`]: which keys are used. * [`wire`]: connections and calls.
//! * [`workload`]: one module for each subcommand. * [`load`]: the loop that all of them share.
//! * [`pace`]: `--rate`. * [`report`]: what is printed. * [`process`]: CPU and memory of the servers.
//!
//! # What goes beyond etcd's tool
//!
//! `--server-pid` prints what a request cost the server in CPU time, and how its resident memory splits into
//! anonymous and file pages; `--json` prints the report for programs; `range --random-keys` reads keys that
//! `put` wrote; `first-read` waits for the first linearizable read of a server that is starting.

mod flags;
mod keys;
mod load;
mod pace;
mod process;
mod progress;
mod report;
mod wire;
mod workload;

mod run;

pub use run::main;
