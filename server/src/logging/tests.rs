//! Events in, lines out.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// Runs `body` with a log of its own and gives back the lines.
fn lines(format: Format, level: Level, body: impl FnOnce()) -> Vec<String> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let layer = ZapLayer::new(
        format,
        level,
        Box::new(move |line| sink.lock().unwrap().push(String::from_utf8(line).unwrap())),
    );
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body);
    let lines = written.lock().unwrap();
    lines.clone()
}

#[test]
fn a_line_is_zaps_json() {
    let line = &lines(Format::Json, Level::Info, || {
        tracing::info!(
            "data-dir" = "d",
            count = 7u64,
            negative = -1,
            ratio = 0.5,
            yes = true,
            urls = ?json(&["http://a:1", "http://b:1"]),
            shown = %"dis\"play",
            debug = ?Some(1),
            "hello {}",
            "world\n"
        );
    })[0];
    assert!(line.ends_with("}\n"));
    assert!(line.starts_with("{\"level\":\"info\",\"ts\":\"2"));
    let tail = line.split_once("\"msg\"").unwrap().1;
    assert_eq!(
        tail,
        ":\"hello world\\n\",\"data-dir\":\"d\",\"count\":7,\"negative\":-1,\"ratio\":0.5,\"yes\":true,\
         \"urls\":[\"http://a:1\",\"http://b:1\"],\"shown\":\"dis\\\"play\",\"debug\":\"Some(1)\"}\n"
    );
    let value: Value = serde_json::from_str(line).unwrap();
    let ts = value["ts"].as_str().unwrap();
    assert_eq!((ts.len(), &ts[19..20], &ts[26..]), (27, ".", "Z"), "microseconds, UTC: {ts}");
    assert!(value["caller"].as_str().unwrap().starts_with("logging/tests.rs:"));
}

#[test]
fn levels_filter_and_rise() {
    let written = lines(Format::Json, Level::Warn, || {
        tracing::debug!("no");
        tracing::info!("no");
        tracing::warn!("a");
        tracing::error!(severity = "fatal", "b");
    });
    assert_eq!(written.len(), 2);
    assert!(written[0].starts_with("{\"level\":\"warn\""));
    assert!(written[1].starts_with("{\"level\":\"fatal\"") && !written[1].contains("severity"));
    let written = lines(Format::Json, Level::Fatal, || {
        tracing::error!("no");
        tracing::error!(severity = "panic", "no");
        tracing::error!(severity = "fatal", "yes");
    });
    assert_eq!(written.len(), 1);
}

#[test]
fn libraries_are_heard_from_warn_on() {
    let written = lines(Format::Json, Level::Debug, || {
        tracing::debug!(target: "h2::proto", "no");
        tracing::info!(target: "hyper", "no");
        tracing::warn!(target: "hyper", "yes");
        tracing::debug!("yes");
    });
    assert_eq!(written.len(), 2);
}

#[test]
fn console_has_tabs() {
    let line =
        &lines(Format::Console, Level::Info, || tracing::warn!(logger = "raft", took = "1ms", "slow"))[0];
    let columns: Vec<_> = line.trim_end().split('\t').collect();
    assert_eq!(columns.len(), 6);
    assert_eq!((columns[1], columns[2], columns[4]), ("warn", "raft", "slow"));
    assert_eq!(columns[5], "{\"took\":\"1ms\"}");
}

#[test]
fn a_text_cannot_pose_as_json() {
    let evil = "{\"a\":1}\n{\"level\":\"info\"}";
    let line =
        &lines(Format::Json, Level::Info, || tracing::info!(a = evil, b = %evil, c = ?evil, "{evil}"))[0];
    assert_eq!(line.matches('\n').count(), 1);
    let value: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (value["a"].as_str(), value["b"].as_str(), value["msg"].as_str()),
        (Some(evil), Some(evil), Some(evil))
    );
    assert!(value["c"].is_string());
}

#[test]
fn rafts_lines_are_bridged() {
    let line = &lines(Format::Json, Level::Info, || {
        let raft = raft::logger().new(slog::o!("raft_id" => 5u64));
        slog::info!(raft, "became follower at term {term}", term = 3u64; "extra" => "x");
        slog::debug!(raft, "not wanted");
    });
    assert_eq!(line.len(), 1);
    let value: Value = serde_json::from_str(&line[0]).unwrap();
    assert_eq!(value["logger"], "raft");
    assert_eq!(value["msg"], "became follower at term 3");
    assert_eq!((&value["raft_id"], &value["term"], &value["extra"]), (&5.into(), &3.into(), &"x".into()));
    assert!(value["caller"].as_str().unwrap().starts_with("raft/tests.rs:"));
}

#[test]
fn files_are_appended_to_and_null_discards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    std::fs::write(&path, "before\n").unwrap();
    let writer = Writer::start(&[Output::File(path.clone()), Output::File(path.clone())]).unwrap();
    writer.send(b"line\n".to_vec());
    writer.flush(Duration::from_secs(10));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "before\nline\n",
        "an output named twice is one output"
    );
    let writer = Writer::start(&[Output::File("/dev/null".into()), Output::File(path.clone())]).unwrap();
    writer.send(b"more\n".to_vec());
    writer.flush(Duration::from_secs(10));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nline\n");
    let error = Writer::start(&[Output::File(dir.path().join("no/such"))]).unwrap_err();
    assert!(error.to_string().starts_with("couldn't open sink"));
}

/// A pipe that nobody reads: lines are dropped, nobody waits, and the loss is told once somebody reads.
#[test]
fn a_stuck_output_holds_nobody_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let writer = Writer::start(&[Output::File(path)]).unwrap();
    let line = vec![b'x'; 1000];
    for _ in 0..20_000 {
        writer.send(line.clone());
    }
    assert!(writer.dropped() > 0);
    writer.flush(Duration::from_millis(10));
    let mut read = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    while !String::from_utf8_lossy(&read).contains("lines were dropped") {
        let n = std::io::Read::read(&mut reader, &mut buffer).unwrap();
        read.extend_from_slice(&buffer[..n]);
    }
}
