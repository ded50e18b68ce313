//! The report as text, byte for byte as etcd's `benchmark` lays it out.

use std::fmt::Write;

use super::{Precision, Report, secs};

/// Rows of the histogram, less the last.
const BUCKETS: usize = 10;
/// Characters of the longest bar.
const LONGEST_BAR: u64 = 40;
/// What a bar is made of.
const BAR: &str = "∎";

impl Report {
    /// The report in etcd's layout. Without a success there is no summary, without a failure no error block.
    pub(crate) fn text(&self, precision: Precision) -> String {
        let mut text = String::new();
        if !self.nanoseconds.is_empty() {
            self.summary(precision, &mut text);
            self.histogram(precision, &mut text);
            self.latency_distribution(precision, &mut text);
            text.push_str(&self.seconds.table());
        }
        if !self.errors.is_empty() {
            text.push_str("\nError distribution:\n");
            for (error, count) in &self.errors {
                line(&mut text, format_args!("  [{count}]\t{error}"));
            }
        }
        text
    }

    fn summary(&self, precision: Precision, text: &mut String) {
        text.push_str("\nSummary:\n");
        let rows = [
            ("Total", self.total.as_secs_f64()),
            ("Slowest", self.slowest()),
            ("Fastest", self.fastest()),
            ("Average", self.average()),
            ("Stddev", self.standard_deviation()),
        ];
        for (name, value) in rows {
            line(text, format_args!("  {name}:\t{} secs.", precision.number(value)));
        }
        line(text, format_args!("  Requests/sec:\t{}", precision.number(self.requests_per_second())));
    }

    /// Eleven rows: the first counts what took no longer than the fastest, the last ends at the slowest.
    fn histogram(&self, precision: Precision, text: &mut String) {
        let (fastest, slowest) = (self.fastest(), self.slowest());
        let step = (slowest - fastest) / BUCKETS as f64;
        let mut edges: Vec<f64> = (0..BUCKETS).map(|row| fastest + step * row as f64).collect();
        edges.push(slowest);
        let mut counts = [0u64; BUCKETS + 1];
        let mut row = 0;
        for &latency in &self.nanoseconds {
            while row < BUCKETS && secs(latency) > edges[row] {
                row += 1;
            }
            counts[row] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        text.push_str("\nResponse time histogram:\n");
        for (edge, count) in edges.into_iter().zip(counts) {
            let bar = BAR.repeat((count * LONGEST_BAR / most) as usize);
            line(text, format_args!("  {} [{count}]\t|{bar}", precision.number(edge)));
        }
    }

    fn latency_distribution(&self, precision: Precision, text: &mut String) {
        text.push_str("\nLatency distribution:\n");
        for (percent, value) in self.percentiles() {
            if value > 0.0 {
                line(text, format_args!("  {percent}% in {} secs.", precision.number(value)));
            }
        }
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report_of, *};
    use crate::bench::report::Recorder;

    #[test]
    fn the_layout_is_etcds() {
        let expected = "
Summary:
  Total:	2.0000 secs.
  Slowest:	0.1100 secs.
  Fastest:	0.0100 secs.
  Average:	0.0414 secs.
  Stddev:	0.0376 secs.
  Requests/sec:	2.5000

Response time histogram:
  0.0100 [2]	|∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎
  0.0200 [0]	|
  0.0300 [1]	|∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎
  0.0400 [0]	|
  0.0500 [0]	|
  0.0600 [1]	|∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎
  0.0700 [0]	|
  0.0800 [0]	|
  0.0900 [0]	|
  0.1000 [0]	|
  0.1100 [1]	|∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎

Latency distribution:
  10% in 0.0100 secs.
  25% in 0.0250 secs.
  50% in 0.0520 secs.
  75% in 0.1100 secs.
";
        assert_eq!(report_of(&[10, 10, 25, 52, 110]).text(Precision::Four), expected);
    }

    #[test]
    fn every_latency_is_in_one_row() {
        for latencies in [vec![3], vec![3, 3, 3], vec![0, 0, 0], (0..977).map(|i| i * i % 1009).collect()] {
            let text = report_of(&latencies).text(Precision::Shortest);
            let counted: usize = text
                .lines()
                .filter_map(|row| row.split_once('[')?.1.split_once(']')?.0.parse::<usize>().ok())
                .sum();
            assert_eq!(counted, latencies.len(), "{text}");
        }
    }

    #[test]
    fn failures_alone_are_only_an_error_block() {
        let mut recorder = Recorder::new(0, true);
        for _ in 0..3 {
            recorder.failure("rpc error: code = Unavailable desc = gone".to_owned());
        }
        let text = recorder.finish().text(Precision::Four);
        assert_eq!(text, "\nError distribution:\n  [3]\trpc error: code = Unavailable desc = gone\n");
    }

    #[test]
    fn precise_figures_have_all_their_digits() {
        let text = report_of(&[1, 2]).text(Precision::Shortest);
        assert!(text.contains("  Total:\t2 secs.\n  Slowest:\t0.002 secs.\n"), "{text}");
        assert!(text.contains("  Requests/sec:\t1\n"), "{text}");
    }
}
