//! What a run is told as: latencies, rates and errors, in the text of etcd's `benchmark` or as JSON.
//!
//! [`Recorder`] collects while the load runs; [`Report`] is the sorted outcome. Every latency is kept, so that
//! percentiles are values that occurred and not the edge of a bucket: eight bytes for each request.

mod go;
mod perfdash;
mod seconds;
mod text;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer, ser::SerializeMap};

pub(crate) use go::{Precision, duration as go_duration, si_bytes};
pub(crate) use perfdash::write as write_perfdash;
use seconds::Seconds;

/// Percentiles of the report, in percent.
pub(crate) const PERCENTILES: [f64; 8] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

/// Collects the outcome of each operation.
#[derive(Debug)]
pub(crate) struct Recorder {
    began: Instant,
    nanoseconds: Vec<u64>,
    errors: BTreeMap<String, u64>,
    seconds: Option<Seconds>,
}

impl Recorder {
    /// Starts the clock of the run. `expected` operations need no further allocation; `sample` asks for the
    /// table of seconds.
    pub(crate) fn new(expected: u64, sample: bool) -> Self {
        // Beyond this the list grows as it must: a run may ask for more than it will ever do.
        const LARGEST_RESERVE: u64 = 1 << 24;
        Self {
            began: Instant::now(),
            nanoseconds: Vec::with_capacity(expected.min(LARGEST_RESERVE) as usize),
            errors: BTreeMap::new(),
            seconds: sample.then(Seconds::default),
        }
    }

    /// An operation that began at `start` has succeeded now.
    pub(crate) fn success(&mut self, start: Instant) {
        self.success_between(start, Instant::now());
    }

    /// An operation has succeeded that took from `start` to `end`.
    pub(crate) fn success_between(&mut self, start: Instant, end: Instant) {
        let latency = end.saturating_duration_since(start);
        self.nanoseconds.push(latency.as_nanos() as u64);
        if let Some(seconds) = &mut self.seconds {
            seconds.add(start, latency);
        }
    }

    /// An operation has failed.
    pub(crate) fn failure(&mut self, text: String) {
        *self.errors.entry(text).or_insert(0) += 1;
    }

    /// Ends the run now.
    pub(crate) fn finish(self) -> Report {
        let total = self.began.elapsed();
        self.finish_after(total)
    }

    fn finish_after(mut self, total: Duration) -> Report {
        self.nanoseconds.sort_unstable();
        Report {
            total,
            nanoseconds: self.nanoseconds,
            errors: self.errors,
            seconds: self.seconds.unwrap_or_default(),
        }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    total: Duration,
    /// Ascending.
    nanoseconds: Vec<u64>,
    errors: BTreeMap<String, u64>,
    seconds: Seconds,
}

impl Report {
    /// Operations that succeeded.
    pub(crate) fn successes(&self) -> u64 {
        self.nanoseconds.len() as u64
    }

    /// Operations that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    fn fastest(&self) -> f64 {
        self.nanoseconds.first().copied().map_or(0.0, secs)
    }

    fn slowest(&self) -> f64 {
        self.nanoseconds.last().copied().map_or(0.0, secs)
    }

    fn average(&self) -> f64 {
        let sum: u128 = self.nanoseconds.iter().copied().map(u128::from).sum();
        sum as f64 / 1e9 / self.nanoseconds.len().max(1) as f64
    }

    /// Of the population.
    fn standard_deviation(&self) -> f64 {
        let average = self.average();
        let squares: f64 = self.nanoseconds.iter().map(|&value| (secs(value) - average).powi(2)).sum();
        (squares / self.nanoseconds.len().max(1) as f64).sqrt()
    }

    fn requests_per_second(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.total.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The percentiles that the list is long enough for, in seconds: of n latencies in ascending order, pX is the
    /// first at an index i with i × 100 / n ≥ X. As in etcd's tool, each is at a later index than the one before:
    /// of two latencies there is only p10.
    pub(crate) fn percentiles(&self) -> Vec<(f64, f64)> {
        let count = self.nanoseconds.len();
        let mut percentiles = Vec::with_capacity(PERCENTILES.len());
        let mut index = 0;
        for percent in PERCENTILES {
            index = index.max((percent * count as f64 / 100.0).floor() as usize);
            while index < count && (index as f64) * 100.0 / (count as f64) < percent {
                index += 1;
            }
            let Some(&value) = self.nanoseconds.get(index) else { break };
            percentiles.push((percent, secs(value)));
            index += 1;
        }
        percentiles
    }
}

/// Seconds of a number of nanoseconds.
fn secs(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("total_secs", &self.total.as_secs_f64())?;
        map.serialize_entry("successes", &self.successes())?;
        map.serialize_entry("failures", &self.failures())?;
        map.serialize_entry("requests_per_sec", &self.requests_per_second())?;
        map.serialize_entry("slowest_secs", &self.slowest())?;
        map.serialize_entry("fastest_secs", &self.fastest())?;
        map.serialize_entry("average_secs", &self.average())?;
        map.serialize_entry("stddev_secs", &self.standard_deviation())?;
        let percentiles: BTreeMap<String, f64> =
            self.percentiles().into_iter().map(|(percent, value)| (format!("p{percent}"), value)).collect();
        map.serialize_entry("percentiles_secs", &percentiles)?;
        map.serialize_entry("errors", &self.errors)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A report of latencies in milliseconds, of a run of two seconds.
    pub(super) fn report_of(milliseconds: &[u64]) -> Report {
        let mut recorder = Recorder::new(0, false);
        let start = Instant::now();
        for &latency in milliseconds {
            recorder.success_between(start, start + Duration::from_millis(latency));
        }
        recorder.finish_after(Duration::from_secs(2))
    }

    fn percents(report: &Report) -> Vec<(f64, u64)> {
        report
            .percentiles()
            .into_iter()
            .map(|(percent, value)| (percent, (value * 1e3).round() as u64))
            .collect()
    }

    #[test]
    fn percentiles_are_values_at_the_rounded_up_index() {
        let thousand: Vec<u64> = (0..1000).collect();
        assert_eq!(
            percents(&report_of(&thousand)),
            [
                (10.0, 100),
                (25.0, 250),
                (50.0, 500),
                (75.0, 750),
                (90.0, 900),
                (95.0, 950),
                (99.0, 990),
                (99.9, 999)
            ]
        );
        // Of ten values there is no index at or above 95 %.
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!(percents(&report_of(&ten)), [(10.0, 2), (25.0, 4), (50.0, 6), (75.0, 9), (90.0, 10)]);
        assert_eq!(percents(&report_of(&[3, 5])), [(10.0, 5)]);
        assert!(report_of(&[5]).percentiles().is_empty());
        assert!(report_of(&[]).percentiles().is_empty());
    }

    /// The rule as it is stated, element by element, against the shorter way that is taken.
    #[test]
    fn percentiles_follow_the_stated_rule_at_every_length() {
        for count in 1..1200u64 {
            let values: Vec<u64> = (1..=count).collect();
            let mut wanted = PERCENTILES.into_iter().peekable();
            let mut expected = Vec::new();
            for (index, value) in values.iter().enumerate() {
                let reached = index as f64 * 100.0 / count as f64;
                expected
                    .extend(wanted.next_if(|&percent| reached >= percent).map(|percent| (percent, *value)));
            }
            assert_eq!(percents(&report_of(&values)), expected, "{count} values");
        }
    }

    #[test]
    fn figures_are_those_of_the_population() {
        let report = report_of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert!((report.average() - 0.005).abs() < 1e-12);
        assert!((report.standard_deviation() - 0.002).abs() < 1e-12);
        assert!((report.requests_per_second() - 4.0).abs() < 1e-12);
        assert!((report.slowest() - 0.009).abs() < 1e-12 && (report.fastest() - 0.002).abs() < 1e-12);
    }

    #[test]
    fn errors_are_counted_by_their_text() {
        let mut recorder = Recorder::new(0, false);
        for text in ["b", "a", "b"] {
            recorder.failure(text.to_owned());
        }
        let report = recorder.finish();
        assert_eq!((report.successes(), report.failures()), (0, 3));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["errors"], serde_json::json!({"a": 1, "b": 2}));
    }
}
