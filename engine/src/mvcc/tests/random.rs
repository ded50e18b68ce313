//! Random histories, on the store and on the model, with everything that can be read compared on the way.

use super::TestStore;
use super::long::LongReads;
use super::model::Model;
use super::ops::{LEASES, Op, Write, op};
use crate::file::MemFile;
use crate::mvcc::trees::RECORDS;
use crate::mvcc::{ApplyTxn, MvccError, RangeQuery, RangeResult, SortOrder, SortTarget, View};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

struct Both {
    real: TestStore,
    model: Model,
    /// The model at each mark that was published; the mark is the position.
    published: Vec<Model>,
    /// The mark that a crash must not lose.
    durable: u64,
    long: LongReads,
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
                self.publish(txn);
            }
            Op::Checkpoint => self.checkpoint(),
            Op::Reopen => self.reopen(),
            Op::Crash(chance) => self.crash(*chance),
            Op::Read(part, spec) => {
                let view = self.view();
                let revision = self.revision_at(*part);
                self.compare_range(&view, &spec.query(revision));
                self.compare_range(&view, &spec.query(0));
            }
            Op::Changes { part, max_revisions, max_bytes } => {
                self.compare_some_changes(self.revision_at(*part), *max_revisions, *max_bytes);
            }
            Op::Begin(part, long) => {
                self.long.begin(&self.real.store, &self.model, self.revision_at(*part), long);
            }
            Op::GoOn(number) => self.long.go_on(*number),
            Op::GiveUp(number) => self.long.give_up(*number),
            Op::Tick => self.long.tick(&self.real.store),
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
        self.publish(txn);
    }

    fn publish(&mut self, mut txn: ApplyTxn) {
        let mark = self.published.len() as u64;
        txn.set_mark(mark);
        txn.publish().unwrap();
        self.published.push(self.model.clone());
        let view = self.view();
        assert_eq!((view.revision(), view.mark()), (self.model.revision, mark));
    }

    fn checkpoint(&mut self) {
        self.durable = self.real.store.db().checkpoint().unwrap().mark;
        assert_eq!(self.durable as usize, self.published.len() - 1);
    }

    fn compact(&mut self, part: u8) {
        let revision = self.revision_at(part);
        let mut txn = self.real.store.begin().unwrap();
        let result = txn.compact(revision);
        if revision <= self.model.compacted {
            assert!(matches!(result, Err(MvccError::Compacted { .. })));
        } else {
            let span = result.unwrap();
            self.model.compacted = revision;
            let future = self.model.revision + 1;
            assert!(matches!(txn.compact(future), Err(MvccError::FutureRevision { .. })));
            self.publish(txn);
            if let Some(span) = span {
                self.long.begin_compaction_hash(&self.real.store, &self.model, span);
            }
            return;
        }
        let future = self.model.revision + 1;
        assert!(matches!(txn.compact(future), Err(MvccError::FutureRevision { .. })));
        self.publish(txn);
    }

    fn reopen(&mut self) {
        self.long.give_up_all();
        self.checkpoint();
        self.real.reopen(MemFile::image);
        self.compare_position();
    }

    /// What comes back is one of the published states, and none before the last checkpoint.
    fn crash(&mut self, chance: u64) {
        self.long.give_up_all();
        let mut random = SmallRng::seed_from_u64(chance);
        let kept = f64::from(chance as u8) / 255.0;
        self.real.reopen(|file| file.crash_image(|_| random.random_bool(kept)));
        let mark = self.view().mark();
        assert!(mark >= self.durable, "mark {mark} came back, {} was durable", self.durable);
        self.published.truncate(mark as usize + 1);
        self.model = self.published.last().unwrap().clone();
        self.compare_position();
        self.compare_all();
    }

    fn compare_position(&self) {
        let view = self.view();
        assert_eq!(view.revision(), self.model.revision);
        assert_eq!(view.compact_revision(), self.model.compacted);
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
            self.compare_range(&view, &all);
            self.compare_range(&view, &RangeQuery { count_only: true, ..all });
            self.compare_range(&view, &with_options(all));
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

    fn compare_range(&self, view: &View, query: &RangeQuery<'_>) {
        let model = &self.model;
        let result = view.range(query).unwrap();
        assert_same(&result, model, query);
        for chunk_bytes in [0, 64, usize::MAX] {
            let mut stream = self.real.store.range_stream(query, 0).unwrap();
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

    fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let view = self.view();
        view.aux_entries(RECORDS)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|(k, v)| (k.into(), v.into()))
            .collect()
    }
}

/// The range with one set of options or another, so that each meets many revisions.
fn with_options(all: RangeQuery<'_>) -> RangeQuery<'_> {
    let at = all.revision;
    match at % 8 {
        0 => RangeQuery { limit: 2, ..all },
        1 => RangeQuery { keys_only: true, order: SortOrder::Descend, limit: 3, ..all },
        2 => RangeQuery { target: SortTarget::Mod, order: SortOrder::Ascend, limit: 2, ..all },
        3 => RangeQuery { target: SortTarget::Version, limit: 2, ..all },
        4 => RangeQuery { min_mod_revision: at / 2, max_create_revision: at - 1, ..all },
        5 => {
            RangeQuery { target: SortTarget::Value, order: SortOrder::Descend, min_create_revision: 2, ..all }
        }
        6 => RangeQuery { key: b"a", range_end: b"b", keys_only: true, max_mod_revision: at - 1, ..all },
        _ => RangeQuery {
            target: SortTarget::Create,
            order: SortOrder::Descend,
            count_only: at % 16 == 7,
            ..all
        },
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

fn run(ops: &[Op]) {
    let model = Model::new();
    let (real, published) = (TestStore::new(), vec![model.clone()]);
    let mut both = Both { real, published, model, durable: 0, long: LongReads::default() };
    for (index, op) in ops.iter().enumerate() {
        both.run(op);
        if index % 8 == 7 {
            both.compare_all();
        }
    }
    both.compare_all();
    both.long.finish();
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
