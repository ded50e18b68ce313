//! The process of a contender of ours: opens its database, then reads the name of a phase from standard input, runs it,
//! and writes its figures as one line to standard output, until the input ends.
//!
//! A line of figures is `ok`, wall time and processor time in nanoseconds, the number of operations, and the blocks of
//! the files in bytes; or `error` and the reason. The first such line, without being asked for, is that of opening.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use clap::ValueEnum;

use super::engine::{Engine, Outcome};
use super::fjall::Fjall;
use super::holdfast::Holdfast;
use super::lmdb::Lmdb;
use super::options::{Contender, Job};
use super::phase::{Cost, Phase};
use super::redb::Redb;
use super::steps::Bench;

/// Asks for commits until the process is killed.
pub(crate) const ENDLESS: &str = "endless";

/// Does what standard input says until it ends.
pub(crate) fn serve(job: &Job) -> Outcome<()> {
    match job.name {
        Contender::Holdfast => serve_with::<Holdfast>(job),
        Contender::Lmdb => serve_with::<Lmdb>(job),
        Contender::Redb => serve_with::<Redb>(job),
        Contender::Fjall => serve_with::<Fjall>(job),
        Contender::Bbolt => Err("bbolt has a program of its own".into()),
    }
}

fn serve_with<E: Engine>(job: &Job) -> Outcome<()> {
    let (mut bench, opening) = Bench::<E>::open(job)?;
    answer(Ok(opening))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line == ENDLESS {
            bench.commit_for_ever()?;
        }
        answer(Phase::from_str(&line, false).map_err(Into::into).and_then(|phase| bench.run(phase)))?;
    }
    Ok(())
}

fn answer(outcome: Outcome<Cost>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match outcome {
        Ok(cost) => writeln!(out, "{}", line(&cost))?,
        Err(error) => writeln!(out, "error {}", error.to_string().replace('\n', " "))?,
    }
    out.flush()
}

fn line(cost: &Cost) -> String {
    let Cost { wall, cpu, operations, disk_bytes } = cost;
    format!("ok {} {} {operations} {disk_bytes}", wall.as_nanos(), cpu.as_nanos())
}

/// Reads a line of figures.
pub(crate) fn parse(line: &str) -> Result<Cost, String> {
    let unknown = || format!("an answer that is none: {line:?}");
    let Some(numbers) = line.strip_prefix("ok ") else {
        return Err(line.strip_prefix("error ").map_or_else(unknown, |reason| reason.trim().to_owned()));
    };
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let &[wall, cpu, operations, disk_bytes] = &numbers[..] else { return Err(unknown()) };
    let (wall, cpu) = (Duration::from_nanos(wall), Duration::from_nanos(cpu));
    Ok(Cost { wall, cpu, operations, disk_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_back() {
        let text = "ok 2000 1000 3 4096";
        assert_eq!(parse(&format!("{text}\n")).map(|cost| line(&cost)), Ok(text.to_owned()));
        assert_eq!(parse("error no space\n").err().as_deref(), Some("no space"));
        assert!(parse("ok 1 2").is_err() && parse("").is_err());
    }
}
