//! Durations as Go writes and reads them: `1.272353ms`, `5s`, `1m30s`, `2h0m0s`.

use std::time::Duration;

use super::quote::quote;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Writes a duration with Go's choice of units: below a second one of `ns`, `µs`, `ms`; above it hours,
/// minutes, seconds.
pub(crate) fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos, 1_000)),
        1_000_000..NANOS_PER_SECOND => format!("{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let seconds = fraction(nanos % (60 * NANOS_PER_SECOND), NANOS_PER_SECOND);
            let minutes = nanos / (60 * NANOS_PER_SECOND);
            match minutes {
                0 => format!("{seconds}s"),
                1..60 => format!("{minutes}m{seconds}s"),
                _ => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    }
}

/// `value / unit` in decimal without trailing zeros; `unit` is a power of ten.
fn fraction(value: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a Go duration: a sequence of decimal numbers with units `ns us µs ms s m h`, or a bare `0`.
///
/// A negative duration is read as zero: every use here is a time limit, and one that lies in the past has run
/// out.
///
/// # Errors
/// Go's wording: `time: missing unit in duration "5"`, `time: unknown unit "x" in duration "1x"`,
/// `time: invalid duration "abc"`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let quoted = quote(text.as_bytes());
    let invalid = || format!("time: invalid duration {quoted}");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0.0_f64;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let value: f64 = number.parse().map_err(|_| invalid())?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanos += value
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "" => return Err(format!("time: missing unit in duration {quoted}")),
                _ => {
                    return Err(format!(
                        "time: unknown unit {} in duration {quoted}",
                        quote(unit.as_bytes())
                    ));
                }
            };
        rest = tail;
    }
    if nanos > i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(if negative { Duration::ZERO } else { Duration::from_nanos(nanos.round() as u64) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (999, "999ns"),
            (578_229, "578.229µs"),
            (1_272_353, "1.272353ms"),
            (1_500_000, "1.5ms"),
            (2_000_000_000, "2s"),
            (5_002_182_651, "5.002182651s"),
            (60_000_000_000, "1m0s"),
            (7_200_000_000_000, "2h0m0s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("300ms", 300),
            ("1.5s", 1500),
            ("0", 0),
            ("-1s", 0),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse("1x").unwrap_err(), "time: unknown unit \"x\" in duration \"1x\"");
        assert_eq!(parse("abc").unwrap_err(), "time: invalid duration \"abc\"");
        assert_eq!(parse("").unwrap_err(), "time: invalid duration \"\"");
    }
}
