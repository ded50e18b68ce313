//! Random operations for histories: what to write, what to read, what to survive.

use crate::mvcc::{RangeQuery, SortOrder, SortTarget};
use proptest::prelude::*;

pub(super) const LEASES: [i64; 4] = [0, 1, 77, -5];

#[derive(Clone, Debug)]
pub(super) enum Write {
    Put { key: Vec<u8>, value: Vec<u8>, lease: usize },
    Delete { key: Vec<u8>, range_end: Vec<u8> },
}

#[derive(Clone, Debug)]
pub(super) enum Op {
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
    /// Lose power: of what was not synced, each sector is kept or lost by chance.
    Crash(u64),
    /// A range read at this part (of 100) of the readable history.
    Read(u8, ReadSpec),
    /// Read changes from this part of the history on, with these limits.
    Changes {
        part: u8,
        max_revisions: usize,
        max_bytes: usize,
    },
    /// Begin a long read that goes on between the operations to come.
    Begin(u8, Long),
    /// Go on with the long read of this number (modulo how many there are).
    GoOn(usize),
    /// Give that one up.
    GiveUp(usize),
    /// A tick of the clock by which long reads grow old.
    Tick,
}

/// A read in chunks.
#[derive(Clone, Debug)]
pub(super) enum Long {
    /// A range in chunks of so many bytes.
    Stream(ReadSpec, usize),
    /// A hash.
    Hash,
    /// All records, in chunks of so many bytes, twice.
    Records(usize),
    /// A check of the trees.
    Check,
}

#[derive(Clone, Debug)]
pub(super) struct ReadSpec {
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
    pub(super) fn query(&self, revision: i64) -> RangeQuery<'_> {
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

fn long() -> impl Strategy<Value = Long> {
    prop_oneof![
        4 => (read_spec(), 0usize..200).prop_map(|(spec, bytes)| Long::Stream(spec, bytes)),
        1 => Just(Long::Hash),
        1 => (0usize..200).prop_map(Long::Records),
        2 => Just(Long::Check),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let revision = proptest::collection::vec(write(), 0..5);
    prop_oneof![
        8 => proptest::collection::vec(revision, 1..4).prop_map(Op::Apply),
        1 => proptest::collection::vec(write(), 1..4).prop_map(Op::Abandon),
        2 => (0u8..=100).prop_map(Op::Compact),
        3 => (1usize..6, 1usize..4).prop_map(|(rows, steps)| Op::Steps { rows, steps }),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
        8 => (0u8..=100, read_spec()).prop_map(|(part, spec)| Op::Read(part, spec)),
        2 => (0u8..=100, 0usize..5, 0usize..400).prop_map(|(part, max_revisions, max_bytes)| {
            Op::Changes { part, max_revisions, max_bytes }
        }),
        3 => (0u8..=100, long()).prop_map(|(part, long)| Op::Begin(part, long)),
        8 => any::<usize>().prop_map(Op::GoOn),
        1 => any::<usize>().prop_map(Op::GiveUp),
        1 => Just(Op::Tick),
    ]
}
