//! Where the figures were measured: without it they mean nothing.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use time::{OffsetDateTime, macros::format_description};

use super::{guard::Folder, places::workspace};

/// Writes of the disk's sync time.
const SYNCS: usize = 200;
/// Bytes of one of them: a block, as a log writes it.
const SYNC_BYTES: usize = 4096;

/// How long the machine is looked at for what else it does.
const LOOK: Duration = Duration::from_secs(2);
/// Part of the machine that may be busy with other things without a word about it.
const QUIET: f64 = 0.03;

/// One paragraph: date, version of the sources, processor, memory, kernel, file system, how long a sync takes, and
/// whether the machine was busy with something else.
pub(crate) fn describe(data_root: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let before = busy_and_all(&read("/proc/stat"));
    thread::sleep(LOOK);
    let others = before.zip(busy_and_all(&read("/proc/stat"))).map_or(0.0, |(before, after)| {
        after.0.saturating_sub(before.0) as f64 / after.1.saturating_sub(before.1).max(1) as f64
    });
    let cpuinfo = read("/proc/cpuinfo");
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory_kib = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
    let sync = sync_time(data_root)
        .map_or_else(|error| error.to_string(), |seconds| format!("{:.3} ms", seconds * 1e3));
    let mut text = format!(
        "Measured on {}, sources {}: {cores} cores of {}, {:.0} GiB of memory, Linux {}, data on {}; a write of 4 KiB \
         and its fdatasync took {sync} (median).",
        today(),
        commit(),
        field(&cpuinfo, "model name").unwrap_or("an unknown processor"),
        memory_kib.unwrap_or(0.0) / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
        file_system(&read("/proc/self/mounts"), &fs::canonicalize(data_root).unwrap_or_default()),
    );
    if others > QUIET {
        let note =
            format!(" **Other processes used {:.0} % of the machine** when the run began.", others * 100.0);
        text.push_str(&note);
    }
    text
}

/// Bytes that this process has allocated and that are resident; pages of files do not count.
#[cfg(feature = "engines")]
pub(crate) fn anonymous_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = field(&status, "RssAnon").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("/proc/self/status has no RssAnon"))
}

/// Ticks in which any core was busy, and all ticks, from the first line of `/proc/stat`: user, nice, system, idle,
/// waiting for the disk, interrupts, soft interrupts, stolen.
fn busy_and_all(stat: &str) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .map_while(|tick| tick.parse().ok())
        .collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all: u64 = ticks.iter().sum();
    Some((all - idle, all))
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
}

/// Type of the file system that `path` is on: that of the longest mount point above it.
fn file_system(mounts: &str, path: &Path) -> String {
    let mut found = (0, "an unknown file system");
    for mount in mounts.lines() {
        let mut words = mount.split(' ').skip(1);
        if let (Some(point), Some(kind)) = (words.next(), words.next()) {
            // Later mounts hide earlier ones at the same point.
            if path.starts_with(point) && point.len() >= found.0 {
                found = (point.len(), kind);
            }
        }
    }
    found.1.to_owned()
}

fn today() -> String {
    let format = format_description!("[year]-[month]-[day]");
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

/// The commit of the sources, marked when they differ from it.
fn commit() -> String {
    let mut command = Command::new("git");
    command.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(workspace());
    match command.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "of an unknown commit".to_owned(),
    }
}

/// Median time of a small write and its fdatasync, in seconds.
fn sync_time(data_root: &Path) -> io::Result<f64> {
    let folder = Folder::new(data_root)?;
    let mut file = fs::File::create(folder.path().join("sync"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2].as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_wins() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n/dev/b /data/disk xfs rw 0 0\n";
        for (path, kind) in
            [("/home", "ext4"), ("/data", "tmpfs"), ("/data/disk/x", "xfs"), ("/database", "ext4")]
        {
            assert_eq!(file_system(mounts, Path::new(path)), kind, "{path}");
        }
        assert_eq!(file_system("", Path::new("/")), "an unknown file system");
    }

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(busy_and_all("cpu  10 1 5 100 20 2 3 4 0 0\ncpu0 1 2 3\n"), Some((25, 145)));
        assert_eq!(busy_and_all(""), None);
    }

    #[test]
    fn fields_are_found() {
        let text = "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nMemTotal:       1024 kB\n";
        assert_eq!(field(text, "model name"), Some("Fast CPU @ 3 GHz"));
        assert_eq!(field(text, "MemTotal"), Some("1024 kB"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn the_paragraph_is_complete() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = describe(folder.path());
        assert!(text.starts_with("Measured on 20") && text.contains(" ms (median)."), "{text}");
    }
}
