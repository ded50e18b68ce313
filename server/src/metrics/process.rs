//! `process_*`, `os_fd_*` and the names of the Go runtime, read from `/proc` at each scrape.
//!
//! Dashboards made for Go programs ask for `go_*`. Where a name has a meaning for any process (threads, memory obtained) it is
//! answered with that; what only a garbage collector has is 0.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// One look at the process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    cpu_seconds: f64,
    start_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
    anonymous_bytes: u64,
    threads: u64,
    tasks: u64,
    open_fds: u64,
}

/// Reads `/proc/self`. What cannot be read is 0: metrics must not fail a scrape.
pub(super) fn usage() -> Usage {
    let mut usage = Usage::default();
    if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
        usage.take_stat(&stat);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        usage.take_status(&status);
    }
    usage.open_fds = fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64);
    usage.tasks =
        tokio::runtime::Handle::try_current().map_or(0, |handle| handle.metrics().num_alive_tasks() as u64);
    usage
}

impl Usage {
    /// Fields 14, 15, 22, 23 and 24 of `proc_pid_stat(5)`, counted behind the name in parentheses.
    fn take_stat(&mut self, stat: &str) {
        let Some((_, rest)) = stat.rsplit_once(')') else { return };
        let fields: Vec<u64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        let hertz = clock_ticks_per_second() as f64;
        self.cpu_seconds = (field(14) + field(15)) as f64 / hertz;
        self.start_seconds = boot_time() as f64 + field(22) as f64 / hertz;
        self.virtual_bytes = field(23);
        self.resident_bytes = field(24) * page_size() as u64;
    }

    fn take_status(&mut self, status: &str) {
        for line in status.lines() {
            let mut words = line.split_whitespace();
            let (name, value) = (words.next(), words.next().and_then(|word| word.parse::<u64>().ok()));
            match (name, value) {
                (Some("RssAnon:"), Some(kib)) => self.anonymous_bytes = kib * 1024,
                (Some("Threads:"), Some(threads)) => self.threads = threads,
                _ => {}
            }
        }
    }
}

/// Unix seconds at which the machine was started.
fn boot_time() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0)
}

/// Soft limit of a resource; no limit is the greatest number.
fn limit(resource: Resource) -> u64 {
    getrlimit(resource).current.unwrap_or(u64::MAX)
}

/// The families in the text format.
pub(super) fn text(usage: &Usage) -> String {
    let mut out = String::with_capacity(8192);
    let mut family = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    let fds = limit(Resource::Nofile) as f64;
    family("process_cpu_seconds_total", "counter", "Processor time used, in seconds.", usage.cpu_seconds);
    family("process_max_fds", "gauge", "Most file descriptors allowed.", fds);
    family("process_open_fds", "gauge", "File descriptors open.", usage.open_fds as f64);
    family("process_resident_memory_bytes", "gauge", "Memory in use.", usage.resident_bytes as f64);
    family("process_start_time_seconds", "gauge", "Unix time of the start.", usage.start_seconds);
    family("process_virtual_memory_bytes", "gauge", "Address space in use.", usage.virtual_bytes as f64);
    let address_space = limit(Resource::As) as f64;
    family("process_virtual_memory_max_bytes", "gauge", "Most address space allowed.", address_space);
    family("os_fd_limit", "gauge", "Most file descriptors allowed.", fds);
    family("os_fd_used", "gauge", "File descriptors open.", usage.open_fds as f64);
    for (name, kind, source) in GO {
        let (help, value) = match source {
            Source::Tasks => ("Asynchronous tasks.", usage.tasks),
            Source::Threads => ("Threads of the operating system.", usage.threads),
            Source::Anonymous => ("Anonymous memory of the process.", usage.anonymous_bytes),
            Source::Nothing => ("Always 0: there is no Go runtime.", 0),
        };
        family(name, kind, help, value as f64);
    }
    let version = crate::version::go();
    let _ = write!(
        out,
        "# HELP go_info What the server is built with.\n# TYPE go_info gauge\ngo_info{{version=\"{version}\"}} 1\n\
         # HELP go_gc_duration_seconds Always 0: there is no garbage collector.\n# TYPE go_gc_duration_seconds summary\n"
    );
    for quantile in ["0", "0.25", "0.5", "0.75", "1"] {
        let _ = writeln!(out, "go_gc_duration_seconds{{quantile=\"{quantile}\"}} 0");
    }
    out.push_str("go_gc_duration_seconds_sum 0\ngo_gc_duration_seconds_count 0\n");
    out
}

#[derive(Clone, Copy)]
enum Source {
    Tasks,
    Threads,
    Anonymous,
    Nothing,
}

/// The names that Go's Prometheus library exports by default.
static GO: &[(&str, &str, Source)] = &[
    ("go_goroutines", "gauge", Source::Tasks),
    ("go_threads", "gauge", Source::Threads),
    ("go_memstats_alloc_bytes", "gauge", Source::Anonymous),
    ("go_memstats_alloc_bytes_total", "counter", Source::Nothing),
    ("go_memstats_buck_hash_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_frees_total", "counter", Source::Nothing),
    ("go_memstats_gc_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_heap_alloc_bytes", "gauge", Source::Anonymous),
    ("go_memstats_heap_idle_bytes", "gauge", Source::Nothing),
    ("go_memstats_heap_inuse_bytes", "gauge", Source::Anonymous),
    ("go_memstats_heap_objects", "gauge", Source::Nothing),
    ("go_memstats_heap_released_bytes", "gauge", Source::Nothing),
    ("go_memstats_heap_sys_bytes", "gauge", Source::Anonymous),
    ("go_memstats_last_gc_time_seconds", "gauge", Source::Nothing),
    ("go_memstats_lookups_total", "counter", Source::Nothing),
    ("go_memstats_mallocs_total", "counter", Source::Nothing),
    ("go_memstats_mcache_inuse_bytes", "gauge", Source::Nothing),
    ("go_memstats_mcache_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_mspan_inuse_bytes", "gauge", Source::Nothing),
    ("go_memstats_mspan_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_next_gc_bytes", "gauge", Source::Nothing),
    ("go_memstats_other_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_stack_inuse_bytes", "gauge", Source::Nothing),
    ("go_memstats_stack_sys_bytes", "gauge", Source::Nothing),
    ("go_memstats_sys_bytes", "gauge", Source::Anonymous),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_behind_any_name() {
        let mut usage = Usage::default();
        let numbers: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        usage.take_stat(&format!("1 (a) b) S {}", numbers.join(" ")));
        assert_eq!(usage.virtual_bytes, 23);
        assert_eq!(usage.resident_bytes, 24 * page_size() as u64);
        usage.take_stat("nonsense");
    }

    #[test]
    fn this_process_is_alive() {
        let usage = usage();
        assert!(usage.resident_bytes > 0 && usage.threads > 0 && usage.open_fds > 2);
        assert!(usage.start_seconds > 1e9);
    }
}
