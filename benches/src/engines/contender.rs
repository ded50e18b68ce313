//! The process of a contender: reads the name of a phase from standard input, runs it, writes its figures as one line
//! to standard output, until the input ends.
//!
//! A line of figures is `ok`, wall time and processor time in nanoseconds, the number of operations, and the blocks of
//! the folder in bytes; or `error` and the reason.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::data::Data;
use super::engine::{Engine, Outcome};
use super::holdfast::Holdfast;
use super::lmdb::Lmdb;
use super::options::{Contender, Job};
use super::phase::{Bench, Cost, Phase};

/// Does what standard input says until it ends.
pub(crate) fn serve(job: &Job) -> Outcome<()> {
    match job.name {
        Contender::Holdfast => serve_with::<Holdfast>(job),
        Contender::Lmdb => serve_with::<Lmdb>(job),
    }
}

fn serve_with<E: Engine>(job: &Job) -> Outcome<()> {
    let mut bench = Bench {
        engine: E::open(&job.folder)?,
        data: Data::new(job.shape),
        folder: job.folder.clone(),
        keys: job.keys,
        there: 0..0,
        salt: 0,
    };
    for line in io::stdin().lock().lines() {
        let answer = Phase::from_str(&line?, false)
            .map_err(Into::into)
            .and_then(|phase| bench.run(phase))
            .and_then(|cost| Ok((cost, disk_bytes(&job.folder)?)));
        let mut out = io::stdout().lock();
        match answer {
            Ok((cost, bytes)) => writeln!(
                out,
                "ok {} {} {} {bytes}",
                cost.wall.as_nanos(),
                cost.cpu.as_nanos(),
                cost.operations
            )?,
            Err(error) => writeln!(out, "error {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

/// Reads a line of figures.
pub(crate) fn parse(line: &str) -> Result<(Cost, u64), String> {
    let unknown = || format!("an answer that is none: {line:?}");
    let Some(numbers) = line.strip_prefix("ok ") else {
        return Err(line.strip_prefix("error ").map_or_else(unknown, |reason| reason.trim().to_owned()));
    };
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let &[wall, cpu, operations, bytes] = &numbers[..] else { return Err(unknown()) };
    let (wall, cpu) = (Duration::from_nanos(wall), Duration::from_nanos(cpu));
    Ok((Cost { wall, cpu, operations }, bytes))
}

/// Bytes on disk of everything in a folder, in blocks, so that holes do not count.
fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_back() {
        let (cost, bytes) = parse("ok 2000 1000 3 4096\n").unwrap_or_default();
        assert_eq!(
            (cost.wall.as_nanos(), cost.cpu.as_nanos(), cost.operations, bytes),
            (2000, 1000, 3, 4096)
        );
        assert_eq!(parse("error no space\n").err().as_deref(), Some("no space"));
        assert!(parse("ok 1 2").is_err() && parse("").is_err());
    }
}
