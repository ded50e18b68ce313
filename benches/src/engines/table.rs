//! The figures as Markdown.

use std::fmt::Write;

use clap::ValueEnum;

use super::cost::Cost;
use super::data::Shape;
use super::options::{Contender, word};
use super::phase::Phase;
use super::run::Figures;
use crate::common::numbers::{median, thousands, three_digits};

/// One table: rows of times and sizes, a column for each contender.
pub(crate) fn render(shape: Shape, keys: u64, figures: &Figures) -> String {
    let contenders: Vec<Contender> = Contender::value_variants()
        .iter()
        .copied()
        .filter(|&who| figures.keys().any(|&(of, _, whose)| of == shape && whose == who))
        .collect();
    let bytes = keys * (shape.key_bytes() + shape.value_bytes()) as u64;
    let mut text = format!(
        "| {} keys, {} bytes ({} MB) |",
        thousands(keys as f64),
        word(&shape).replace('+', " + "),
        thousands(bytes as f64 / 1e6)
    );
    for who in &contenders {
        let _ = write!(text, " {} |", who.title());
    }
    let _ = write!(text, "\n| --- |{}\n| a commit is |", " ---: |".repeat(contenders.len()));
    for who in &contenders {
        let _ = write!(text, " {} |", who.durability());
    }
    text.push('\n');
    let mut row = |title: String, cell: &dyn Fn(Contender) -> Option<String>| {
        let cells: Vec<String> = contenders.iter().map(|&who| cell(who).unwrap_or_default()).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
        }
    };
    for &phase in Phase::value_variants() {
        row(phase.title().to_owned(), &|who| time(figures, (shape, phase), who));
        if phase.changes_size() {
            row(format!("{}: files after it", phase.title()), &|who| {
                size(figures, (shape, phase), who, |cost| cost.disk_bytes as f64)
            });
        }
        if phase == Phase::FullScan {
            row("anonymous memory after the scans".to_owned(), &|who| {
                size(figures, (shape, phase), who, |cost| cost.anonymous_bytes as f64)
            });
        }
    }
    text
}

fn middle(
    figures: &Figures,
    (shape, phase): (Shape, Phase),
    who: Contender,
    figure: impl Fn(&Cost) -> f64,
) -> Option<f64> {
    median(figures.get(&(shape, phase, who))?.iter().map(figure).collect())
}

/// How many times more than ours a figure is.
fn ratio(ours: Option<f64>, theirs: f64, who: Contender) -> String {
    match ours {
        Some(ours) if who != Contender::Holdfast && ours > 0.0 => {
            format!(" · {} ×", three_digits(theirs / ours))
        }
        _ => String::new(),
    }
}

/// Wall time of an operation, its processor time, and how many times longer than ours it took.
fn time(figures: &Figures, of: (Shape, Phase), who: Contender) -> Option<String> {
    let wall = middle(figures, of, who, Cost::wall_each)?;
    let cpu = middle(figures, of, who, Cost::cpu_each)?;
    let ours = middle(figures, of, Contender::Holdfast, Cost::wall_each);
    let (factor, unit) = if of.1 == Phase::Reopen { (1e3, "ms") } else { (1e6, "µs") };
    let [shown, cpu] = [wall, cpu].map(|seconds| three_digits(seconds * factor));
    Some(format!("{shown} ({cpu}) {unit}{}", ratio(ours, wall, who)))
}

/// Megabytes, and how many times more than ours.
fn size(figures: &Figures, of: (Shape, Phase), who: Contender, bytes: fn(&Cost) -> f64) -> Option<String> {
    let bytes = |who| middle(figures, of, who, bytes);
    let theirs = bytes(who)?;
    Some(format!("{} MB{}", three_digits(theirs / 1e6), ratio(bytes(Contender::Holdfast), theirs, who)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn cost(micros: u64, bytes: u64) -> Cost {
        let wall = Duration::from_micros(micros);
        Cost { wall, cpu: wall / 2, operations: 1000, disk_bytes: bytes, ..Cost::default() }
    }

    #[test]
    fn rows_tell_who_is_better() {
        let mut figures = Figures::new();
        let mut add = |phase, who, micros| {
            figures.entry((Shape::Random, phase, who)).or_default().push(cost(micros, micros * 1000));
        };
        add(Phase::LoadRandom, Contender::Holdfast, 1000);
        add(Phase::LoadRandom, Contender::Lmdb, 1500);
        add(Phase::Gets, Contender::Holdfast, 500);
        add(Phase::Gets, Contender::Holdfast, 700);
        add(Phase::Gets, Contender::Redb, 1200);
        let text = render(Shape::Random, 1_000_000, &figures);
        for row in [
            "| 1,000,000 keys, 24 + 150 bytes (174 MB) | Holdfast | LMDB | redb |\n",
            "| bulk load, random order | 1.00 (0.500) µs | 1.50 (0.750) µs · 1.50 × |  |\n",
            "| bulk load, random order: files after it | 1.00 MB | 1.50 MB · 1.50 × |  |\n",
            "| random reads | 0.600 (0.300) µs |  | 1.20 (0.600) µs · 2.00 × |\n",
        ] {
            assert!(text.contains(row), "{row} is missing in\n{text}");
        }
        assert!(!text.contains("scan"), "{text}");
    }
}
