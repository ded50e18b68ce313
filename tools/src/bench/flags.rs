//! The command line: etcd's `benchmark` flags, and ours.
//!
//! Flags are Go's in form: a boolean may be written `--sample=false`, a duration `1m30s` or `250ms`, and the
//! flags of the program may stand before or after the subcommand.

use std::{collections::BTreeSet, ffi::OsString, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

/// Load generator for etcd-compatible servers.
#[derive(Debug, Parser)]
#[command(name = "holdfast-bench", version, about, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Flags of every subcommand.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every subcommand has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Server addresses; connection i goes to address i modulo their number
    #[arg(long, global = true, value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub(crate) endpoints: Vec<String>,
    /// Number of connections
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) conns: usize,
    /// Number of clients, each with one request at a time; client i uses connection i modulo --conns
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) clients: usize,
    /// Print figures with all their digits
    #[arg(long, global = true)]
    pub(crate) precise: bool,
    /// Add a table of one row per second to the report
    #[arg(long, global = true)]
    pub(crate) sample: bool,
    /// Client certificate (TLS is not available in this build)
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) cert: String,
    /// Key of the client certificate (TLS is not available in this build)
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) key: String,
    /// Certificates to trust (TLS is not available in this build)
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) cacert: String,
    /// Accept any server certificate (TLS is not available in this build)
    #[arg(long, global = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// User as name[:password]; the password is asked for when it is not given
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) user: String,
    /// Longest time to wait for a connection (0s: no limit)
    #[arg(long, global = true, default_value = "0s", value_parser = parse_duration)]
    pub(crate) dial_timeout: Duration,
    /// Only 0s is accepted: connections stay with the endpoints given
    #[arg(long, global = true, default_value = "0s", value_parser = parse_duration)]
    pub(crate) auto_sync_interval: Duration,
    /// Use only the endpoint of the cluster's leader
    #[arg(long, global = true)]
    pub(crate) target_leader: bool,
    /// Also write the percentiles to a file for the Kubernetes performance dashboard
    #[arg(long, global = true)]
    pub(crate) report_perfdash: bool,
    /// Process ids of local servers: report their CPU time per operation and their memory
    #[arg(long, global = true, value_delimiter = ',')]
    pub(crate) server_pid: Vec<u32>,
    /// Print the report as one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write keys
    Put(Put),
    /// Read keys
    Range(Range),
    /// Write keys in transactions
    TxnPut(TxnPut),
    /// Create watchers, then write what they watch
    Watch(Watch),
    /// Wait until a server answers its first linearizable read, and say how long it took
    FirstRead(FirstRead),
}

/// Flags of `put`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Put {
    /// Key size in bytes
    #[arg(long, default_value_t = 8)]
    pub(crate) key_size: usize,
    /// Value size in bytes
    #[arg(long, default_value_t = 8)]
    pub(crate) val_size: usize,
    /// Most puts per second (0: no limit)
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Number of puts
    #[arg(long, default_value_t = 10_000)]
    pub(crate) total: u64,
    /// Number of different keys
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) key_space_size: i64,
    /// Take the keys in order instead of at random
    #[arg(long)]
    pub(crate) sequential_keys: bool,
    /// Put before each key, in addition to its --key-size bytes
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// Compact the history this often while putting (0s: never)
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub(crate) compact_interval: Duration,
    /// Compact to this many revisions before the newest
    #[arg(long, default_value_t = 1000)]
    pub(crate) compact_index_delta: i64,
    /// Ask for the hash of the key space at the end, and say how long it took
    #[arg(long)]
    pub(crate) check_hashkv: bool,
}

/// Flags of `range`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Range {
    /// Key, and end of the range; the key may be left out with --prefix or --random-keys
    #[arg(num_args = 0..=2, value_name = "KEY [END]")]
    pub(crate) bounds: Vec<String>,
    /// Most ranges per second (0: no limit)
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Number of ranges
    #[arg(long, default_value_t = 10_000)]
    pub(crate) total: u64,
    /// l for linearizable, s for serializable
    #[arg(long, default_value = "l")]
    pub(crate) consistency: String,
    /// Most keys in an answer (0: no limit)
    #[arg(long, default_value_t = 0)]
    pub(crate) limit: i64,
    /// Ask only for the number of keys
    #[arg(long)]
    pub(crate) count_only: bool,
    /// Ask only for keys, without values
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Use the streaming form of the call
    #[arg(long)]
    pub(crate) stream: bool,
    /// Read the range in pages of 10,000 keys
    #[arg(long)]
    pub(crate) paginate: bool,
    /// Read all keys that begin with KEY
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Read one key per request, from the key space that `put` with the same key flags wrote
    #[arg(long)]
    pub(crate) random_keys: bool,
    /// With --random-keys: key size in bytes
    #[arg(long, default_value_t = 8)]
    pub(crate) key_size: usize,
    /// With --random-keys: number of different keys
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) key_space_size: i64,
    /// With --random-keys: take the keys in order instead of at random
    #[arg(long)]
    pub(crate) sequential_keys: bool,
    /// With --random-keys: stands before each key, as in `put --prefix`
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) key_prefix: String,
}

/// Flags of `txn-put`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TxnPut {
    /// Key size in bytes
    #[arg(long, default_value_t = 8)]
    pub(crate) key_size: usize,
    /// Value size in bytes
    #[arg(long, default_value_t = 8)]
    pub(crate) val_size: usize,
    /// Puts in a transaction
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) txn_ops: i64,
    /// Most transactions per second (0: no limit)
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Number of transactions
    #[arg(long, default_value_t = 10_000)]
    pub(crate) total: u64,
    /// Number of different keys
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) key_space_size: i64,
}

/// Flags of `watch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Watch {
    /// Number of watch streams
    #[arg(long, default_value_t = 10)]
    pub(crate) streams: usize,
    /// Watchers on each stream
    #[arg(long = "watch-per-stream", default_value_t = 100)]
    pub(crate) per_stream: usize,
    /// Number of different keys to watch
    #[arg(long, default_value_t = 1)]
    pub(crate) watched_key_total: usize,
    /// Most puts per second (0: no limit)
    #[arg(long, default_value_t = 0)]
    pub(crate) put_rate: u64,
    /// Number of puts
    #[arg(long, default_value_t = 1000)]
    pub(crate) put_total: u64,
    /// Key size in bytes
    #[arg(long, default_value_t = 32)]
    pub(crate) key_size: usize,
    /// Number of different keys from which the watched ones are taken
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) key_space_size: i64,
    /// Take the watched keys in order instead of at random
    #[arg(long)]
    pub(crate) sequential_keys: bool,
}

/// Flags of `first-read`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FirstRead {
    /// Key to read; it need not exist
    #[arg(default_value = "first-read")]
    pub(crate) read_key: String,
    /// Give up after this time
    #[arg(long, default_value = "1m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

impl Cli {
    /// Reads a command line in which booleans may be written as Go has them (`--sample=false`).
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let command = Self::command();
        let booleans: BTreeSet<String> = std::iter::once(&command)
            .chain(command.get_subcommands())
            .flat_map(clap::Command::get_arguments)
            .filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue))
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .collect();
        Self::try_parse_from(arguments.into_iter().filter_map(|argument| bare_boolean(argument, &booleans)))
    }
}

/// `--flag=true` as `--flag`, `--flag=false` as nothing, anything else as it is.
fn bare_boolean(argument: OsString, booleans: &BTreeSet<String>) -> Option<OsString> {
    let parts =
        argument.to_str().and_then(|text| text.strip_prefix("--")).and_then(|text| text.split_once('='));
    match parts {
        Some((name, value)) if booleans.contains(name) => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(format!("--{name}").into()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => None,
            _ => Some(argument),
        },
        _ => Some(argument),
    }
}

/// A duration in Go's form: numbers with units, such as `1m30s`, `1.5h`, `250ms`; a bare `0` is zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a duration such as 1m30s or 250ms");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanoseconds) = (text, 0.0f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.');
        let end = unit_end.map_or(rest.len(), |length| digits + length);
        let scale = match &rest[digits..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(invalid()),
        };
        nanoseconds += number * scale;
        rest = &rest[end..];
    }
    if text.is_empty() || nanoseconds > i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(line: &[&str]) -> Result<Cli, clap::Error> {
        Cli::read(std::iter::once("holdfast-bench").chain(line.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_table_of_flags_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_etcd() {
        let cli = read(&["put"]).unwrap();
        assert_eq!((cli.global.conns, cli.global.clients), (1, 1));
        assert_eq!(cli.global.endpoints, ["127.0.0.1:2379"]);
        let Command::Put(put) = cli.command else { panic!("not put") };
        assert_eq!((put.key_size, put.val_size, put.total, put.key_space_size), (8, 8, 10_000, 1));
        assert_eq!((put.compact_index_delta, put.compact_interval), (1000, Duration::ZERO));
        let Command::Watch(watch) = read(&["watch"]).unwrap().command else { panic!("not watch") };
        assert_eq!((watch.streams, watch.per_stream, watch.put_total, watch.key_size), (10, 100, 1000, 32));
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let line =
            ["--conns=3", "put", "--clients", "9", "--precise=false", "--sample", "--sequential-keys=T"];
        let cli = read(&line).unwrap();
        assert_eq!((cli.global.conns, cli.global.clients), (3, 9));
        assert!(!cli.global.precise && cli.global.sample);
        let Command::Put(put) = cli.command else { panic!("not put") };
        assert!(put.sequential_keys);
        let cli = read(&["put", "--server-pid", "1,2", "--server-pid", "3"]).unwrap();
        assert_eq!(cli.global.server_pid, [1, 2, 3]);
        assert!(read(&["put", "--sample=perhaps"]).is_err());
        assert!(read(&["range", "a", "b", "c"]).is_err());
    }

    #[test]
    fn durations_are_gos() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("250ms", 250), ("1m30s", 90_000), ("1.5h", 5_400_000), ("2000us", 2)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "5", "s", "5x", "1s2", "-1s", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
