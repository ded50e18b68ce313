//! Runs of `holdfast-bench` against a server, and what comes back.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{cores, run::HarnessError, server::Server};
use crate::common::guard::Process;

/// Longest wait for a server's first answer.
const START_TIMEOUT: &str = "120s";

/// The figures of one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// Requests per second that succeeded.
    pub(crate) throughput: f64,
    /// Median latency, in seconds.
    pub(crate) p50: f64,
    /// 99th percentile of latency, in seconds.
    pub(crate) p99: f64,
    /// Slowest answer, in seconds.
    pub(crate) slowest: f64,
    /// CPU time of the server for a request, in microseconds.
    pub(crate) server_cpu_us: f64,
    /// CPU time of the generator for a request, in microseconds.
    pub(crate) generator_cpu_us: f64,
    /// Resident anonymous memory of the server at the end, in bytes.
    pub(crate) anonymous_bytes: f64,
    /// Resident file pages of the server at the end, in bytes.
    pub(crate) file_bytes: f64,
    /// Requests that failed.
    pub(crate) failures: f64,
}

impl Run {
    /// The part of its core that the server used.
    pub(crate) fn server_busy(&self) -> f64 {
        self.server_cpu_us * self.throughput / 1e6
    }

    /// The part of its core that the generator used.
    pub(crate) fn generator_busy(&self) -> f64 {
        self.generator_cpu_us * self.throughput / 1e6
    }

    fn read(report: &Value) -> Option<Self> {
        let number = |value: &Value| value.as_f64();
        let server = report["servers"].get(0)?;
        number(&report["successes"]).filter(|&count| count > 0.0)?;
        let slowest = number(&report["slowest_secs"])?;
        Some(Self {
            throughput: number(&report["requests_per_sec"])?,
            // Of too few requests for a percentile the slowest is all that can be said.
            p50: number(&report["percentiles_secs"]["p50"]).unwrap_or(slowest),
            p99: number(&report["percentiles_secs"]["p99"]).unwrap_or(slowest),
            slowest,
            server_cpu_us: number(&server["cpu_us_per_op"])?,
            generator_cpu_us: number(&report["client"]["cpu_us_per_op"])?,
            anonymous_bytes: number(&server["rss_anonymous_bytes"])?,
            file_bytes: number(&server["rss_file_bytes"])?,
            failures: number(&report["failures"])?,
        })
    }
}

/// The load generator on its core.
#[derive(Debug, Clone)]
pub(crate) struct Generator {
    program: PathBuf,
    core: usize,
}

impl Generator {
    /// `program` on `core`.
    pub(crate) fn new(program: PathBuf, core: usize) -> Self {
        Self { program, core }
    }

    /// Puts the load that `arguments` describe on `server`.
    pub(crate) fn load(&self, server: &mut Server, arguments: &[String]) -> Result<Run, HarnessError> {
        let id = server.id()?.to_string();
        let output = self.run(server, arguments.iter().map(String::as_str).chain(["--server-pid", &id]))?;
        let document: Value = serde_json::from_str(&output).map_err(|error| self.failed(arguments, error))?;
        let report = &document["reports"][0];
        let run = Run::read(report)
            .ok_or_else(|| self.failed(arguments, format!("nothing succeeded: {report}")))?;
        if let Some(found) = report["keys_found"].as_u64() {
            let read = report["successes"].as_u64().unwrap_or(0);
            // The floor has no keys; a server that has not kept what it acknowledged is not worth measuring.
            if found < read && server.subject() != super::server::Subject::Floor {
                return Err(self.failed(arguments, format!("{} of {read} keys were not found", read - found)));
            }
        }
        Ok(run)
    }

    /// Starts `server` again on its data; returns the time from there to the first linearizable read.
    pub(crate) fn restart(&self, server: &mut Server) -> Result<Duration, HarnessError> {
        let began = Instant::now();
        server.spawn()?;
        self.wait(server)?;
        Ok(began.elapsed())
    }

    /// Waits until `server` answers a linearizable read.
    pub(crate) fn wait(&self, server: &mut Server) -> Result<(), HarnessError> {
        self.run(server, ["first-read", "--timeout", START_TIMEOUT]).map(drop)
    }

    fn run<'a>(
        &self,
        server: &mut Server,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, HarnessError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--json", "--endpoints", &server.endpoint()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        cores::move_to(self.core)?;
        let process = Process::start(&mut command).map_err(|error| self.failed(&command, error))?;
        let (status, stdout, stderr) = process.output().map_err(|error| self.failed(&command, error))?;
        if status.success() {
            return Ok(stdout);
        }
        let end = server.id().err().map_or_else(|| server.log_tail(), |error| error.to_string());
        Err(self.failed(&command, format!("{status}: {}\n{end}", stderr.trim_end())))
    }

    fn failed(
        &self,
        command: &(impl std::fmt::Debug + ?Sized),
        what: impl std::fmt::Display,
    ) -> HarnessError {
        HarnessError::Load {
            program: self.program.clone(),
            arguments: format!("{command:?}"),
            what: what.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "requests_per_sec": 20_000.0, "slowest_secs": 0.5, "successes": 9, "failures": 3,
            "percentiles_secs": {"p50": 0.01, "p99": 0.02},
            "servers": [{"cpu_us_per_op": 40.0, "rss_anonymous_bytes": 7, "rss_file_bytes": 8}],
            "client": {"cpu_us_per_op": 5.0},
        })
    }

    #[test]
    fn a_report_is_read() {
        let run = Run::read(&report()).unwrap();
        assert_eq!((run.p50, run.p99, run.slowest, run.failures), (0.01, 0.02, 0.5, 3.0));
        assert_eq!((run.server_busy(), run.generator_busy()), (0.8, 0.1));
        assert_eq!((run.anonymous_bytes, run.file_bytes), (7.0, 8.0));
    }

    #[test]
    fn of_few_requests_the_slowest_stands_for_the_percentile() {
        let mut report = report();
        report["percentiles_secs"] = json!({"p50": 0.01});
        assert_eq!(Run::read(&report).unwrap().p99, 0.5);
    }

    #[test]
    fn a_report_without_successes_is_none() {
        let mut report = report();
        report["percentiles_secs"] = json!({});
        report["successes"] = json!(0);
        assert_eq!(Run::read(&report), None);
    }
}
