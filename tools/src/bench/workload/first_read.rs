//! `first-read`: how long it takes until a server that is starting answers a linearizable read.

use std::time::{Duration, Instant};

use super::cluster;
use crate::bench::{
    flags::{FirstRead, Global},
    report::{Precision, go_duration},
    run::BenchError,
    wire::{Connection, Dial},
};

/// Time between two attempts: the resolution of the answer.
const ATTEMPT_EVERY: Duration = Duration::from_millis(1);
/// Longest wait for one answer. A server may take a connection long before it can answer; an attempt that it
/// has forgotten must not hide that the next one would succeed.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// Tries to read until it succeeds, and prints the time since the program began.
pub(crate) async fn run(global: &Global, flags: &FirstRead) -> Result<(), BenchError> {
    let began = Instant::now();
    loop {
        let last = match tokio::time::timeout(ATTEMPT_TIMEOUT, attempt(global, &flags.read_key)).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error,
            Err(_) => "an attempt was not answered".to_owned(),
        };
        if began.elapsed() >= flags.timeout {
            return Err(BenchError::NotReady { timeout: go_duration(flags.timeout), last });
        }
        tokio::time::sleep(ATTEMPT_EVERY).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        println!("{}", serde_json::json!({ "first_read_secs": seconds }));
    } else {
        let precision = if global.precise { Precision::Shortest } else { Precision::Four };
        println!("First read succeeded after {} secs.", precision.number(seconds));
    }
    Ok(())
}

async fn attempt(global: &Global, key: &str) -> Result<(), String> {
    let connection = Connection::open(&global.endpoints[0], &Dial::default()).await;
    let mut caller = connection.map_err(|error| error.to_string())?.caller();
    cluster::read(&mut caller, key.as_bytes()).await.map(drop).map_err(|error| error.to_string())
}
