//! `--report-perfdash`: three percentiles in a file that the Kubernetes performance dashboard reads.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Report;

/// Writes the file for `operation` (`PUT`, `RANGE`, …) below `$ARTIFACTS` or `./_artifacts`, and returns its
/// path.
pub(crate) fn write(report: &Report, operation: &str) -> io::Result<PathBuf> {
    let folder = env::var_os("ARTIFACTS").filter(|path| !path.is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("_artifacts"), PathBuf::from);
    write_below(&folder, report, operation)
}

fn write_below(folder: &Path, report: &Report, operation: &str) -> io::Result<PathBuf> {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).map_err(io::Error::other)?;
    let now = now.format(&Rfc3339).map_err(io::Error::other)?;
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("EtcdAPI_benchmark_{operation}_{now}.json"));
    fs::write(&path, serde_json::to_string_pretty(&document(report, operation))?)?;
    Ok(path)
}

/// Milliseconds with four decimals; a percentile for which the run was too short is 0.
fn document(report: &Report, operation: &str) -> Value {
    let percentiles = report.percentiles();
    let value = |wanted: f64| {
        let found = percentiles.iter().find(|(percent, _)| (percent - wanted).abs() < f64::EPSILON);
        found.map_or(0.0, |(_, seconds)| (seconds * 1e7).round() / 1e4)
    };
    json!({
        "version": "v1",
        "dataItems": [{
            "data": {"Perc50": value(50.0), "Perc90": value(90.0), "Perc99": value(99.0)},
            "labels": {"Operation": operation},
            "unit": "ms",
        }],
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::tests::report_of, *};

    #[test]
    fn the_file_holds_milliseconds() {
        let folder = tempfile::tempdir().unwrap();
        let latencies: Vec<u64> = (0..1000).collect();
        let path = write_below(&folder.path().join("new"), &report_of(&latencies), "TXN-PUT").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("EtcdAPI_benchmark_TXN-PUT_20") && name.ends_with("Z.json"), "{name}");
        let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let expected = json!({"version": "v1", "dataItems": [{"data": {"Perc50": 500.0, "Perc90": 900.0,
            "Perc99": 990.0}, "labels": {"Operation": "TXN-PUT"}, "unit": "ms"}]});
        assert_eq!(document, expected);
    }
}
