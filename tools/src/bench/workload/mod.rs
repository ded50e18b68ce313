//! The subcommands, one module each.

pub(crate) mod cluster;
pub(crate) mod first_read;
pub(crate) mod put;
pub(crate) mod range;
pub(crate) mod txn_put;
pub(crate) mod watch;

use super::{flags::Command, run::BenchError};

/// Refuses flags that make no sense, before anything is dialled.
pub(crate) fn check(command: &Command) -> Result<(), BenchError> {
    match command {
        Command::Put(flags) => put::keys(flags).map(drop),
        Command::Range(flags) => range::Reads::new(flags).map(drop),
        Command::TxnPut(flags) => txn_put::Txns::new(flags).map(drop),
        Command::Watch(flags) => watch::watched_keys(flags).map(drop),
        Command::FirstRead(_) => Ok(()),
    }
}
