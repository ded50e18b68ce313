//! `--sample`: what happened in each second of the run, as a CSV block.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::go;

/// Latencies of the operations that began in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Second {
    least: Duration,
    most: Duration,
    sum: Duration,
    count: u32,
}

/// One row for each second of Unix time in which an operation began.
#[derive(Debug, Clone, Default)]
pub(super) struct Seconds {
    /// A moment on both clocks, taken at the first operation: operations are timed on the one that never jumps.
    epoch: Option<(Instant, Duration)>,
    rows: BTreeMap<u64, Second>,
}

impl Seconds {
    /// Counts an operation that began at `start` and took `latency`.
    pub(super) fn add(&mut self, start: Instant, latency: Duration) {
        let (origin, unix) = *self.epoch.get_or_insert_with(|| {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (start, unix.saturating_sub(start.elapsed()))
        });
        let ahead = start.saturating_duration_since(origin);
        let behind = origin.saturating_duration_since(start);
        let row = self.rows.entry((unix + ahead).saturating_sub(behind).as_secs()).or_default();
        row.least = if row.count == 0 { latency } else { row.least.min(latency) };
        row.most = row.most.max(latency);
        row.sum += latency;
        row.count += 1;
    }

    /// The block, or nothing when no second was recorded. Seconds in which nothing began are rows of zeros.
    pub(super) fn table(&self) -> String {
        let (Some((&first, _)), Some((&last, _))) = (self.rows.first_key_value(), self.rows.last_key_value())
        else {
            return String::new();
        };
        let mut table = "\nSample in one second (unix latency throughput):\n\
             UNIX-SECOND,MIN-LATENCY-MS,AVG-LATENCY-MS,MAX-LATENCY-MS,AVG-THROUGHPUT\n"
            .to_owned();
        for second in first..=last {
            let row = self.rows.get(&second).copied().unwrap_or_default();
            let average = row.sum.checked_div(row.count).unwrap_or_default();
            let [least, average, most] = [row.least, average, row.most].map(go::duration);
            writeln!(table, "{second},{least},{average},{most},{}", row.count)
                .expect("a string takes all that is written");
        }
        table.push('\n');
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_rows_of_zeros() {
        let start = Instant::now();
        let mut seconds =
            Seconds { epoch: Some((start, Duration::from_secs(1_795_230_007))), ..Seconds::default() };
        seconds.add(start, Duration::from_micros(1200));
        seconds.add(start + Duration::from_millis(10), Duration::from_micros(3100));
        seconds.add(start + Duration::from_millis(2500), Duration::from_millis(2));
        let expected = "
Sample in one second (unix latency throughput):
UNIX-SECOND,MIN-LATENCY-MS,AVG-LATENCY-MS,MAX-LATENCY-MS,AVG-THROUGHPUT
1795230007,1.2ms,2.15ms,3.1ms,2
1795230008,0s,0s,0s,0
1795230009,2ms,2ms,2ms,1

";
        assert_eq!(seconds.table(), expected);
    }

    #[test]
    fn nothing_recorded_is_no_block() {
        assert_eq!(Seconds::default().table(), "");
    }

    #[test]
    fn rows_are_seconds_of_unix_time() {
        let mut seconds = Seconds::default();
        seconds.add(Instant::now(), Duration::from_millis(1));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let row = *seconds.rows.first_key_value().expect("one row").0;
        assert!(now.abs_diff(row) <= 1, "{row} is not now, {now}");
    }
}
