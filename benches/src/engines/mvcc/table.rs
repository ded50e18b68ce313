//! The figures of the multi-version store as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::ValueEnum;

use super::super::cost::Cost;
use super::super::data::{Order, Shape};
use super::phase::MvccPhase;
use crate::common::numbers::{median, thousands, three_digits};

/// Every run of a phase.
pub(super) type Figures = BTreeMap<(MvccPhase, Order), Vec<Cost>>;

/// A column for each order of the load.
pub(super) fn render(keys: u64, orders: &[Order], figures: &Figures) -> String {
    let mut text = format!("| {} keys, 40 + 256 bytes |", thousands(keys as f64));
    for order in orders {
        let name = match order {
            Order::Ascending => "loaded in the order of keys",
            Order::Random => "loaded in random order",
        };
        let _ = write!(text, " {name} |");
    }
    let _ = write!(text, "\n| --- |{}\n", " ---: |".repeat(orders.len()));
    let mut row = |title: &str, cell: &dyn Fn(Order) -> Option<String>| {
        let cells: Vec<String> = orders.iter().map(|&order| cell(order).unwrap_or_default()).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
        }
    };
    let stored = keys as f64 * (Shape::Registry.key_bytes() + Shape::Registry.value_bytes()) as f64;
    for &phase in MvccPhase::value_variants() {
        let middle = |order, figure: fn(&Cost) -> f64| {
            median(figures.get(&(phase, order))?.iter().map(figure).collect())
        };
        row(phase.title(), &|order| {
            Some(time(phase, middle(order, Cost::wall_each)?, middle(order, Cost::cpu_each)?))
        });
        if let Some(step) = phase.step() {
            row(&format!("{step}, {}", phase.title()), &|order| {
                let longest = middle(order, |cost| cost.longest.as_secs_f64())?;
                Some(format!("{} ms", three_digits(longest * 1e3)))
            });
        }
        if phase == MvccPhase::Load {
            row("anonymous memory after the load", &|order| {
                Some(format!("{} MB", three_digits(middle(order, |cost| cost.anonymous_bytes as f64)? / 1e6)))
            });
            row("file after the load", &|order| {
                let bytes = middle(order, |cost| cost.disk_bytes as f64)?;
                let times = three_digits(bytes / stored);
                Some(format!("{} MB, {times} × the bytes put", three_digits(bytes / 1e6)))
            });
        }
    }
    text
}

/// Wall and processor time, in the unit that goes with the phase.
fn time(phase: MvccPhase, wall: f64, cpu: f64) -> String {
    let (factor, unit) = match phase {
        MvccPhase::Reopen => (1e3, "ms"),
        _ => (1e6, "µs"),
    };
    let [wall, cpu] = [wall, cpu].map(|seconds| three_digits(seconds * factor));
    format!("{wall} ({cpu}) {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn columns_are_orders() {
        let cost = |micros| Cost {
            wall: Duration::from_micros(micros),
            cpu: Duration::from_micros(micros / 2),
            operations: 1000,
            longest: Duration::from_micros(7500),
            disk_bytes: 592_000,
            anonymous_bytes: 50_000_000,
        };
        let figures = Figures::from([
            ((MvccPhase::Load, Order::Ascending), vec![cost(3000)]),
            ((MvccPhase::Load, Order::Random), vec![cost(6000)]),
            ((MvccPhase::Gets, Order::Random), vec![cost(1500)]),
        ]);
        let text = render(1000, &[Order::Ascending, Order::Random], &figures);
        for row in [
            "| load: put of a new key | 3.00 (1.50) µs | 6.00 (3.00) µs |\n",
            "| longest batch of 500, load: put of a new key | 7.50 ms | 7.50 ms |\n",
            "| anonymous memory after the load | 50.0 MB | 50.0 MB |\n",
            "| file after the load | 0.592 MB, 2.00 × the bytes put | 0.592 MB, 2.00 × the bytes put |\n",
            "| get of the newest revision |  | 1.50 (0.750) µs |\n",
        ] {
            assert!(text.contains(row), "{row} is missing in\n{text}");
        }
        assert!(!text.contains("kill"), "{text}");
    }
}
