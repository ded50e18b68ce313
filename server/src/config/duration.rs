//! Go's durations: `1h30m`, `100ms`, `-1.5h`; read and written exactly as the Go programs do.
//!
//! A duration is a signed number of nanoseconds in 64 bits. The grammar is the one of `time.ParseDuration`: an optional
//! sign, then one or more decimal numbers each with a unit (`ns`, `us`, `µs`, `ms`, `s`, `m`, `h`); `0` needs no unit.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use super::quote::Quoted;

/// Nanoseconds, as in Go's `time.Duration`; shown as Go shows them (`2h0m0s`, `1.5s`, `100ms`, `0s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(pub i64);

/// A text that is no duration. The text is the one of Go's `time` package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: {0}")]
pub struct DurationError(String);

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),  // micro sign
    ("\u{3bc}s", 1_000), // Greek mu
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// Reads what `time.ParseDuration` reads.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError(format!("invalid duration {}", Quoted(text)));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = next_part(text, rest)?;
            total = total.checked_add(part).filter(|t| *t <= 1 << 63).ok_or_else(invalid)?;
            rest = after;
        }
        match (negative, i64::try_from(total)) {
            (true, _) => 0i64.checked_sub_unsigned(total).map(Self).ok_or_else(invalid),
            (false, Ok(nanos)) => Ok(Self(nanos)),
            (false, Err(_)) => Err(invalid()),
        }
    }

    /// The same span of time, with a negative one as zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// The same span of time; one beyond 292 years becomes the longest that Go knows.
    pub fn from_std(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Reads one number with its unit from the front of `rest`; `whole` is what the message quotes.
fn next_part<'a>(whole: &str, rest: &'a str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError(format!("invalid duration {}", Quoted(whole)));
    let int_len = digits(rest);
    let (int, mut rest) = rest.split_at(int_len);
    let mut fraction = "";
    let mut dotted = false;
    if let Some(after) = rest.strip_prefix('.') {
        dotted = true;
        (fraction, rest) = after.split_at(digits(after));
    }
    if int.is_empty() && (!dotted || fraction.is_empty()) {
        return Err(invalid());
    }
    let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_len);
    if unit.is_empty() {
        return Err(DurationError(format!("missing unit in duration {}", Quoted(whole))));
    }
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos).ok_or_else(|| {
        DurationError(format!("unknown unit {} in duration {}", Quoted(unit), Quoted(whole)))
    })?;
    let int: u64 = if int.is_empty() { 0 } else { int.parse().map_err(|_| invalid())? };
    let nanos = int.checked_mul(scale).filter(|n| *n <= 1 << 63).ok_or_else(invalid)?;
    Ok((nanos.saturating_add(scaled_fraction(fraction, scale)), after))
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `0.<digits>` of a unit, in nanoseconds, rounded down. Digits beyond the eighteenth are below a nanosecond of any unit.
fn scaled_fraction(fraction: &str, scale: u64) -> u64 {
    let kept = &fraction[..fraction.len().min(18)];
    let Ok(value) = kept.parse::<u128>() else { return 0 };
    let divisor = 10u128.pow(kept.len() as u32);
    u64::try_from(value * u128::from(scale) / divisor).unwrap_or(u64::MAX)
}

impl Display for GoDuration {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        match nanos {
            0..=999 => write!(f, "{nanos}ns"),
            1_000..=999_999 => write!(f, "{}\u{b5}s", Decimal(nanos, 3)),
            1_000_000..=999_999_999 => write!(f, "{}ms", Decimal(nanos, 6)),
            _ => {
                let minute = 60_000_000_000;
                let (minutes, rest) = (nanos / minute, nanos % minute);
                let (hours, minutes) = (minutes / 60, minutes % 60);
                if hours > 0 {
                    write!(f, "{hours}h{minutes}m")?;
                } else if minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", Decimal(rest, 9))
            }
        }
    }
}

/// A number divided by a power of ten, without trailing zeros.
struct Decimal(u64, u32);

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let divisor = 10u64.pow(self.1);
        write!(f, "{}", self.0 / divisor)?;
        let fraction = self.0 % divisor;
        if fraction == 0 {
            return Ok(());
        }
        let digits = format!("{fraction:0width$}", width = self.1 as usize);
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_like_go() {
        for (text, nanos, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("2h", 7_200_000_000_000, "2h0m0s"),
            ("10m", 600_000_000_000, "10m0s"),
            ("100ms", 100_000_000, "100ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            (".5s", 500_000_000, "500ms"),
            ("1.s", 1_000_000_000, "1s"),
            ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
            ("+7us", 7_000, "7\u{b5}s"),
            ("471.275\u{b5}s", 471_275, "471.275\u{b5}s"),
            ("3ns", 3, "3ns"),
            ("1h0.000000001s", 3_600_000_000_001, "1h0m0.000000001s"),
            ("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            let parsed = GoDuration::parse(text).unwrap();
            assert_eq!(parsed, GoDuration(nanos), "{text}");
            assert_eq!(parsed.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_like_go() {
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("abc", r#"time: invalid duration "abc""#),
            ("-1", r#"time: missing unit in duration "-1""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("1h5", r#"time: missing unit in duration "1h5""#),
            (".s", r#"time: invalid duration ".s""#),
            ("-", r#"time: invalid duration "-""#),
            ("3000000h", r#"time: invalid duration "3000000h""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
        ] {
            assert_eq!(GoDuration::parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in proptest::num::i64::ANY) {
            proptest::prop_assert_eq!(GoDuration::parse(&GoDuration(nanos).to_string()), Ok(GoDuration(nanos)));
        }
    }
}
