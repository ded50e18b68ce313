//! The command line of the harness.

use std::path::PathBuf;

use clap::Parser;

/// Put the same load on Holdfast and on real etcd 3.5.1, and print the figures side by side.
#[derive(Debug, Clone, Parser)]
#[command(name = "side-by-side")]
pub(crate) struct Options {
    /// Rounds of the short phases; a figure is their median
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Small numbers, one round: to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Replace the table in benches/README.md
    #[arg(long)]
    pub(crate) write_readme: bool,
    /// Leave out the load of a million keys
    #[arg(long)]
    pub(crate) skip_load: bool,
    /// Number of keys of that load (a million; 50,000 with --quick)
    #[arg(long)]
    pub(crate) load_keys: Option<u64>,
    /// Measure this server instead of building Holdfast; it must take etcd's flags
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) holdfast: Option<PathBuf>,
    /// Where the servers keep their data while they run (default: the build folder). Must be on a disk: on a
    /// file system in memory a sync costs nothing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_root: Option<PathBuf>,
    /// Core of the servers (default: the first that we may use)
    #[arg(long)]
    pub(crate) server_core: Option<usize>,
    /// Core of the generator (default: the second that we may use)
    #[arg(long)]
    pub(crate) generator_core: Option<usize>,
}

/// How much of everything is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Rounds of the short phases.
    pub(crate) rounds: usize,
    /// Keys written in the first phase, and then read.
    pub(crate) keys: u64,
    /// Puts of the first phase.
    pub(crate) puts: u64,
    /// Reads of each kind.
    pub(crate) reads: u64,
    /// Puts of a lone client.
    pub(crate) lone_puts: u64,
    /// Seconds of puts at half the saturated rate.
    pub(crate) paced_secs: u64,
    /// Keys of the load; 0 leaves it out.
    pub(crate) load_keys: u64,
    /// Ranges of up to 100,000 keys after the load.
    pub(crate) wide_ranges: u64,
    /// Time that the servers have after the load before their disk space is taken, in seconds.
    pub(crate) settle_secs: u64,
}

impl Options {
    /// The sizes that these options ask for.
    pub(crate) fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick {
            Sizes {
                rounds: 1,
                keys: 10_000,
                puts: 20_000,
                reads: 30_000,
                lone_puts: 1_000,
                paced_secs: 2,
                load_keys: 50_000,
                wide_ranges: 5,
                settle_secs: 2,
            }
        } else {
            Sizes {
                rounds: self.rounds.max(1),
                keys: 100_000,
                puts: 300_000,
                reads: 400_000,
                lone_puts: 4_000,
                paced_secs: 10,
                load_keys: 1_000_000,
                wide_ranges: 10,
                settle_secs: 60,
            }
        };
        if let Some(keys) = self.load_keys {
            sizes.load_keys = keys;
        }
        if self.skip_load {
            sizes.load_keys = 0;
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_sound() {
        Options::command().debug_assert();
        let sizes = Options::try_parse_from(["x", "--skip-load", "--rounds", "5"]).unwrap().sizes();
        assert_eq!((sizes.rounds, sizes.load_keys), (5, 0));
        let sizes = Options::try_parse_from(["x", "--quick", "--load-keys", "7"]).unwrap().sizes();
        assert_eq!((sizes.rounds, sizes.load_keys), (1, 7));
    }
}
