//! Numbers as Go prints them, because the report's readers compare it with Go's.

use std::time::Duration;

/// How the figures of a report are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Four decimals: `%4.4f`.
    Four,
    /// As many digits as tell the number from its neighbours: `%g`.
    Shortest,
}

impl Precision {
    /// `value` in this form.
    pub(crate) fn number(self, value: f64) -> String {
        match self {
            Self::Four => format!("{value:.4}"),
            Self::Shortest => shortest(value),
        }
    }
}

/// Go's `%g` of a number without a precision: the fewest digits that read back as the same number, with an
/// exponent of at least two digits when it is below -4 or at least 6.
fn shortest(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Go's form of a duration: the largest unit that gives a number of at least one, without trailing zeros.
pub(crate) fn duration(value: Duration) -> String {
    let nanoseconds = value.as_nanos();
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", decimals(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimals(nanoseconds, 1_000_000)),
        _ => {
            let (minutes, rest) = (nanoseconds / 60_000_000_000, nanoseconds % 60_000_000_000);
            let seconds = decimals(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `value / unit` in full, without trailing zeros; `unit` is a power of ten.
fn decimals(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
}

/// A size in decimal units, as etcd's tools print it: `20 kB`, `1.2 MB`.
pub(crate) fn si_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let power = (bytes as f64).log(1000.0).floor().min(6.0);
    let value = (bytes as f64 / 1000f64.powf(power) * 10.0 + 0.5).floor() / 10.0;
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", UNITS[power as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_gos_form() {
        assert_eq!(Precision::Four.number(1.5), "1.5000");
        assert_eq!(Precision::Four.number(51_234.567_89), "51234.5679");
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (0.001_234, "0.001234"),
            (0.0001, "0.0001"),
            (0.000_012_345, "1.2345e-05"),
            (51_234.567_89, "51234.56789"),
            (123_456_789.0, "1.23456789e+08"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (12_345_678.25, "1.234567825e+07"),
            (1e300, "1e+300"),
        ];
        for (value, expected) in cases {
            assert_eq!(Precision::Shortest.number(value), expected);
        }
    }

    #[test]
    fn durations_have_gos_form() {
        let cases = [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (1_234_567, "1.234567ms"),
            (2_000_000_000, "2s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ];
        for (nanoseconds, expected) in cases {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), expected);
        }
    }

    #[test]
    fn sizes_are_decimal() {
        let cases = [
            (9, "9 B"),
            (20_480, "20 kB"),
            (1_234_567, "1.2 MB"),
            (25_165_824, "25 MB"),
            (82_854_982, "83 MB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(si_bytes(bytes), expected);
        }
    }
}
