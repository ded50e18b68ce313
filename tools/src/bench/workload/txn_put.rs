//! `txn-put`: transactions of several writes, keys in order over the key space.

use bytes::Bytes;
use holdfast_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest, request_op};

use crate::bench::{
    flags::TxnPut,
    keys::{KeySpace, Order, random_value},
    load::{self, Plan, Workload},
    run::{self, BenchError, Part, Session},
    wire::{CallError, Frames, Keep, Reply},
};

/// The workload.
#[derive(Debug)]
pub(crate) struct Txns {
    keys: KeySpace,
    value: Bytes,
    operations: u64,
    frames: Frames,
}

impl Txns {
    /// The workload that these flags describe.
    pub(crate) fn new(flags: &TxnPut) -> Result<Self, BenchError> {
        let (space, operations) = (flags.key_space_size, flags.txn_ops);
        let keys = KeySpace::new("", flags.key_size, space, Order::Sequential)?;
        // A transaction may write each key only once.
        if operations > space {
            return Err(BenchError::Flags(format!(
                "expected --txn-ops no larger than --key-space-size, got txn-ops({operations}) key-space-size({space})"
            )));
        }
        let operations = u64::try_from(operations).map_err(|_| {
            BenchError::Flags(format!("expected --txn-ops of at least 0, got ({operations})"))
        })?;
        Ok(Self { keys, value: random_value(flags.val_size), operations, frames: Frames::default() })
    }
}

impl Workload for Txns {
    type Memory = ();

    fn keep(&self) -> Keep {
        Keep::Nothing
    }

    fn path(&self) -> &'static str {
        "/etcdserverpb.KV/Txn"
    }

    fn request(&mut self, index: u64) -> Bytes {
        let first = index * self.operations;
        let puts = (first..first + self.operations).map(|index| {
            let put =
                PutRequest { key: self.keys.key(index), value: self.value.clone(), ..PutRequest::default() };
            RequestOp { request: Some(request_op::Request::RequestPut(put)) }
        });
        let request = TxnRequest { success: puts.collect(), ..TxnRequest::default() };
        self.frames.encode(&request)
    }

    fn answered(&mut self, _: Reply, (): &mut ()) -> Result<Option<Bytes>, CallError> {
        Ok(None)
    }
}

/// Runs the subcommand.
pub(crate) async fn run(session: &Session<'_>, flags: &TxnPut) -> Result<(), BenchError> {
    let global = session.global;
    let plan = Plan { total: flags.total, rate: flags.rate, sample: global.sample, quiet: global.json };
    let meter = session.meter()?;
    let (report, _) = load::run(&session.pool, plan, Txns::new(flags)?).await?;
    let costs = meter.finish(report.successes())?;
    run::print(
        global,
        &[Part {
            name: "TXN-PUT",
            heading: None,
            ending: "\n",
            report,
            costs,
            extra: serde_json::Map::new(),
        }],
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use prost::Message;
    use std::collections::BTreeSet;

    fn flags(txn_ops: i64, key_space_size: i64) -> TxnPut {
        TxnPut { key_size: 8, val_size: 8, txn_ops, rate: 0, total: 1, key_space_size }
    }

    #[test]
    fn a_transaction_writes_different_keys() {
        let mut txns = Txns::new(&flags(3, 5)).unwrap();
        for index in 0..10 {
            let frame = txns.request(index);
            let request = TxnRequest::decode(&frame[5..]).unwrap();
            let keys: BTreeSet<Bytes> = request
                .success
                .into_iter()
                .map(|operation| match operation.request {
                    Some(request_op::Request::RequestPut(put)) => put.key,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(keys.len(), 3);
        }
    }

    #[test]
    fn more_operations_than_keys_are_refused_in_etcds_words() {
        assert_eq!(
            Txns::new(&flags(2, 1)).unwrap_err().to_string(),
            "expected --txn-ops no larger than --key-space-size, got txn-ops(2) key-space-size(1)"
        );
        assert_eq!(
            Txns::new(&flags(1, 0)).unwrap_err().to_string(),
            "expected positive --key-space-size, got (0)"
        );
    }
}
