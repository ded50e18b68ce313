//! The trees against a model: any sequence of changes, publishes, snapshots, checkpoints and restarts.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Model, SPECS, assert_clean, assert_same, assert_same_around, open};
use holdfast_engine::file::MemFile;
use holdfast_engine::tree::{Db, Snapshot, TreeId, TreeRead, WriteTxn};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Put {
        tree: u8,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    Delete {
        tree: u8,
        key: Vec<u8>,
    },
    /// Deletes up to `count` entries from `key` on.
    DeleteMany {
        tree: u8,
        key: Vec<u8>,
        count: usize,
    },
    /// Puts `count` keys in ascending order.
    Append {
        tree: u8,
        count: usize,
        bytes: usize,
    },
    Look {
        tree: u8,
        key: Vec<u8>,
        other: Vec<u8>,
        min: u64,
    },
    /// Moves a cursor about: each move is what to do and where.
    Wander {
        tree: u8,
        moves: Vec<(u8, Vec<u8>)>,
    },
    Publish {
        mark: u64,
    },
    Abandon,
    Checkpoint,
    Pin,
    Unpin {
        which: usize,
    },
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0_u32..300).prop_map(|n| format!("/registry/things/{n:05}").into_bytes()),
        3 => prop::collection::vec(0_u8..3, 0..8),
        // Long keys that differ early, at the cut of a small page, and late.
        2 => (0_u8..4, 0_usize..4, 0_u8..3).prop_map(|(front, middle, back)| {
            let mut key = vec![front];
            key.extend(std::iter::repeat_n(b'k', [55, 70, 600, 2500][middle]));
            key.push(back);
            key
        }),
        1 => (0_u16..50).prop_map(|n| {
            let mut key = vec![b'x'; 62];
            key.extend_from_slice(&n.to_be_bytes());
            key
        }),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![6 => 0_usize..40, 3 => 100_usize..240, 2 => 400_usize..3000];
    (any::<[u8; 4]>(), bytes).prop_map(|(front, bytes)| {
        let mut value = vec![0, 0, front[0] % 4, front[1]];
        value.extend(std::iter::repeat_n(front[2], bytes));
        value.truncate(bytes);
        value
    })
}

fn step() -> impl Strategy<Value = Step> {
    let tree = 0..SPECS.len() as u8;
    prop_oneof![
        30 => (tree.clone(), key(), value()).prop_map(|(tree, key, value)| Step::Put { tree, key, value }),
        10 => (tree.clone(), key()).prop_map(|(tree, key)| Step::Delete { tree, key }),
        4 => (tree.clone(), key(), 1_usize..60).prop_map(|(tree, key, count)| Step::DeleteMany { tree, key, count }),
        2 => (tree.clone(), 1_usize..80, 0_usize..100).prop_map(|(tree, count, bytes)| Step::Append { tree, count, bytes }),
        6 => (tree.clone(), key(), key(), 0_u64..1024).prop_map(|(tree, key, other, min)| Step::Look { tree, key, other, min }),
        4 => (tree.clone(), prop::collection::vec((0_u8..12, key()), 1..30))
            .prop_map(|(tree, moves)| Step::Wander { tree, moves }),
        8 => (0_u64..5).prop_map(|mark| Step::Publish { mark }),
        1 => Just(Step::Abandon),
        3 => Just(Step::Checkpoint),
        3 => Just(Step::Pin),
        3 => (0_usize..8).prop_map(|which| Step::Unpin { which }),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    page_size: u32,
    file: Arc<MemFile>,
    db: Option<Db>,
    txn: Option<WriteTxn>,
    /// As the open transaction sees it, as published, and as durable.
    now: Model,
    published: Model,
    durable: Model,
    pins: Vec<(Snapshot, Model)>,
}

impl Run {
    fn new(page_size: u32) -> Self {
        let file = Arc::new(MemFile::new());
        let db = Some(open(&file, page_size));
        let model = Model::new();
        Self {
            page_size,
            file,
            db,
            txn: None,
            now: model.clone(),
            published: model.clone(),
            durable: model,
            pins: Vec::new(),
        }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn change(&mut self) -> (&mut WriteTxn, &mut Model) {
        let db = self.db.as_ref().unwrap();
        (self.txn.get_or_insert_with(|| db.write()), &mut self.now)
    }

    fn abandon(&mut self) {
        self.txn = None;
        self.now = self.published.clone();
    }

    fn delete(&mut self, tree: u8, key: &[u8]) {
        let (txn, model) = self.change();
        let was = model.trees[tree as usize].remove(key).is_some();
        assert_eq!(txn.delete(TreeId(tree), key).unwrap(), was);
    }

    fn put(&mut self, tree: u8, key: &[u8], value: &[u8]) {
        let (txn, model) = self.change();
        txn.put(TreeId(tree), key, value).unwrap();
        model.trees[tree as usize].insert(key.to_vec(), value.to_vec());
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put { tree, key, value } => self.put(*tree, key, value),
            Step::Delete { tree, key } => self.delete(*tree, key),
            Step::DeleteMany { tree, key, count } => {
                let map = &self.now.trees[*tree as usize];
                let keys: Vec<_> = map.range(key.clone()..).take(*count).map(|(k, _)| k.clone()).collect();
                for key in keys {
                    self.delete(*tree, &key);
                }
            }
            Step::Append { tree, count, bytes } => {
                let first = self.now.trees[*tree as usize].len();
                for n in first..first + count {
                    self.put(*tree, format!("~{n:08}").as_bytes(), &vec![n as u8; *bytes]);
                }
            }
            Step::Look { tree, key, other, min } => {
                if let Some(txn) = &self.txn {
                    assert_same_around(txn, &self.now, TreeId(*tree), key, other, *min);
                }
                let snapshot = self.db().snapshot();
                assert_same_around(&snapshot, &self.published, TreeId(*tree), key, other, *min);
            }
            Step::Wander { tree, moves } => {
                if let Some(txn) = &self.txn {
                    wander(txn, &self.now, TreeId(*tree), moves);
                }
                wander(&self.db().snapshot(), &self.published, TreeId(*tree), moves);
            }
            Step::Publish { mark } => {
                let (txn, model) = self.change();
                model.mark += mark;
                txn.set_mark(model.mark);
                assert_same(txn, model);
                self.txn.take().unwrap().publish().unwrap();
                self.published = self.now.clone();
                assert_same(&self.db().snapshot(), &self.published);
            }
            Step::Abandon => self.abandon(),
            Step::Checkpoint => {
                self.abandon();
                self.db().checkpoint().unwrap();
                self.durable = self.published.clone();
            }
            Step::Pin => self.pins.push((self.db().snapshot(), self.published.clone())),
            Step::Unpin { which } => {
                if *which < self.pins.len() {
                    let (snapshot, model) = self.pins.swap_remove(*which);
                    assert_same(&snapshot, &model);
                }
            }
            Step::Reopen => {
                self.abandon();
                self.pins.clear();
                assert_clean(self.db());
                self.db = None;
                self.db = Some(open(&self.file, self.page_size));
                self.published = self.durable.clone();
                self.now = self.durable.clone();
                assert_same(&self.db().snapshot(), &self.durable);
                assert_clean(self.db());
            }
        }
    }
}

/// A cursor and a place in a sorted list, moved in the same way: -1 is before the first entry, the length behind the
/// last.
fn wander(db: &impl TreeRead, model: &Model, tree: TreeId, moves: &[(u8, Vec<u8>)]) {
    let entries: Vec<_> = model.trees[tree.0 as usize].iter().collect();
    let end = entries.len() as isize;
    let below = |key: &[u8]| entries.partition_point(|(k, _)| k.as_slice() < key) as isize;
    let mut cursor = db.cursor(tree);
    let mut place = -1_isize;
    for (what, key) in moves {
        match what {
            0..=3 => {
                cursor.next().unwrap();
                place = (place + 1).min(end);
            }
            4..=6 => {
                cursor.prev().unwrap();
                place = (place - 1).max(-1);
            }
            7 => {
                cursor.seek(key).unwrap();
                place = below(key);
            }
            8 => {
                cursor.seek_before(key).unwrap();
                place = below(key) - 1;
            }
            9 => {
                cursor.seek_first().unwrap();
                place = 0;
            }
            10 => {
                cursor.seek_last().unwrap();
                place = end - 1;
            }
            _ if (0..end).contains(&place) => {
                let min = u64::from(*key.first().unwrap_or(&0)) * 8;
                cursor.next_stamped(min).unwrap();
                let later = entries.iter().skip(place as usize + 1);
                let found = later.clone().position(|(k, v)| common::stamp(k, v) >= min);
                place = found.map_or(end, |n| place + 1 + n as isize);
            }
            _ => {}
        }
        let expected = usize::try_from(place).ok().and_then(|n| entries.get(n));
        let expected = expected.map(|(k, v)| (k.as_slice(), v.as_slice()));
        assert_eq!(cursor.entry().unwrap(), expected, "at {place} of {end}");
    }
}

fn run(page_size: u32, steps: &[Step]) {
    let mut run = Run::new(page_size);
    for step in steps {
        run.step(step);
    }
    for (snapshot, model) in &run.pins {
        assert_same(snapshot, model);
    }
    run.abandon();
    assert_clean(run.db());
    run.step(&Step::Checkpoint);
    run.step(&Step::Reopen);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_smallest_pages(steps in prop::collection::vec(step(), 1..250)) {
        run(512, &steps);
    }

    #[test]
    fn pages_of_1_kib(steps in prop::collection::vec(step(), 1..250)) {
        run(1024, &steps);
    }

    #[test]
    fn pages_of_4_kib(steps in prop::collection::vec(step(), 1..250)) {
        run(4096, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn pages_between(steps in prop::collection::vec(step(), 1..250), shift in 0_u32..4) {
        run([2048, 8192, 16384, 32768][shift as usize], &steps);
    }

    #[test]
    fn the_largest_pages(steps in prop::collection::vec(step(), 1..250)) {
        run(65536, &steps);
    }

    #[test]
    fn long_runs(steps in prop::collection::vec(step(), 2000..3000)) {
        run(512, &steps);
    }
}

#[test]
fn a_key_of_the_request_limit() {
    let file = Arc::new(MemFile::new());
    let db = open(&file, 4096);
    let long = |last: u8| {
        let mut key = vec![b'k'; 1_572_864];
        key.push(last);
        key
    };
    let mut txn = db.write();
    for last in 0..20 {
        txn.put(TreeId(0), &long(last), &[last; 100]).unwrap();
    }
    txn.publish().unwrap();
    let snapshot = db.snapshot();
    for last in 0..20 {
        assert_eq!(snapshot.get(TreeId(0), &long(last)).unwrap(), Some([last; 100].as_slice()));
    }
    assert_eq!(snapshot.count(TreeId(0), &long(3), Some(&long(7))).unwrap(), 4);
    assert_clean(&db);
}
