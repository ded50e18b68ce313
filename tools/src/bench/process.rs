//! What the servers under load spent: CPU time and resident memory, from `/proc`.

use std::{fs, io};

use serde::Serialize;

/// Why a process could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// There is no such process, or no `/proc`.
    #[error("process {pid}: cannot read {file}: {source}")]
    Read {
        /// Process id asked for.
        pid: u32,
        /// File below `/proc`.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what Linux writes.
    #[error("process {pid}: {file} has no {field}")]
    Format {
        /// Process id asked for.
        pid: u32,
        /// File below `/proc`.
        file: &'static str,
        /// What was looked for.
        field: &'static str,
    },
}

/// State of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Seconds of CPU time in user mode since the process began, all threads.
    pub(crate) user_secs: f64,
    /// Seconds of CPU time in the kernel since the process began, all threads.
    pub(crate) system_secs: f64,
    /// Resident bytes of anonymous memory.
    pub(crate) anonymous_bytes: u64,
    /// Resident bytes of mapped files, shared memory included.
    pub(crate) file_bytes: u64,
}

impl Sample {
    /// Looks at process `pid` now.
    pub(crate) fn take(pid: u32) -> Result<Self, ProcessError> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).map_err(|source| ProcessError::Read { pid, file: path, source })
        };
        let (user, system) = cpu_ticks(&read("stat")?).ok_or(ProcessError::Format {
            pid,
            file: "stat",
            field: "utime and stime",
        })?;
        let status = read("status")?;
        let memory = |field: &'static str| {
            status_bytes(&status, field).ok_or(ProcessError::Format { pid, file: "status", field })
        };
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Ok(Self {
            user_secs: user as f64 / ticks,
            system_secs: system as f64 / ticks,
            anonymous_bytes: memory("RssAnon")?,
            file_bytes: memory("RssFile")? + memory("RssShmem")?,
        })
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`. The second field is the program's name in brackets and may itself
/// hold blanks and brackets, so fields are counted from the last closing one.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let user = fields.nth(11)?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

/// A line such as `RssAnon:   1234 kB` of `/proc/PID/status`, in bytes.
fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What a process spent on a run of `operations`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Process id.
    pub(crate) pid: u32,
    /// CPU time per operation, in microseconds.
    pub(crate) cpu_us_per_op: f64,
    /// Part of it in user mode.
    pub(crate) user_us_per_op: f64,
    /// Part of it in the kernel.
    pub(crate) system_us_per_op: f64,
    /// Resident anonymous memory at the end, in bytes.
    pub(crate) rss_anonymous_bytes: u64,
    /// Resident file pages at the end, in bytes.
    pub(crate) rss_file_bytes: u64,
}

impl Cost {
    fn between(pid: u32, before: &Sample, after: &Sample, operations: u64) -> Self {
        let per_operation = |seconds: f64| seconds * 1e6 / operations.max(1) as f64;
        let user_us_per_op = per_operation(after.user_secs - before.user_secs);
        let system_us_per_op = per_operation(after.system_secs - before.system_secs);
        Self {
            pid,
            cpu_us_per_op: user_us_per_op + system_us_per_op,
            user_us_per_op,
            system_us_per_op,
            rss_anonymous_bytes: after.anonymous_bytes,
            rss_file_bytes: after.file_bytes,
        }
    }
}

/// The processes that are looked at before and after a run: the servers, and the generator itself.
#[derive(Debug)]
pub(crate) struct Meter {
    before: Vec<(u32, Sample)>,
}

/// What the run cost.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Costs {
    /// Each server, in the order asked.
    pub(crate) servers: Vec<Cost>,
    /// The generator. Absent where there is no `/proc`, unless a server was asked for.
    pub(crate) client: Option<Cost>,
}

impl Meter {
    /// Looks at the servers `pids` and at this process. Only a server that cannot be read is an error.
    pub(crate) fn start(pids: &[u32]) -> Result<Self, ProcessError> {
        let mut before = Vec::with_capacity(pids.len() + 1);
        for &pid in pids {
            before.push((pid, Sample::take(pid)?));
        }
        if let Ok(own) = Sample::take(std::process::id()) {
            before.push((std::process::id(), own));
        }
        Ok(Self { before })
    }

    /// Looks again, after `operations`.
    pub(crate) fn finish(self, operations: u64) -> Result<Costs, ProcessError> {
        let mut costs = Costs::default();
        for (pid, before) in &self.before {
            let cost = Cost::between(*pid, before, &Sample::take(*pid)?, operations);
            if *pid == std::process::id() {
                costs.client = Some(cost);
            } else {
                costs.servers.push(cost);
            }
        }
        Ok(costs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_name_of_a_program_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 111 222 13 14 20";
        assert_eq!(cpu_ticks(stat), Some((111, 222)));
        assert_eq!(cpu_ticks("7 (short) S 1 2"), None);
        assert_eq!(cpu_ticks("no brackets"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\tx\nRssAnon:\t     120 kB\nRssFile:\t    4 kB\n";
        assert_eq!(status_bytes(status, "RssAnon"), Some(122_880));
        assert_eq!(status_bytes(status, "RssFile"), Some(4096));
        assert_eq!(status_bytes(status, "Rss"), None);
    }

    #[test]
    fn the_cost_is_the_difference_for_each_operation() {
        let before = Sample { user_secs: 1.0, system_secs: 2.0, anonymous_bytes: 5, file_bytes: 6 };
        let after = Sample { user_secs: 1.5, system_secs: 2.25, anonymous_bytes: 7, file_bytes: 8 };
        let cost = Cost::between(9, &before, &after, 100_000);
        assert!((cost.cpu_us_per_op - 7.5).abs() < 1e-9, "{cost:?}");
        assert!((cost.user_us_per_op - 5.0).abs() < 1e-9, "{cost:?}");
        assert_eq!((cost.rss_anonymous_bytes, cost.rss_file_bytes), (7, 8));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_measured() {
        let meter = Meter::start(&[]).unwrap();
        let costs = meter.finish(1).unwrap();
        assert!(costs.client.unwrap().rss_anonymous_bytes > 0);
        assert!(costs.servers.is_empty());
        assert!(Meter::start(&[u32::MAX]).is_err());
    }
}
