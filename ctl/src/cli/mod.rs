//! The command line: a tree of commands, a table of flags for each, and a parser with etcdctl's manners.
//!
//! Everything follows from tables of [`flag::Flag`] and [`command::Command`]: what the parser accepts, what
//! the help shows, and which `ETCDCTL_…` variables exist. The parser is our own because its manners are part
//! of the contract: flags may stand before, between and after the arguments, commands may be shortened to any
//! unambiguous prefix, and errors have the wording that scripts know. The same parser reads the lines of
//! `txn` and of `watch -i`.

pub(crate) mod command;
pub(crate) mod environment;
pub(crate) mod flag;
pub(crate) mod help;
pub(crate) mod parse;
pub(crate) mod resolve;
pub(crate) mod suggest;
pub(crate) mod words;
