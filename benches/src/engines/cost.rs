//! What a phase has cost, and the line that tells it.
//!
//! A line is `ok` and six numbers: wall time and processor time in nanoseconds, the number of operations, the longest
//! step in nanoseconds, the blocks of the files and the anonymous memory of the process in bytes; or `error` and why.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};

use super::engine::Outcome;
use crate::common::machine;

/// What a phase has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of the whole process, threads in the background and all.
    pub(crate) cpu: Duration,
    /// Among how many operations these are shared.
    pub(crate) operations: u64,
    /// Wall time of the longest step, where a phase has steps that others would wait for.
    pub(crate) longest: Duration,
    /// Blocks of the files after it.
    pub(crate) disk_bytes: u64,
    /// What the process has allocated, after it.
    pub(crate) anonymous_bytes: u64,
}

impl Cost {
    /// Runs `work`, which returns how many operations it was.
    pub(crate) fn of(work: impl FnOnce() -> Outcome<u64>) -> Outcome<Self> {
        let (start, cpu) = (Instant::now(), cpu_time());
        let operations = work()?;
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        Ok(Self { wall, cpu, operations, ..Self::default() })
    }

    /// Runs `step` with 0, 1, 2 and so on, until it returns nothing in place of a number of operations.
    pub(crate) fn of_steps(mut step: impl FnMut(u64) -> Outcome<Option<u64>>) -> Outcome<Self> {
        let mut longest = Duration::ZERO;
        let cost = Self::of(|| {
            let (mut turn, mut operations) = (0, 0);
            loop {
                let start = Instant::now();
                let Some(more) = step(turn)? else { return Ok(operations) };
                longest = longest.max(start.elapsed());
                operations += more;
                turn += 1;
            }
        })?;
        Ok(Self { longest, ..cost })
    }

    /// With the sizes as they are now.
    pub(crate) fn with_sizes(self, folder: &Path) -> io::Result<Self> {
        let anonymous_bytes = machine::anonymous_bytes()?;
        Ok(Self { disk_bytes: disk_bytes(folder)?, anonymous_bytes, ..self })
    }

    /// Seconds that an operation took.
    pub(crate) fn wall_each(&self) -> f64 {
        self.wall.as_secs_f64() / self.operations.max(1) as f64
    }

    /// Seconds of processor time that an operation took.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() / self.operations.max(1) as f64
    }

    /// The line that tells it.
    pub(crate) fn line(&self) -> String {
        let Self { wall, cpu, operations, longest, disk_bytes, anonymous_bytes } = self;
        let [wall, cpu, longest] = [wall, cpu, longest].map(Duration::as_nanos);
        format!("ok {wall} {cpu} {operations} {longest} {disk_bytes} {anonymous_bytes}")
    }

    /// Reads a line; the error is what it says went wrong.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let unknown = || format!("an answer that is none: {line:?}");
        let Some(numbers) = line.strip_prefix("ok ") else {
            return Err(line.strip_prefix("error ").map_or_else(unknown, |reason| reason.trim().to_owned()));
        };
        let numbers: Vec<u64> =
            numbers.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        let &[wall, cpu, operations, longest, disk_bytes, anonymous_bytes] = &numbers[..] else {
            return Err(unknown());
        };
        let [wall, cpu, longest] = [wall, cpu, longest].map(Duration::from_nanos);
        Ok(Self { wall, cpu, operations, longest, disk_bytes, anonymous_bytes })
    }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Bytes on disk of everything in a folder, in blocks, so that holes do not count.
fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // A contender may remove files of its own meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_read_back() {
        let text = "ok 2000 1000 3 500 4096 8192";
        let cost = Cost::parse(&format!("{text}\n")).unwrap();
        assert_eq!((cost.line().as_str(), cost.operations, cost.anonymous_bytes), (text, 3, 8192));
        assert_eq!(Cost::parse("error no space\n").err().as_deref(), Some("no space"));
        assert!(Cost::parse("ok 1 2").is_err() && Cost::parse("").is_err());
    }

    #[test]
    fn steps_are_summed() {
        let cost = Cost::of_steps(|turn| {
            std::thread::sleep(Duration::from_millis(u64::from(turn == 1)));
            Ok((turn < 3).then_some(turn + 10))
        })
        .unwrap();
        assert_eq!(cost.operations, 33);
        assert!(cost.longest >= Duration::from_millis(1) && cost.wall >= cost.longest);
    }

    #[test]
    fn sizes_are_of_this_process_and_of_all_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/file"), [1; 10_000]).unwrap();
        let cost = Cost::default().with_sizes(folder.path()).unwrap();
        assert!(cost.disk_bytes >= 8192 && cost.anonymous_bytes > 0, "{cost:?}");
    }
}
