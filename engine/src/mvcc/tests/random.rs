//! Random histories, on the store and on the model, with everything that can be read compared on the way.

use super::model::Model;
use super::{TestStore, open};
use crate::mvcc::trees::RECORDS;
use crate::mvcc::{ApplyTxn, MvccError, RangeQuery, RangeResult, SortOrder, SortTarget, View};
use proptest::prelude::*;

const LEASES: [i64; 4] = [0, 1, 77, -5];

#[derive(Clone, Debug)]
enum Write {
    Put { key: Vec<u8>, value: Vec<u8>, lease: usize },
    Delete { key: Vec<u8>, range_end: Vec<u8> },
}

#[derive(Clone, Debug)]
enum Op {
    /// A batch of revisions in one transaction.
    Apply(Vec<Vec<Write>>),
    /// The same, but thrown away.
    Abandon(Vec<Write>),
    /// Compact this part (of 100) of the readable history.
    Compact(u8),
    /// Physical steps of so many rows.
    Steps {
        rows: usize,
        steps: usize,
    },
    Checkpoint,
    /// Close the file and open it again.
    Reopen,
    /// A range read at this part (of 100) of the readable history.
    Read(u8, ReadSpec),
    /// Read changes from this part of the history on, with these limits.
    Changes {
        part: u8,
        max_revisions: usize,
        max_bytes: usize,
    },
}

#[derive(Clone, Debug)]
struct ReadSpec {
    key: Vec<u8>,
    range_end: Vec<u8>,
    limit: i64,
    keys_only: bool,
    count_only: bool,
    /// Bounds as revisions; most are 0.
    bounds: [i64; 4],
    order: SortOrder,
    target: SortTarget,
}

impl ReadSpec {
    fn query(&self, revision: i64) -> RangeQuery<'_> {
        let [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision] = self.bounds;
        RangeQuery {
            key: &self.key,
            range_end: &self.range_end,
            revision,
            limit: self.limit,
            keys_only: self.keys_only,
            count_only: self.count_only,
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
            order: self.order,
            target: self.target,
        }
    }
}

/// Few keys, so that they meet again, made of the bytes that escapes and ends are made of.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(1), Just(b'a'), Just(0xff)];
    prop_oneof![
        20 => proptest::collection::vec(byte, 1..=2),
        1 => (0u8..3).prop_map(|n| vec![n; 700]),
    ]
}

fn range_end() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => Just(Vec::new()), 1 => Just(vec![0]), 3 => key()]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => proptest::collection::vec(any::<u8>(), 0..4),
        1 => any::<u8>().prop_map(|byte| vec![byte; 3000]),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        5 => (key(), value(), 0..LEASES.len()).prop_map(|(key, value, lease)| Write::Put { key, value, lease }),
        3 => (key(), range_end()).prop_map(|(key, range_end)| Write::Delete { key, range_end }),
    ]
}

fn read_spec() -> impl Strategy<Value = ReadSpec> {
    let bound = || prop_oneof![6 => Just(0i64), 3 => 1i64..40, 1 => Just(-1)];
    let order = prop_oneof![Just(SortOrder::None), Just(SortOrder::Ascend), Just(SortOrder::Descend)];
    let target = prop_oneof![
        3 => Just(SortTarget::Key),
        1 => Just(SortTarget::Version),
        1 => Just(SortTarget::Create),
        1 => Just(SortTarget::Mod),
        1 => Just(SortTarget::Value),
    ];
    let start = prop_oneof![1 => Just(vec![0]), 2 => key()];
    let bounds = (bound(), bound(), bound(), bound());
    (start, range_end(), -1i64..6, any::<bool>(), 0u8..10, bounds, order, target).prop_map(
        |(key, range_end, limit, keys_only, count_only, bounds, order, target)| ReadSpec {
            key,
            range_end,
            limit,
            keys_only,
            count_only: count_only == 0,
            bounds: [bounds.0, bounds.1, bounds.2, bounds.3],
            order,
            target,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let revision = proptest::collection::vec(write(), 0..5);
    prop_oneof![
        8 => proptest::collection::vec(revision, 1..4).prop_map(Op::Apply),
        1 => proptest::collection::vec(write(), 1..4).prop_map(Op::Abandon),
        2 => (0u8..=100).prop_map(Op::Compact),
        3 => (1usize..6, 1usize..4).prop_map(|(rows, steps)| Op::Steps { rows, steps }),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Reopen),
        8 => (0u8..=100, read_spec()).prop_map(|(part, spec)| Op::Read(part, spec)),
        2 => (0u8..=100, 0usize..5, 0usize..400).prop_map(|(part, max_revisions, max_bytes)| {
            Op::Changes { part, max_revisions, max_bytes }
        }),
    ]
}

struct Both {
    real: TestStore,
    model: Model,
}

impl Both {
    fn run(&mut self, op: &Op) {
        match op {
            Op::Apply(revisions) => self.apply(revisions),
            Op::Abandon(writes) => {
                let mut txn = self.real.store.begin().unwrap();
                let mut scratch = self.model.clone();
                txn.begin_revision();
                run_writes(&mut txn, &mut scratch, writes);
            }
            Op::Compact(part) => self.compact(*part),
            Op::Steps { rows, steps } => {
                let mut txn = self.real.store.begin().unwrap();
                for _ in 0..*steps {
                    txn.compact_step(*rows).unwrap();
                }
                txn.publish().unwrap();
            }
            Op::Checkpoint => drop(self.real.store.db().checkpoint().unwrap()),
            Op::Reopen => self.reopen(),
            Op::Read(part, spec) => {
                let view = self.view();
                let revision = self.revision_at(*part);
                compare_range(&view, &self.model, &spec.query(revision));
                compare_range(&view, &self.model, &spec.query(0));
            }
            Op::Changes { part, max_revisions, max_bytes } => {
                self.compare_some_changes(self.revision_at(*part), *max_revisions, *max_bytes);
            }
        }
        self.real.assert_clean();
    }

    fn apply(&mut self, revisions: &[Vec<Write>]) {
        let mut txn = self.real.store.begin().unwrap();
        for writes in revisions {
            let before = self.model.revision;
            txn.begin_revision();
            run_writes(&mut txn, &mut self.model, writes);
            self.model.end_revision();
            let told = txn.end_revision();
            let expected = self.model.changes(before + 1);
            assert_eq!(told.into_iter().collect::<Vec<_>>(), expected);
            assert_eq!(txn.revision(), self.model.revision);
        }
        txn.set_mark(self.model.revision as u64);
        txn.publish().unwrap();
        let view = self.view();
        assert_eq!((view.revision(), view.mark()), (self.model.revision, self.model.revision as u64));
    }

    fn compact(&mut self, part: u8) {
        let revision = self.revision_at(part);
        let mut txn = self.real.store.begin().unwrap();
        let result = txn.compact(revision);
        if revision <= self.model.compacted {
            assert!(matches!(result, Err(MvccError::Compacted { .. })));
        } else {
            result.unwrap();
            self.model.compacted = revision;
        }
        let future = self.model.revision + 1;
        assert!(matches!(txn.compact(future), Err(MvccError::FutureRevision { .. })));
        txn.publish().unwrap();
    }

    fn reopen(&mut self) {
        self.real.store.db().checkpoint().unwrap();
        self.real.store = crate::mvcc::Store::open(self.real.store.db().clone()).unwrap(); // STUB
        assert_eq!(self.view().revision(), self.model.revision);
        assert_eq!(self.view().compact_revision(), self.model.compacted);
    }

    fn view(&self) -> View {
        self.real.store.view().unwrap()
    }

    fn oldest(&self) -> i64 {
        self.model.compacted.max(1)
    }

    fn revision_at(&self, part: u8) -> i64 {
        let readable = self.model.revision - self.oldest();
        self.oldest() + readable * i64::from(part) / 100
    }

    fn compare_some_changes(&self, from: i64, max_revisions: usize, max_bytes: usize) {
        let told = self.view().changes(from, max_revisions, max_bytes).unwrap();
        if from <= self.model.compacted {
            return; // what is told of the compacted revision depends on how far compaction has come
        }
        let mut bytes = 0;
        let mut expected = Vec::new();
        for revision in self.model.changes(from).into_iter().take(max_revisions) {
            if bytes >= max_bytes && !expected.is_empty() {
                break;
            }
            bytes += revision.changes.iter().map(|change| change.kv.len()).sum::<usize>();
            expected.push(revision);
        }
        assert_eq!(told, expected);
    }

    /// Everything, at every readable revision.
    fn compare_all(&self) {
        let view = self.view();
        for revision in self.oldest()..=self.model.revision {
            let all = RangeQuery { key: b"\0", range_end: b"\0", revision, ..RangeQuery::default() };
            compare_range(&view, &self.model, &all);
            compare_range(&view, &self.model, &RangeQuery { count_only: true, ..all });
            let hash = view.hash_kv(revision).unwrap();
            assert_eq!(hash.hash, self.model.hash(revision), "hash at {revision}");
            assert_eq!((hash.compact_revision, hash.hash_revision), (self.model.compacted, revision));
            if revision > self.model.compacted {
                let told = view.changes(revision, usize::MAX, usize::MAX).unwrap();
                assert_eq!(told, self.model.changes(revision));
            }
        }
        assert_eq!(view.hash_kv(0).unwrap().hash, self.model.hash(self.model.revision));
        for lease in LEASES {
            if lease != 0 {
                assert_eq!(view.lease_keys(lease).unwrap(), self.model.lease_keys(lease));
            }
        }
        self.compare_refusals(&view);
    }

    fn compare_refusals(&self, view: &View) {
        for revision in [self.model.compacted - 1, self.model.revision + 1] {
            if revision < 1 {
                continue;
            }
            let query = RangeQuery { key: b"a", revision, ..RangeQuery::default() };
            let expected = |error: &MvccError| {
                if revision < self.model.compacted {
                    matches!(error, MvccError::Compacted { .. })
                } else {
                    matches!(error, MvccError::FutureRevision { .. })
                }
            };
            assert!(expected(&view.range(&query).unwrap_err()));
            assert!(expected(&view.get(b"a", revision).unwrap_err()));
            assert!(expected(&view.hash_kv(revision).unwrap_err()));
        }
    }

    fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let view = self.view();
        view.aux_entries(RECORDS)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|(k, v)| (k.into(), v.into()))
            .collect()
    }
}

fn run_writes(txn: &mut ApplyTxn, model: &mut Model, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Put { key, value, lease } => {
                let lease = LEASES[*lease];
                txn.put(key, value, lease).unwrap();
                model.put(key, value, lease);
            }
            Write::Delete { key, range_end } => {
                let deleted = txn.delete_range(key, range_end, true).unwrap();
                let expected = model.delete(key, range_end);
                assert_eq!(deleted.count, expected.len() as i64);
                assert_eq!(deleted.prev_kvs, expected);
            }
        }
        assert_eq!(txn.revision(), model.seen());
        let all = RangeQuery { key: b"\0", range_end: b"\0", ..RangeQuery::default() };
        assert_same(&txn.range(&all).unwrap(), model, &all);
        let before = RangeQuery { revision: model.revision, ..all };
        assert_same(&txn.range(&before).unwrap(), model, &before);
    }
}

fn assert_same(real: &RangeResult, model: &Model, query: &RangeQuery<'_>) {
    let expected = model.range(query);
    assert_eq!(real.kvs, expected.kvs, "{query:?}");
    assert_eq!((real.count, real.more), (expected.count, expected.more), "{query:?}");
}

fn compare_range(view: &View, model: &Model, query: &RangeQuery<'_>) {
    let result = view.range(query).unwrap();
    assert_same(&result, model, query);
    for chunk_bytes in [0, 64, usize::MAX] {
        let mut stream = view.range_stream(query).unwrap();
        let mut streamed = Vec::new();
        assert_eq!((stream.count(), stream.more()), (result.count, result.more), "{query:?}");
        while let Some(chunk) = stream.next_chunk(chunk_bytes).unwrap() {
            let bytes: usize = chunk.iter().map(bytes::Bytes::len).sum();
            assert!(chunk.len() == 1 || bytes <= chunk_bytes);
            streamed.extend(chunk);
        }
        assert_eq!(streamed, result.kvs, "{query:?}");
        assert_eq!(stream.kvs(), streamed.len() as u64);
        assert_eq!(stream.wire_bytes(), streamed.iter().map(|kv| kv.len() as u64).sum::<u64>());
    }
    if query.range_end.is_empty() && !query.keys_only && !query.count_only {
        let plain = RangeQuery { key: query.key, revision: query.revision, ..RangeQuery::default() };
        let one = view.get(query.key, query.revision).unwrap();
        assert_eq!(one.into_iter().collect::<Vec<_>>(), model.range(&plain).kvs);
    }
}

fn run(ops: &[Op]) {
    let mut both = Both { real: TestStore::new(), model: Model::new() };
    for (index, op) in ops.iter().enumerate() {
        both.run(op);
        if index % 8 == 7 {
            both.compare_all();
        }
    }
    both.compare_all();
    both.real.finish_compaction(3);
    both.real.assert_clean();
    both.compare_all();
    assert_eq!(both.records(), both.model.records());
    both.reopen();
    both.compare_all();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn store_and_model_agree(ops in proptest::collection::vec(op(), 1..50)) {
        run(&ops);
    }
}
