//! The figures as Markdown.

use std::fmt::Write;

use clap::ValueEnum;

use super::data::Shape;
use super::options::{Contender, word};
use super::phase::{Cost, Phase};
use super::run::Figures;
use crate::common::numbers::{median, thousands, three_digits};

/// One table: a row for each phase, a column for each contender.
pub(crate) fn render(shape: Shape, keys: u64, figures: &Figures) -> String {
    let contenders: Vec<Contender> = Contender::value_variants()
        .iter()
        .copied()
        .filter(|&who| figures.keys().any(|&(of, _, whose)| of == shape && whose == who))
        .collect();
    let mut text = format!("| {} keys of {} bytes |", thousands(keys as f64), word(&shape));
    for who in &contenders {
        let _ = write!(text, " {} |", who.title());
    }
    let _ = write!(text, "\n| --- |{}\n", " ---: |".repeat(contenders.len()));
    for &phase in Phase::value_variants() {
        let cells: Vec<String> = contenders.iter().map(|&who| cell(figures, shape, phase, who)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {} | {} |", phase.title(), cells.join(" | "));
        }
    }
    text
}

/// Wall time of an operation, its processor time, and how many times better ours is.
fn cell(figures: &Figures, shape: Shape, phase: Phase, who: Contender) -> String {
    let figure = |who, time: fn(&Cost) -> f64| {
        let runs = figures.get(&(shape, phase, who))?;
        median(runs.iter().map(|(cost, _)| time(cost) * 1e6 / cost.operations.max(1) as f64).collect())
    };
    let wall = |who| figure(who, |cost| cost.wall.as_secs_f64());
    let (Some(time), Some(cpu)) = (wall(who), figure(who, |cost| cost.cpu.as_secs_f64())) else {
        return String::new();
    };
    let ratio = match wall(Contender::Holdfast) {
        Some(ours) if who != Contender::Holdfast => format!(" · {} ×", three_digits(time / ours)),
        _ => String::new(),
    };
    format!("{} ({}) µs{ratio}", three_digits(time), three_digits(cpu))
}
