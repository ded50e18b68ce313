//! The figures as a Markdown table.

use crate::common::numbers::{thousands, three_digits};

use super::{
    figures::Measured,
    programs::ETCD_VERSION,
    rounds::{Phase, WIDE_RANGE_KEYS},
    server::Subject,
};

/// Below this part of its core a server that should be saturated was not.
const SATURATED: f64 = 0.9;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    PerSecond,
    Milliseconds,
    Seconds,
    Microseconds,
    Megabytes,
}

impl Unit {
    /// `value`, in the unit's base (seconds, bytes, microseconds of CPU), as text.
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::Milliseconds => format!("{} ms", three_digits(value * 1e3)),
            Self::Seconds => format!("{} s", three_digits(value)),
            Self::Microseconds => format!("{} µs", three_digits(value)),
            Self::Megabytes => format!("{} MB", three_digits(value / 1e6)),
        }
    }
}

/// One row: the same figure of all who have it.
#[derive(Debug)]
struct Row {
    what: String,
    unit: Unit,
    holdfast: Option<f64>,
    etcd: Option<f64>,
    floor: Option<f64>,
}

impl Row {
    /// How many times better Holdfast is: above one it is.
    fn ratio(&self) -> Option<f64> {
        let (holdfast, etcd) = (self.holdfast?, self.etcd?);
        let ratio = if self.unit == Unit::PerSecond { holdfast / etcd } else { etcd / holdfast };
        ratio.is_finite().then_some(ratio)
    }

    fn markdown(&self) -> String {
        let show = |value: Option<f64>| value.map_or_else(String::new, |value| self.unit.show(value));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{} ×", three_digits(ratio)));
        let [holdfast, etcd, floor] = [self.holdfast, self.etcd, self.floor].map(show);
        format!("| {} | {holdfast} | {etcd} | {ratio} | {floor} |\n", self.what)
    }
}

/// The whole table, and notes about what was not as it should be.
pub(crate) fn render(measured: &Measured) -> String {
    let mut text = format!(
        "| figure | Holdfast | etcd {ETCD_VERSION} | times better | floor |\n| --- | ---: | ---: | ---: | ---: |\n"
    );
    for row in phase_rows(measured).into_iter().chain(load_rows(measured)) {
        text.push_str(&row.markdown());
    }
    for (index, note) in notes(measured).iter().enumerate() {
        text.extend([if index == 0 { "\nNote:\n\n- " } else { "- " }, note, "\n"]);
    }
    text
}

fn phase_rows(measured: &Measured) -> Vec<Row> {
    let mut rows = Vec::new();
    for phase in Phase::ALL {
        let mut row = |what: &str, unit, value: &dyn Fn(Subject) -> Option<f64>| {
            rows.push(Row {
                what: format!("{}: {what}", phase.name()),
                unit,
                holdfast: value(Subject::Holdfast),
                etcd: value(Subject::Etcd),
                floor: value(Subject::Floor),
            });
        };
        if phase.saturates() {
            row("throughput", Unit::PerSecond, &|who| measured.median(phase, who, |run| run.throughput));
            row("server CPU", Unit::Microseconds, &|who| {
                measured.median(phase, who, |run| run.server_cpu_us)
            });
        }
        row("p50", Unit::Milliseconds, &|who| measured.median(phase, who, |run| run.p50));
        row("p99", Unit::Milliseconds, &|who| measured.median(phase, who, |run| run.p99));
        row("slowest", Unit::Milliseconds, &|who| measured.most(phase, who, |run| run.slowest));
    }
    rows
}

fn load_rows(measured: &Measured) -> Vec<Row> {
    if measured.loads.is_empty() {
        return Vec::new();
    }
    let keys = thousands(measured.load_keys as f64);
    let wide = thousands(measured.load_keys.min(WIDE_RANGE_KEYS) as f64);
    let mut rows = Vec::new();
    let mut row = |what: String, unit, figure: &dyn Fn(&super::figures::Load) -> f64| {
        rows.push(Row {
            what,
            unit,
            holdfast: measured.load(Subject::Holdfast, figure),
            etcd: measured.load(Subject::Etcd, figure),
            floor: None,
        });
    };
    row(format!("{keys} keys of 32 + 256 bytes: throughput"), Unit::PerSecond, &|load| load.puts.throughput);
    row("slowest put meanwhile".to_owned(), Unit::Milliseconds, &|load| load.puts.slowest);
    row("anonymous memory after them".to_owned(), Unit::Megabytes, &|load| load.puts.anonymous_bytes);
    row("resident file pages after them".to_owned(), Unit::Megabytes, &|load| load.puts.file_bytes);
    row("on disk".to_owned(), Unit::Megabytes, &|load| load.disk_bytes);
    row(format!("range of {wide} keys: p50"), Unit::Milliseconds, &|load| load.wide.p50);
    row(format!("range of {wide} keys: server CPU"), Unit::Milliseconds, &|load| {
        load.wide.server_cpu_us / 1e6
    });
    row("anonymous memory after these".to_owned(), Unit::Megabytes, &|load| load.wide.anonymous_bytes);
    row("kill -9 to the first linearizable read".to_owned(), Unit::Seconds, &|load| load.restart_secs);
    rows
}

fn notes(measured: &Measured) -> Vec<String> {
    let mut notes = Vec::new();
    for (&(phase, subject), runs) in &measured.runs {
        let what = format!("{} of {}", phase.name(), subject.name());
        let failures: f64 = runs.iter().map(|run| run.failures).sum();
        if failures > 0.0 {
            notes.push(format!("{failures} requests failed in {what}."));
        }
        let busy = measured.median(phase, subject, super::generator::Run::server_busy).unwrap_or(1.0);
        let generator = measured.median(phase, subject, super::generator::Run::generator_busy).unwrap_or(0.0);
        if phase.saturates() && busy < SATURATED {
            notes.push(format!(
                "in {what} the server used {:.0} % of its core, the generator {:.0} % of its own.",
                busy * 100.0,
                generator * 100.0
            ));
        }
    }
    for (subject, load) in &measured.loads {
        let failures = load.puts.failures + load.wide.failures;
        if failures > 0.0 {
            notes.push(format!("{failures} requests failed in the load of {}.", subject.name()));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::{super::figures::Load, super::generator::Run, *};
    use std::collections::BTreeMap;

    fn run(throughput: f64, cpu: f64) -> Run {
        Run {
            throughput,
            p50: 0.010_04,
            p99: 0.5,
            slowest: 1.85,
            server_cpu_us: cpu,
            generator_cpu_us: 5.0,
            anonymous_bytes: 549e6,
            file_bytes: 1e6,
            failures: 0.0,
        }
    }

    fn measured() -> Measured {
        let mut runs = BTreeMap::new();
        for phase in Phase::ALL {
            runs.insert((phase, Subject::Holdfast), vec![run(50_000.0, 19.8)]);
            runs.insert(
                (phase, Subject::Etcd),
                vec![run(24_000.0, 39.6), run(25_000.0, 39.6), run(26_000.0, 39.6)],
            );
            runs.insert((phase, Subject::Floor), vec![run(90_000.0, 10.8)]);
        }
        let load =
            |restart_secs| Load { puts: run(1.0, 1.0), wide: run(1.0, 2e5), disk_bytes: 5e8, restart_secs };
        let loads = BTreeMap::from([(Subject::Holdfast, load(0.25)), (Subject::Etcd, load(6.1))]);
        Measured { runs, loads, load_keys: 1_000_000 }
    }

    #[test]
    fn rows_tell_who_is_better() {
        let text = render(&measured());
        for row in [
            "| put, 1,000 clients: throughput | 50,000/s | 25,000/s | 2.00 × | 90,000/s |\n",
            "| put, 1,000 clients: server CPU | 19.8 µs | 39.6 µs | 2.00 × | 10.8 µs |\n",
            "| put, lone client: p50 | 10.0 ms | 10.0 ms | 1.00 × | 10.0 ms |\n",
            "| kill -9 to the first linearizable read | 0.250 s | 6.10 s | 24.4 × |  |\n",
            "| anonymous memory after them | 549 MB | 549 MB | 1.00 × |  |\n",
            "| range of 100,000 keys: server CPU | 200 ms | 200 ms | 1.00 × |  |\n",
        ] {
            assert!(text.contains(row), "{row} is missing in\n{text}");
        }
        assert!(!text.contains("Note:"), "{text}");
    }

    #[test]
    fn what_was_not_as_it_should_be_is_noted() {
        let mut measured = measured();
        measured.runs.insert((Phase::Put, Subject::Etcd), vec![Run { failures: 4.0, ..run(10_000.0, 39.6) }]);
        let text = render(&measured);
        assert!(text.contains("\nNote:\n\n- 4 requests failed in put, 1,000 clients of etcd.\n"), "{text}");
        assert!(
            text.contains("of etcd the server used 40 % of its core, the generator 5 % of its own."),
            "{text}"
        );
    }

    #[test]
    fn a_figure_that_is_missing_leaves_its_cell_empty() {
        let mut measured = measured();
        measured.loads.remove(&Subject::Holdfast);
        assert!(render(&measured).contains("| on disk |  | 500 MB |  |  |\n"));
        measured.loads.clear();
        assert!(!render(&measured).contains("on disk"));
    }
}
