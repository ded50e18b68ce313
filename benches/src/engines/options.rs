//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::data::{Order, Shape};
use super::mvcc::MvccPhase;
use super::phase::Phase;

/// Put the same load on Holdfast's engine and on other embedded stores, and print the figures side by side.
#[derive(Debug, Clone, Parser)]
#[command(name = "engines")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Keys that are loaded
    #[arg(long, default_value_t = 5_000_000)]
    pub(crate) keys: u64,
    /// Keys and values: 24+150 bytes, random, or 40+256, as a Kubernetes registry has them
    #[arg(long, value_delimiter = ',', default_value = "24+150,40+256")]
    pub(crate) shapes: Vec<Shape>,
    /// Contenders, all that can be run by default
    #[arg(long, value_delimiter = ',', value_name = "CONTENDERS")]
    pub(crate) only: Vec<Contender>,
    /// Phases, all by default. What a phase needs (the load, for reads) is run though it is not named
    #[arg(long, value_delimiter = ',', value_name = "PHASES")]
    pub(crate) phases: Vec<Phase>,
    /// Rounds; a figure is their median
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// How often each phase that only reads is run in a round
    #[arg(long, default_value_t = 3)]
    pub(crate) passes: usize,
    /// Where the databases are kept while they are measured (default: the build folder). Must be on a disk: in
    /// memory a sync costs nothing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Replace the tables in benches/README.md
    #[arg(long)]
    pub(crate) write_readme: bool,
}

/// What the program does other than the comparison.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Figures of the multi-version store, loaded with many keys
    Mvcc(MvccOptions),
    /// The process of the multi-version store, which `mvcc` starts
    #[command(hide = true)]
    MvccStore(MvccJob),
    /// The process of one contender, which the comparison starts
    #[command(hide = true)]
    Contender(Job),
}

/// What the process of a contender is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Job {
    /// Who it is
    #[arg(long)]
    pub(crate) name: Contender,
    /// Where its files are
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Keys and values
    #[arg(long)]
    pub(crate) shape: Shape,
    /// Keys that are loaded
    #[arg(long)]
    pub(crate) keys: u64,
    /// Whether they have been loaded by a process before this one
    #[arg(long)]
    pub(crate) loaded: bool,
}

/// What `mvcc` measures.
#[derive(Debug, Clone, Args)]
pub(crate) struct MvccOptions {
    /// Keys that are loaded
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) keys: u64,
    /// In which order of keys the stores are loaded, one after the other
    #[arg(long, value_delimiter = ',', default_value = "ascending,random")]
    pub(crate) orders: Vec<Order>,
    /// Phases, all by default; the load is always run
    #[arg(long, value_delimiter = ',', value_name = "PHASES")]
    pub(crate) phases: Vec<MvccPhase>,
    /// How often each phase that only reads is run
    #[arg(long, default_value_t = 3)]
    pub(crate) passes: usize,
    /// Where the data is kept while it is measured (default: the build folder). Must be on a disk
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Replace the table in benches/README.md
    #[arg(long)]
    pub(crate) write_readme: bool,
}

/// What the process of the multi-version store is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct MvccJob {
    /// Where its file is
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Order of the load
    #[arg(long)]
    pub(crate) order: Order,
    /// Keys that are loaded
    #[arg(long)]
    pub(crate) keys: u64,
    /// Whether they have been loaded by a process before this one
    #[arg(long)]
    pub(crate) loaded: bool,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Contender {
    /// Our engine.
    Holdfast,
    /// LMDB, through heed.
    Lmdb,
    /// redb.
    Redb,
    /// fjall.
    Fjall,
    /// bbolt, where there is Go.
    Bbolt,
}

impl Contender {
    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Holdfast => "Holdfast",
            Self::Lmdb => "LMDB",
            Self::Redb => "redb",
            Self::Fjall => "fjall",
            Self::Bbolt => "bbolt",
        }
    }

    /// What makes its commits survive a loss of power.
    pub(crate) fn durability(self) -> &'static str {
        match self {
            Self::Holdfast => "publish and checkpoint: two syncs",
            Self::Lmdb | Self::Bbolt => "its default: two syncs",
            Self::Redb => "`Immediate`, its default: one sync",
            Self::Fjall => "`SyncAll` of its journal: one sync",
        }
    }
}

/// The name of a value on the command line.
pub(crate) fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_sound() {
        Options::command().debug_assert();
    }
}
