//! Range reads that real etcd has answered, and the corners of ranges.

use super::{TestStore, keys};
use crate::mvcc::{
    CompactProgress, HoldStats, KeyValue, MvccError, RangeQuery, RangeResult, SortOrder, SortTarget,
};

const K: RangeQuery<'static> = RangeQuery::of(b"k", b"l");

/// `a` at revision 2, `k0` … `k4` at 3 … 7, with falling values.
fn observed() -> TestStore {
    let store = TestStore::new();
    store.put("a", "1");
    for n in 0..5 {
        store.put(&format!("k{n}"), &format!("v{}", 9 - n));
    }
    store
}

#[track_caller]
fn assert_answer(store: &TestStore, query: RangeQuery<'_>, expected: &[&str], more: bool, count: i64) {
    let result = store.range(&query).unwrap();
    assert_eq!(
        (keys(&result), result.more, result.count),
        (expected.iter().map(|k| (*k).into()).collect(), more, count)
    );
}

#[test]
fn answers_are_those_that_etcd_gave() {
    let store = observed();
    assert_answer(&store, RangeQuery { limit: 2, ..K }, &["k0", "k1"], true, 5);
    let all = ["k0", "k1", "k2", "k3", "k4"];
    assert_answer(&store, RangeQuery { limit: -1, keys_only: true, ..K }, &all, false, 5);
    let descending = RangeQuery { order: SortOrder::Descend, limit: 2, keys_only: true, ..K };
    assert_answer(&store, descending, &["k4", "k3"], true, 5);
    // The limit comes before the sort: three keys are fetched, sorted, and cut to two.
    let quirk = RangeQuery { target: SortTarget::Value, limit: 2, keys_only: true, ..K };
    assert_answer(&store, quirk, &["k2", "k1"], true, 5);
    let explicit = RangeQuery { order: SortOrder::Ascend, ..quirk };
    assert_answer(&store, explicit, &["k4", "k3"], true, 5);
    assert_answer(&store, RangeQuery { count_only: true, limit: 2, ..K }, &[], false, 5);
    assert_answer(&store, RangeQuery { min_mod_revision: 4, limit: 2, ..K }, &["k1", "k2"], true, 5);
    let a = RangeQuery { key: b"a", range_end: b"", ..K };
    assert_answer(&store, RangeQuery { revision: -5, ..a }, &["a"], false, 1);
    assert_answer(&store, RangeQuery { revision: 1, ..a }, &[], false, 0);
    assert_answer(&store, RangeQuery { key: b"k3", range_end: b"k1", ..K }, &[], false, 0);
    assert_answer(&store, RangeQuery { key: b"k3", range_end: b"\0", ..K }, &["k3", "k4"], false, 2);
    let future = store.range(&RangeQuery { revision: 1000, ..a }).unwrap_err();
    assert!(matches!(future, MvccError::FutureRevision { revision: 1000, current: 7 }));
}

#[test]
fn keys_only_leaves_the_value_out_and_nothing_else() {
    let store = TestStore::new();
    store.write(|txn| txn.put(b"k", b"value", 7).unwrap());
    store.write(|txn| txn.put(b"k", b"other", -7).unwrap());
    for (revision, lease, version) in [(2, 7, 1), (3, -7, 2)] {
        let result = store.range(&RangeQuery { keys_only: true, revision, ..K }).unwrap();
        let expected =
            KeyValue { key: b"k", create_revision: 2, mod_revision: revision, version, value: b"", lease };
        assert_eq!(KeyValue::decode(&result.kvs[0]), Some(expected));
    }
}

#[test]
fn huge_limits_are_limits() {
    let store = observed();
    for target in [SortTarget::Key, SortTarget::Mod] {
        for order in [SortOrder::None, SortOrder::Descend] {
            let query = RangeQuery { limit: i64::MAX, target, order, ..K };
            let result = store.range(&query).unwrap();
            assert_eq!((result.kvs.len(), result.more, result.count), (5, false, 5));
        }
    }
}

#[test]
fn pages_at_one_revision_join_to_the_whole() {
    let store = observed();
    let revision = store.store.view().unwrap().revision();
    store.delete("k3");
    store.put("k2", "new");
    store.put("k22", "new");
    let (mut start, mut seen) = (b"k".to_vec(), Vec::new());
    loop {
        let result = store.range(&RangeQuery { key: &start, limit: 2, revision, ..K }).unwrap();
        seen.extend(keys(&result));
        if !result.more {
            break;
        }
        start = seen.last().unwrap().clone().into_bytes();
        start.push(0);
    }
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4"]);
}

#[test]
fn long_keys_and_values_are_kept() {
    let store = TestStore::new();
    let key = vec![0u8; 1 << 20];
    let value = vec![7u8; 3 << 20];
    store.write(|txn| txn.put(&key, &value, 3).unwrap());
    store.write(|txn| txn.put(&key, b"", 3).unwrap());
    let view = store.store.view().unwrap();
    let wire = view.get(&key, 2).unwrap().unwrap();
    assert_eq!(KeyValue::decode(&wire).unwrap().value, value);
    assert_eq!(view.lease_keys(3).unwrap(), std::slice::from_ref(&key));
    store.assert_clean();
    store.write(|txn| assert_eq!(txn.delete_range(&key, b"", false).unwrap().count, 1));
    store.compact(4).unwrap();
    store.finish_compaction(1);
    store.assert_clean();
}

/// A stream outlives the state that it began with, and the compaction of its revision.
#[test]
fn a_stream_goes_on_over_newer_states() {
    for (order, expected) in [
        (SortOrder::None, ["k0", "k1", "k2", "k3", "k4"]),
        (SortOrder::Descend, ["k4", "k3", "k2", "k1", "k0"]),
    ] {
        let store = observed();
        let mut stream = store.store.range_stream(&RangeQuery { order, ..K }, 0).unwrap();
        let mut seen = RangeResult { kvs: stream.next_chunk(1).unwrap().unwrap(), ..RangeResult::default() };
        store.delete("k1");
        let last = store.put("k2", "changed");
        store.put("k22", "new");
        assert_eq!(store.store.db().stats().readers, 0, "nothing is pinned between two chunks");
        seen.kvs.extend(stream.next_chunk(1).unwrap().unwrap());
        store.compact(last).unwrap();
        let mut txn = store.store.begin().unwrap();
        while txn.compact_step(1).unwrap() == CompactProgress::More {}
        assert_eq!(txn.compact_step(1).unwrap(), CompactProgress::Held { by: 7 });
        txn.publish().unwrap();
        while let Some(chunk) = stream.next_chunk(1).unwrap() {
            seen.kvs.extend(chunk);
        }
        assert_eq!(keys(&seen), expected);
        assert_eq!(KeyValue::decode(&seen.kvs[2]).unwrap().value, b"v7");
        let refused = store.store.range_stream(&RangeQuery { revision: 7, ..K }, 0).err().unwrap();
        assert!(matches!(refused, MvccError::Compacted { revision: 7, .. }), "a new one is refused");
        drop(stream);
        store.finish_compaction(1);
        store.assert_clean();
    }
}

/// A stream that nobody reads does not hold back compaction for ever.
#[test]
fn a_stream_has_a_limit() {
    let store = observed();
    let mut stream = store.store.range_stream(&K, 1).unwrap();
    let last = store.put("k2", "changed");
    store.compact(last).unwrap();
    store.store.tick_holds();
    assert!(stream.next_chunk(1).unwrap().is_some());
    store.store.tick_holds();
    assert_eq!(store.store.hold_stats(), HoldStats { broken: 1, ..HoldStats::default() });
    assert!(matches!(stream.next_chunk(1), Err(MvccError::Outlived { revision: 7 })));
    store.finish_compaction(1);
    store.assert_clean();
}
