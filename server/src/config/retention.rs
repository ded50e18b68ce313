//! `--auto-compaction-retention`: one text, read by the mode.

use std::time::Duration;

use super::duration::{DurationError, GoDuration};
use super::quote::Quoted;

/// What auto compaction keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Everything: no auto compaction.
    Off,
    /// The revisions of this much time.
    Periodic(Duration),
    /// This many revisions.
    Revisions(u64),
}

impl AutoCompaction {
    /// etcd logs the retention as a duration in both modes; a number of revisions then shows as nanoseconds.
    pub fn as_go(self) -> GoDuration {
        match self {
            Self::Off => GoDuration(0),
            Self::Periodic(time) => GoDuration::from_std(time),
            Self::Revisions(count) => GoDuration(i64::try_from(count).unwrap_or(i64::MAX)),
        }
    }
}

/// A retention that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// Neither a whole number nor a duration.
    #[error("error parsing CompactionRetention: {0}")]
    Duration(#[from] DurationError),
    /// Less than nothing, or more than can be counted.
    #[error("error parsing CompactionRetention: {} is out of range", Quoted(.0))]
    Range(String),
}

/// Reads the retention: a whole number is hours or revisions, anything else a duration (whose nanoseconds count as revisions
/// in the mode `revision`, as in etcd).
pub fn read(mode: &str, retention: &str) -> Result<AutoCompaction, RetentionError> {
    let range = || RetentionError::Range(retention.to_owned());
    if retention.is_empty() {
        return Ok(AutoCompaction::Off);
    }
    let amount = match retention.parse::<i64>() {
        Ok(number) if number >= 0 => {
            if mode == "periodic" {
                number.checked_mul(3_600_000_000_000).ok_or_else(range)?
            } else {
                number
            }
        }
        _ => GoDuration::parse(retention)?.0,
    };
    let amount = u64::try_from(amount).map_err(|_| range())?;
    Ok(match (amount, mode) {
        (0, _) => AutoCompaction::Off,
        (_, "periodic") => AutoCompaction::Periodic(Duration::from_nanos(amount)),
        _ => AutoCompaction::Revisions(amount),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        use AutoCompaction::{Off, Periodic, Revisions};
        for (mode, text, want) in [
            ("periodic", "0", Off),
            ("periodic", "", Off),
            ("revision", "0", Off),
            ("periodic", "1", Periodic(Duration::from_secs(3600))),
            ("periodic", "5m", Periodic(Duration::from_secs(300))),
            ("revision", "1000", Revisions(1000)),
            ("revision", "1us", Revisions(1000)),
        ] {
            assert_eq!(read(mode, text), Ok(want), "{mode} {text}");
        }
        for (text, message) in [
            ("abc", "error parsing CompactionRetention: time: invalid duration \"abc\""),
            ("-1", "error parsing CompactionRetention: time: missing unit in duration \"-1\""),
            ("-1h", "error parsing CompactionRetention: \"-1h\" is out of range"),
            ("9000000", "error parsing CompactionRetention: \"9000000\" is out of range"),
        ] {
            assert_eq!(read("periodic", text).unwrap_err().to_string(), message);
        }
    }
}
