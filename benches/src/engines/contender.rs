//! The process of a contender of ours: opens its database, then reads the name of a phase from standard input, runs it,
//! and writes what it has cost as one line (see [`super::cost`]) to standard output, until the input ends. The first
//! such line, without being asked for, is that of opening.

use std::io::{self, BufRead, Write};

use super::cost::Cost;
use super::engine::Outcome;
use super::fjall::Fjall;
use super::holdfast::Holdfast;
use super::lmdb::Lmdb;
use super::options::{Contender, Job};
use super::redb::Redb;
use super::steps::Bench;

/// Asks for commits until the process is killed.
pub(crate) const ENDLESS: &str = "endless";

/// A database under phases.
pub(crate) trait Contest: Sized {
    /// What its process is told on the command line.
    type Job;

    /// Opens the database of a job and reads the first key, when there should be one.
    fn open(job: &Self::Job) -> Outcome<(Self, Cost)>;

    /// Runs the phase of this name.
    fn run(&mut self, phase: &str) -> Outcome<Cost>;

    /// Commits until the process is killed.
    fn commit_for_ever(&mut self) -> Outcome<()>;
}

/// Runs the process of an engine.
pub(crate) fn main(job: &Job) -> Outcome<()> {
    match job.name {
        Contender::Holdfast => serve::<Bench<Holdfast>>(job),
        Contender::Lmdb => serve::<Bench<Lmdb>>(job),
        Contender::Redb => serve::<Bench<Redb>>(job),
        Contender::Fjall => serve::<Bench<Fjall>>(job),
        Contender::Bbolt => Err("bbolt has a program of its own".into()),
    }
}

/// Does what standard input says until it ends.
pub(crate) fn serve<C: Contest>(job: &C::Job) -> Outcome<()> {
    let (mut contest, opening) = C::open(job)?;
    answer(Ok(opening))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line == ENDLESS {
            contest.commit_for_ever()?;
        }
        answer(contest.run(&line))?;
    }
    Ok(())
}

fn answer(outcome: Outcome<Cost>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match outcome {
        Ok(cost) => writeln!(out, "{}", cost.line())?,
        Err(error) => writeln!(out, "error {}", error.to_string().replace('\n', " "))?,
    }
    out.flush()
}
