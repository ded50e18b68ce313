//! Our engine beside other embedded stores: the same keys, values and phases, one table from one run.
//!
//! # How a figure comes about
//!
//! Each contender runs in a process of its own, which keeps its database open and waits for the name of a phase on its
//! standard input; its answer is one line of figures. The parent runs one phase on one contender after the other before
//! it goes on to the next phase, and stops (`SIGSTOP`) those whose turn it is not, so that nobody's background threads
//! stand in another's figures. A round begins with empty folders; the order of the contenders alternates from round to
//! round; a figure is the median. bbolt, a Go program, is a contender like the others: it speaks the same lines.
//!
//! * [`options`]: the command line. * [`data`]: keys and values. * [`engine`]: what a contender of ours must implement;
//!   [`holdfast`], [`lmdb`], [`redb`], [`fjall`]: those that do. * [`phase`]: what is measured; [`steps`]: how.
//! * [`cost`]: what it costs. * [`contender`]: the process of a contender; [`bbolt`]: that of bbolt. * [`run`]: the parent. * [`running`]: what it
//!   does with a contender's process. * [`table`]: Markdown. * [`mvcc`]: figures of the multi-version store.

mod bbolt;
mod contender;
mod cost;
mod data;
mod engine;
mod fjall;
mod holdfast;
mod lmdb;
mod mvcc;
mod options;
mod phase;
mod redb;
mod run;
mod running;
mod steps;
mod table;

pub use run::main;
