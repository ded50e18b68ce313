//! The phases, and the rounds in which they are measured.

use std::{path::Path, thread, time::Duration};

use super::{
    cores::Cores,
    figures::{Load, Measured},
    generator::{Generator, Run},
    options::Sizes,
    programs::Programs,
    run::HarnessError,
    server::{Server, Subject},
};

/// Connections and clients of the phases with many.
const CONNECTIONS: &str = "100";
const CLIENTS: &str = "1000";
/// Bytes of a value.
const VALUE_BYTES: &str = "256";
/// Bytes of a key in the load.
const LOAD_KEY_BYTES: &str = "32";
/// Keys of a wide range.
pub(crate) const WIDE_RANGE_KEYS: u64 = 100_000;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Puts of a thousand clients.
    Put,
    /// Puts at half the rate of the first phase.
    PacedPut,
    /// Linearizable reads of existing random keys.
    Linearizable,
    /// Serializable reads of existing random keys.
    Serializable,
    /// Puts of one client.
    LonePut,
}

impl Phase {
    /// All of them, in the order in which they are run.
    pub(crate) const ALL: [Self; 5] =
        [Self::Put, Self::PacedPut, Self::Linearizable, Self::Serializable, Self::LonePut];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "put, 1,000 clients",
            Self::PacedPut => "put, at half that rate",
            Self::Linearizable => "linearizable get, 1,000 clients",
            Self::Serializable => "serializable get, 1,000 clients",
            Self::LonePut => "put, lone client",
        }
    }

    /// Whether clients ask as fast as they can, so that the server should have no idle time.
    pub(crate) fn saturates(self) -> bool {
        matches!(self, Self::Put | Self::Linearizable | Self::Serializable)
    }

    /// Whether an empty handler says anything about it.
    fn has_floor(self) -> bool {
        self != Self::PacedPut
    }

    fn arguments(self, sizes: &Sizes, rate: f64) -> Vec<String> {
        let keys = sizes.keys.to_string();
        let half = (rate / 2.0).max(1.0).round() as u64;
        let many = ["--conns", CONNECTIONS, "--clients", CLIENTS];
        let put = ["put", "--val-size", VALUE_BYTES, "--sequential-keys", "--key-space-size", &keys];
        let get = ["range", "--random-keys", "--key-space-size", &keys];
        let (reads, puts, lone) =
            (sizes.reads.to_string(), sizes.puts.to_string(), sizes.lone_puts.to_string());
        let (half_rate, half_total) = (half.to_string(), (half * sizes.paced_secs).to_string());
        let line = match self {
            Self::Put => [&put[..], &many, &["--total", &puts]].concat(),
            Self::PacedPut => [&put[..], &many, &["--total", &half_total, "--rate", &half_rate]].concat(),
            Self::Linearizable => [&get[..], &many, &["--total", &reads, "--consistency", "l"]].concat(),
            Self::Serializable => [&get[..], &many, &["--total", &reads, "--consistency", "s"]].concat(),
            Self::LonePut => [&put[..], &["--total", &lone]].concat(),
        };
        line.into_iter().map(str::to_owned).collect()
    }
}

/// What the rounds are run with.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// The programs.
    pub(crate) programs: &'a Programs,
    /// Folder below which the servers keep their data.
    pub(crate) data_root: &'a Path,
    /// Who runs where.
    pub(crate) cores: Cores,
    /// How much is measured.
    pub(crate) sizes: Sizes,
}

impl Bench<'_> {
    /// Runs everything. What is measured stands in `measured` even when something fails later.
    pub(crate) fn measure(&self, measured: &mut Measured) -> Result<(), HarnessError> {
        for round in 0..self.sizes.rounds {
            let mut order = [Subject::Floor, Subject::Holdfast, Subject::Etcd];
            if round % 2 == 1 {
                order.reverse();
            }
            for subject in order {
                eprintln!("round {} of {}: {}", round + 1, self.sizes.rounds, subject.name());
                for (phase, run) in self.round(subject)? {
                    measured.runs.entry((phase, subject)).or_default().push(run);
                }
            }
        }
        if self.sizes.load_keys > 0 {
            for subject in [Subject::Holdfast, Subject::Etcd] {
                eprintln!("load of {} keys: {}", self.sizes.load_keys, subject.name());
                measured.load_keys = self.sizes.load_keys;
                measured.loads.insert(subject, self.load(subject)?);
            }
        }
        Ok(())
    }

    fn generator(&self) -> Generator {
        Generator::new(self.programs.generator.clone(), self.cores.generator)
    }

    fn start(&self, subject: Subject) -> Result<Server, HarnessError> {
        let mut server = Server::start(subject, self.programs, self.data_root, self.cores.server)?;
        self.generator().wait(&mut server)?;
        Ok(server)
    }

    /// All phases on a server with an empty directory.
    fn round(&self, subject: Subject) -> Result<Vec<(Phase, Run)>, HarnessError> {
        let mut server = self.start(subject)?;
        let mut runs: Vec<(Phase, Run)> = Vec::new();
        for phase in Phase::ALL {
            if subject == Subject::Floor && !phase.has_floor() {
                continue;
            }
            let rate = runs.first().map_or(0.0, |(_, first)| first.throughput);
            let run = self.generator().load(&mut server, &phase.arguments(&self.sizes, rate))?;
            eprintln!(
                "  {}: {:.0}/s, server {:.1} µs/op ({:.0} % busy), generator {:.1} µs/op ({:.0} % busy)",
                phase.name(),
                run.throughput,
                run.server_cpu_us,
                run.server_busy() * 100.0,
                run.generator_cpu_us,
                run.generator_busy() * 100.0,
            );
            runs.push((phase, run));
        }
        Ok(runs)
    }

    /// Loads many keys; reads wide ranges; then memory, disk and the restart after SIGKILL.
    fn load(&self, subject: Subject) -> Result<Load, HarnessError> {
        let mut server = self.start(subject)?;
        let keys = self.sizes.load_keys.to_string();
        let line = [
            "put",
            "--conns",
            CONNECTIONS,
            "--clients",
            CLIENTS,
            "--key-size",
            LOAD_KEY_BYTES,
            "--val-size",
            VALUE_BYTES,
            "--sequential-keys",
            "--key-space-size",
            &keys,
            "--total",
            &keys,
        ];
        let puts = self.generator().load(&mut server, &line.map(str::to_owned))?;
        thread::sleep(Duration::from_secs(self.sizes.settle_secs));
        let disk_bytes = server.disk_bytes()? as f64;

        let (limit, ranges) = (WIDE_RANGE_KEYS.to_string(), self.sizes.wide_ranges.to_string());
        let line = ["range", "--prefix", "--limit", &limit, "--total", &ranges];
        let wide = self.generator().load(&mut server, &line.map(str::to_owned))?;

        server.kill();
        let restart = self.generator().restart(&mut server)?;
        Ok(Load { puts, wide, disk_bytes, restart_secs: restart.as_secs_f64() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::side_by_side::options::Options;
    use clap::Parser;

    #[test]
    fn the_reads_are_of_what_the_puts_wrote() {
        let sizes = Options::try_parse_from(["x"]).unwrap().sizes();
        assert!(sizes.puts >= sizes.keys, "every key is written before it is read");
        for phase in Phase::ALL {
            let line = phase.arguments(&sizes, 20_001.0).join(" ");
            assert!(line.contains(&format!("--key-space-size {}", sizes.keys)), "{line}");
        }
        assert!(
            Phase::PacedPut.arguments(&sizes, 20_001.0).join(" ").ends_with("--total 100010 --rate 10001")
        );
    }
}
