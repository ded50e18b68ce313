//! Holdfast and real etcd under the same load, one after the other, on the same machine.
//!
//! # How a figure comes about
//!
//! Two cores: the server has one for itself, the generator (`holdfast-bench`) the other. Each round starts
//! each server with an empty directory, on the same disk, and puts the same phases on it: writes, linearizable
//! and serializable reads by a thousand clients, writes of a lone client, writes at half the rate of the first
//! phase. The order of the servers alternates from round to round, and a figure is the median of the rounds, so
//! that a machine that slows down or speeds up does not favour one of them. The floor of the transport (an empty
//! handler) is measured in the same rounds. Then, once for each server, a million keys are loaded and what they
//! cost in memory, on disk and at a restart after `kill -9` is recorded.
//!
//! * [`options`]: the command line. * [`programs`]: what is built and installed. * [`cores`]: pinning.
//! * [`server`]: the servers under load. * [`generator`]: runs of `holdfast-bench`. * [`rounds`]: the phases.
//! * [`figures`]: what was measured. * [`table`]: Markdown.

mod cores;
mod figures;
mod generator;
mod options;
mod programs;
mod rounds;
mod run;
mod server;
mod table;

pub use run::main;
