//! From the command line to a serving member, and back to the shell.
//!
//! [`main`] reads the configuration ([`crate::config`]), starts the log, takes the data directory ([`datadir`]), opens the
//! listeners, starts the member ([`node`] is the seam behind which it lives), serves, tells systemd ([`notify`]), and waits for a
//! signal ([`signals`]) or for the member's own end. Lines of the log, their order, and exit codes are etcd's.

pub mod datadir;
mod flow;
mod lines;
pub mod node;
mod notify;
mod signals;
#[cfg(test)]
mod tests;

use crate::config::env::EnvError;
use crate::config::parse::ArgsError;
use crate::config::{self, Config, LoadError, Loaded, Notice, VerifyError, help};
use crate::logging::{self, Log, LogConfig, json};

use self::node::Node;

/// Runs the process to its end. `args` begin with the program's name.
pub fn main<N: Node>(args: Vec<String>, env: &[(String, String)]) -> ! {
    if let Some(code) = subcommand(&args) {
        std::process::exit(code);
    }
    let (mut notices, mut wish) = (Vec::new(), None);
    let loaded = config::load(args.get(1..).unwrap_or_default(), env, &mut notices, &mut wish);
    match loaded {
        Ok(Loaded::Version) => {
            print!("{}", help::version());
            std::process::exit(0)
        }
        Ok(Loaded::Run(config)) => {
            let log = start_log(&config.log);
            log.catch_panics();
            run::<N>(*config, &args, &notices, &log)
        }
        Err(error) => refuse(&error, &args, &notices, wish),
    }
}

/// etcd's other two programs, which hide behind a first argument.
fn subcommand(args: &[String]) -> Option<i32> {
    let name = args.get(1).filter(|word| matches!(word.as_str(), "gateway" | "grpc-proxy"))?;
    eprintln!("{name} is not supported by this version of holdfast");
    Some(1)
}

/// A log that cannot be opened is told on stderr, since there is nowhere else.
fn start_log(config: &LogConfig) -> Log {
    match Log::init(config) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("failed to set up the log: {error}");
            std::process::exit(1)
        }
    }
}

fn run<N: Node>(config: Config, args: &[String], notices: &[Notice], log: &Log) -> ! {
    for notice in notices {
        notice.log();
    }
    tracing::info!(args = ?json(args), "Running: ");
    signals::raise_descriptor_limit();
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("shell").build() {
        Ok(runtime) => {
            let ended = runtime.block_on(flow::run::<N>(config, log.clone()));
            // Whatever still hangs in a task must not keep the process.
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            tracing::error!(severity = "fatal", error = %error, "failed to start the runtime");
            flow::Ended::Exit(1)
        }
    };
    log.flush();
    match ended {
        flow::Ended::Exit(code) => std::process::exit(code),
        flow::Ended::Signal(signal) => signals::die_of(signal),
    }
}

/// Ends the process over a command line or an environment that cannot be run.
fn refuse(error: &LoadError, args: &[String], notices: &[Notice], wish: Option<LogConfig>) -> ! {
    let code = match error {
        LoadError::Args(ArgsError::Help) => {
            eprintln!("{}", help::USAGE);
            print!("{}", help::flags());
            0
        }
        LoadError::Args(args) if !matches!(args, ArgsError::Stray(_)) => {
            eprintln!("{error}\n{}", help::USAGE);
            2
        }
        LoadError::Verify(VerifyError::Level(_)) => {
            eprintln!("panic: {error}");
            2
        }
        _ => {
            let log = start_log(&wish.unwrap_or_default());
            for notice in notices {
                notice.log();
            }
            log_refusal(error, args);
            log.flush();
            1
        }
    };
    std::process::exit(code)
}

fn log_refusal(error: &LoadError, args: &[String]) {
    if let LoadError::Env(EnvError::Conflict { variable }) = error {
        tracing::error!(severity = "fatal", "environment-variable" = variable, "{error}");
        return;
    }
    tracing::info!(args = ?logging::json(args), "Running: ");
    if let LoadError::Retention(_) = error {
        tracing::error!(severity = "fatal", error = %error, "discovery failed");
        return;
    }
    tracing::warn!(error = %error, "failed to verify flags");
    if let LoadError::Verify(VerifyError::AdvertiseUnset) = error {
        tracing::warn!(error = %error, "advertise client URLs are not set");
    }
}
