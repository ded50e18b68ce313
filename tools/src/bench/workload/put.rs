//! `put`: writes of keys from a key space, all with the same value.

use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::etcdserverpb::PutRequest;
use tokio::task::JoinHandle;

use super::cluster;
use crate::bench::{
    flags::Put,
    keys::{KeySpace, Order, random_value},
    load::{self, Plan, Workload},
    run::{self, BenchError, Part, Session},
    wire::{CallError, Caller, Frames, Keep, Reply},
};

/// The key space that these flags describe.
pub(crate) fn keys(flags: &Put) -> Result<KeySpace, BenchError> {
    let order = if flags.sequential_keys { Order::Sequential } else { Order::Random };
    Ok(KeySpace::new(&flags.prefix, flags.key_size, flags.key_space_size, order)?)
}

struct Puts {
    keys: KeySpace,
    value: Bytes,
    frames: Frames,
}

impl Workload for Puts {
    type Memory = ();

    fn keep(&self) -> Keep {
        Keep::Nothing
    }

    fn path(&self) -> &'static str {
        "/etcdserverpb.KV/Put"
    }

    fn request(&mut self, index: u64) -> Bytes {
        let request =
            PutRequest { key: self.keys.key(index), value: self.value.clone(), ..PutRequest::default() };
        self.frames.encode(&request)
    }

    fn answered(&mut self, _: Reply, (): &mut ()) -> Result<Option<Bytes>, CallError> {
        Ok(None)
    }
}

/// Runs the subcommand.
pub(crate) async fn run(session: &Session<'_>, flags: &Put) -> Result<(), BenchError> {
    let puts = Puts { keys: keys(flags)?, value: random_value(flags.val_size), frames: Frames::default() };
    let global = session.global;
    let plan = Plan { total: flags.total, rate: flags.rate, sample: global.sample, quiet: global.json };
    let compaction = (!flags.compact_interval.is_zero()).then(|| {
        let caller = session.pool.caller(0);
        tokio::task::spawn_local(compact_regularly(caller, flags.compact_interval, flags.compact_index_delta))
    });
    let meter = session.meter()?;
    let load = load::run(&session.pool, plan, puts);
    let (report, _) = with_compaction(load, compaction).await?;
    let costs = meter.finish(report.successes())?;
    let part =
        Part { name: "PUT", heading: None, ending: "\n", report, costs, extra: serde_json::Map::new() };
    run::print(global, &[part])?;
    if flags.check_hashkv {
        let summary = cluster::hash_summary(&mut session.pool.caller(0)).await?;
        if global.json { eprint!("{summary}") } else { print!("{summary}") }
    }
    Ok(())
}

/// Compacts every `interval`; only returns with an error.
async fn compact_regularly(mut caller: Caller, interval: Duration, delta: i64) -> CallError {
    let mut last = 0;
    loop {
        tokio::time::sleep(interval).await;
        match cluster::compact(&mut caller, delta, last).await {
            Ok(revision) => last = revision,
            Err(error) => return error,
        }
    }
}

/// Waits for the load, or for a compaction that fails.
async fn with_compaction<T>(
    load: impl Future<Output = Result<T, BenchError>>,
    compaction: Option<JoinHandle<CallError>>,
) -> Result<T, BenchError> {
    let Some(mut compaction) = compaction else { return load.await };
    tokio::select! {
        outcome = load => {
            compaction.abort();
            outcome
        }
        failed = &mut compaction => {
            let source = failed.expect("compaction neither panics nor is aborted");
            Err(BenchError::Call { what: "compaction failed".to_owned(), source })
        }
    }
}
