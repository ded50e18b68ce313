//! From the command line to the printed report.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use holdfast_proto::error::EtcdError;
use http::HeaderValue;
use serde::Serialize;

use super::{
    flags::{Cli, Command, Global},
    keys::KeyError,
    load::Pool,
    process::{Costs, Meter, ProcessError},
    report::{self, Precision, Report},
    wire::{CallError, Connection, Dial, DialError},
    workload::{self, cluster},
};

/// Exit code of a command line that cannot be read, as etcd's tool has it.
const USAGE_EXIT: u8 = 255;

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A flag has a value that makes no sense.
    #[error("{0}")]
    Flags(String),
    /// The keys cannot be made.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// TLS was asked for.
    #[error("TLS is not available in this build: leave out {0}")]
    Tls(&'static str),
    /// A connection could not be made.
    #[error("dial error: {0}")]
    Dial(#[from] DialError),
    /// The user could not be authenticated.
    #[error("bad user information: {user} {reason}")]
    User {
        /// User as given.
        user: String,
        /// What the server or the terminal said.
        reason: String,
    },
    /// A call that the run depends on failed.
    #[error("{what}: {source}")]
    Call {
        /// What was being done.
        what: String,
        /// How it failed.
        source: CallError,
    },
    /// A server process could not be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The system gave no thread for `--rate`.
    #[error("cannot start the thread that paces requests: {0}")]
    Pacer(io::Error),
    /// The server did not answer a read in time.
    #[error("no linearizable read succeeded within {timeout}: {last}")]
    NotReady {
        /// How long was waited.
        timeout: String,
        /// The newest failure.
        last: String,
    },
    /// Standard output, or the runtime, failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One finished part of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    /// Operation, in the spelling of `--report-perfdash`.
    #[serde(rename = "operation")]
    pub(crate) name: &'static str,
    /// Line before the report, if it has one.
    #[serde(skip)]
    pub(crate) heading: Option<&'static str>,
    /// Line after the report, if etcd's tool has one there.
    #[serde(skip)]
    pub(crate) ending: &'static str,
    /// Latencies and errors.
    #[serde(flatten)]
    pub(crate) report: Report,
    /// CPU and memory.
    #[serde(flatten)]
    pub(crate) costs: Costs,
    /// Further figures of this workload, by name.
    #[serde(flatten)]
    pub(crate) extra: serde_json::Map<String, serde_json::Value>,
}

/// What the parts of a run are made with.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// Flags of every subcommand.
    pub(crate) global: &'a Global,
    /// The connections.
    pub(crate) pool: Pool,
}

impl Session<'_> {
    /// Begins to measure what the next part costs.
    pub(crate) fn meter(&self) -> Result<Meter, BenchError> {
        Ok(Meter::start(&self.global.server_pid)?)
    }
}

/// Runs `holdfast-bench` with these arguments.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE_EXIT } else { 0 };
            // A closed pipe at this point has nobody left to be told.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    match execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli) -> Result<(), BenchError> {
    check(&cli.global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        if let Command::FirstRead(flags) = &cli.command {
            return workload::first_read::run(&cli.global, flags).await;
        }
        // Flags are judged before anything is dialled.
        workload::check(&cli.command)?;
        let pool = open_pool(&cli.global).await?;
        let session = Session { global: &cli.global, pool };
        match &cli.command {
            Command::Put(flags) => workload::put::run(&session, flags).await,
            Command::Range(flags) => workload::range::run(&session, flags).await,
            Command::TxnPut(flags) => workload::txn_put::run(&session, flags).await,
            Command::Watch(flags) => workload::watch::run(&session, flags).await,
            Command::FirstRead(_) => unreachable!("returned above"),
        }
    })
}

/// Refuses what no subcommand can do.
fn check(global: &Global) -> Result<(), BenchError> {
    let tls = [
        ("--cert", !global.cert.is_empty()),
        ("--key", !global.key.is_empty()),
        ("--cacert", !global.cacert.is_empty()),
        ("--insecure-skip-tls-verify", global.insecure_skip_tls_verify),
    ];
    if let Some((flag, _)) = tls.into_iter().find(|(_, given)| *given) {
        return Err(BenchError::Tls(flag));
    }
    if global.conns == 0 || global.clients == 0 {
        return Err(BenchError::Flags("expected positive --conns and --clients".to_owned()));
    }
    if !global.auto_sync_interval.is_zero() {
        let text = "--auto-sync-interval is not supported: connections stay with the --endpoints given";
        return Err(BenchError::Flags(text.to_owned()));
    }
    Ok(())
}

async fn open_pool(global: &Global) -> Result<Pool, BenchError> {
    let mut dial = Dial { timeout: global.dial_timeout, token: None };
    if !global.user.is_empty() {
        dial.token = authenticate(global, &dial).await?;
    }
    let mut endpoints = global.endpoints.clone();
    if global.target_leader {
        endpoints = vec![cluster::leader(&endpoints, &dial).await?];
    }
    Pool::open(&endpoints, global.conns, global.clients, &dial).await
}

/// The token of `--user`; none when the server wants no authentication, which etcd's clients take as consent.
async fn authenticate(global: &Global, dial: &Dial) -> Result<Option<HeaderValue>, BenchError> {
    let failed = |reason: String| BenchError::User { user: global.user.clone(), reason };
    let (name, password) = match global.user.split_once(':') {
        Some((name, password)) => (name, password.to_owned()),
        None => (global.user.as_str(), ask_password().map_err(|error| failed(error.to_string()))?),
    };
    let mut caller = Connection::open(&global.endpoints[0], dial).await?.caller();
    match cluster::authenticate(&mut caller, name, &password).await {
        Ok(token) => HeaderValue::from_str(&token).map(Some).map_err(|error| failed(error.to_string())),
        Err(CallError::Status { message, .. }) if message == EtcdError::AuthNotEnabled.message() => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Reads a line from the terminal without showing it.
fn ask_password() -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    print!("Password: ");
    io::stdout().flush()?;
    let input = io::stdin();
    let shown = if input.is_terminal() { Some(tcgetattr(&input)?) } else { None };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&input, OptionalActions::Flush, shown)?;
        println!();
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Prints the parts of a run, as text or as JSON.
pub(crate) fn print(global: &Global, parts: &[Part]) -> Result<(), BenchError> {
    let mut output = io::stdout().lock();
    if global.json {
        serde_json::to_writer_pretty(&mut output, &serde_json::json!({ "reports": parts }))
            .map_err(io::Error::from)?;
        writeln!(output)?;
    } else {
        for part in parts {
            write!(output, "{}", part_text(global, part))?;
        }
    }
    if global.report_perfdash {
        for part in parts {
            match report::write_perfdash(&part.report, part.name) {
                Ok(path) if global.json => {
                    eprintln!("Successfully created a JSON perf report at {}", path.display());
                }
                Ok(path) => {
                    writeln!(output, "Successfully created a JSON perf report at {}", path.display())?;
                }
                Err(error) if global.json => eprintln!("cannot write the JSON perf report: {error}"),
                Err(error) => writeln!(output, "cannot write the JSON perf report: {error}")?,
            }
        }
    }
    output.flush()?;
    Ok(())
}

fn part_text(global: &Global, part: &Part) -> String {
    let precision = if global.precise { Precision::Shortest } else { Precision::Four };
    let mut text = part.heading.map_or_else(String::new, |heading| format!("{heading}\n"));
    text.push_str(&part.report.text(precision));
    text.push_str(part.ending);
    // Without the flag the output is etcd's and nothing else.
    if !part.costs.servers.is_empty() {
        text.push_str(if text.ends_with("\n\n") { "Cost:\n" } else { "\nCost:\n" });
        let of_client = part.costs.client.iter().map(|cost| ("Client", cost));
        for (who, cost) in part.costs.servers.iter().map(|cost| ("Server", cost)).chain(of_client) {
            let line = format!(
                "  {who} {}:\t{} µs/op CPU (user {}, system {}), RSS anonymous {}, file {}\n",
                cost.pid,
                precision.number(cost.cpu_us_per_op),
                precision.number(cost.user_us_per_op),
                precision.number(cost.system_us_per_op),
                report::si_bytes(cost.rss_anonymous_bytes),
                report::si_bytes(cost.rss_file_bytes),
            );
            text.push_str(&line);
        }
    }
    text
}
