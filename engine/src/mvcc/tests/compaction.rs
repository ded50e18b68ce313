//! What compaction keeps, and what a crash in the middle of it does.

use super::TestStore;
use crate::mvcc::trees::RECORDS;
use crate::mvcc::{CompactProgress, MvccError, RangeQuery, RecordChunk};

fn records(store: &TestStore) -> u64 {
    store.store.view().unwrap().aux_len(RECORDS)
}

#[test]
fn targets_are_judged_as_etcd_judges_them() {
    let store = TestStore::new();
    assert!(matches!(store.compact(-1), Err(MvccError::Compacted { .. })));
    store.compact(0).unwrap();
    assert!(matches!(store.compact(0), Err(MvccError::Compacted { compact_revision: 0, .. })));
    assert!(matches!(store.compact(2), Err(MvccError::FutureRevision { current: 1, .. })));
    store.compact(1).unwrap();
    store.finish_compaction(10);
    store.assert_clean();
    assert_eq!(store.store.view().unwrap().compact_revision(), 1);
}

#[test]
fn the_revision_survives_a_compaction_of_everything() {
    let store = TestStore::new();
    store.put("a", "1");
    let deleted = store.delete("a");
    let reused = store.put("a", "2");
    let last = store.delete("a");
    assert_eq!((deleted, reused, last), (3, 4, 5));
    store.compact(last).unwrap();
    store.finish_compaction(1);
    assert_eq!(records(&store), 1, "the deletion at the compacted revision stays");
    // An empty revision is none, so the next one is 6, whatever is left.
    assert_eq!(store.delete("nothing"), 5);
    assert_eq!(store.put("b", ""), 6);
    store.compact(6).unwrap();
    store.finish_compaction(1);
    assert_eq!(records(&store), 1, "the deletion is gone, the living key stays");
    let view = store.store.view().unwrap();
    assert_eq!((view.revision(), view.compact_revision()), (6, 6));
    store.assert_clean();
}

#[test]
fn a_watch_from_the_compacted_revision_is_told_its_deletion() {
    let store = TestStore::new();
    store.put("a", "1");
    let deleted = store.delete("a");
    store.put("b", "1");
    store.compact(deleted).unwrap();
    store.finish_compaction(1);
    let view = store.store.view().unwrap();
    let told = view.changes(deleted, 10, usize::MAX).unwrap();
    assert_eq!(told.len(), 2);
    assert!(told[0].changes[0].deleted);
    assert_eq!(told[0].changes[0].key, "a");
    assert!(matches!(view.changes(deleted - 1, 10, 0), Err(MvccError::Compacted { .. })));
}

#[test]
fn a_new_target_overtakes_an_unfinished_walk() {
    let store = TestStore::new();
    for n in 0..4 {
        store.put("a", &n.to_string());
        store.put("b", &n.to_string());
        store.delete("b");
    }
    let last = store.store.view().unwrap().revision();
    for target in 2..=last {
        store.compact(target).unwrap();
        let mut txn = store.store.begin().unwrap();
        let progress = txn.compact_step(1 + target as usize % 3).unwrap();
        txn.publish().unwrap();
        assert_ne!(progress, CompactProgress::Idle);
        store.assert_clean();
    }
    store.finish_compaction(1);
    store.assert_clean();
    assert_eq!(records(&store), 2, "a, and the deletion of b at the compacted revision");
}

#[test]
fn an_abandoned_step_changes_nothing() {
    let store = TestStore::new();
    for n in 0..10 {
        store.put("a", &n.to_string());
    }
    store.compact(11).unwrap();
    let before = records(&store);
    let mut txn = store.store.begin().unwrap();
    assert_eq!(txn.compact_step(5).unwrap(), CompactProgress::More);
    drop(txn);
    assert_eq!(records(&store), before);
    let mut txn = store.store.begin().unwrap();
    assert_eq!(txn.compact_step(100).unwrap(), CompactProgress::Done { revision: 11 });
    assert_eq!(txn.compact_step(100).unwrap(), CompactProgress::Idle);
    txn.publish().unwrap();
    assert_eq!(records(&store), 1);
}

/// Steps look at a bounded number of records, and the work follows the changes and not the store.
#[test]
fn steps_are_bounded() {
    let store = TestStore::new();
    for n in 0..100 {
        store.put(&format!("k{n}"), "");
    }
    store.compact(101).unwrap();
    store.finish_compaction(1000);
    for _ in 0..10 {
        store.put("k5", "");
    }
    store.compact(111).unwrap();
    let mut txn = store.store.begin().unwrap();
    let mut steps = 0;
    while txn.compact_step(4).unwrap() == CompactProgress::More {
        steps += 1;
    }
    txn.publish().unwrap();
    // The record at 101 and the ten changes: three steps.
    assert_eq!(steps, 2);
    assert_eq!(records(&store), 100);
}

/// However many rows a step may look at, the pages that it changes are bounded.
#[test]
fn steps_are_bounded_by_the_pages_that_they_change() {
    let store = TestStore::new();
    let value = vec![b'v'; 300];
    let mut txn = store.store.begin().unwrap();
    for n in 0..12_000 {
        txn.begin_revision();
        txn.put(format!("k{}", n * 7 % 6000).as_bytes(), &value, 0).unwrap();
        txn.end_revision();
    }
    txn.publish().unwrap();
    store.compact(12_001).unwrap();
    let (mut steps, mut done) = (0, false);
    while !done {
        let mut txn = store.store.begin().unwrap();
        done = txn.compact_step(usize::MAX).unwrap() != CompactProgress::More;
        assert!(txn.txn.changed_pages() < 600, "{} pages in a step", txn.txn.changed_pages());
        txn.publish().unwrap();
        steps += 1;
    }
    assert!(steps > 4, "the records lie in thousands of pages");
    store.assert_clean();
}

/// A view that was pinned before a compaction reads on.
#[test]
fn a_pinned_view_is_not_disturbed() {
    let store = TestStore::new();
    store.put("a", "1");
    store.put("a", "2");
    let view = store.store.view().unwrap();
    store.compact(3).unwrap();
    store.finish_compaction(1);
    let query = RangeQuery { key: b"a", revision: 2, ..RangeQuery::default() };
    assert_eq!(view.range(&query).unwrap().count, 1);
    let later = store.store.view().unwrap().range(&query).unwrap_err();
    assert!(matches!(later, MvccError::Compacted { revision: 2, compact_revision: 3 }));
}

/// The walk stands inside its own target, behind a deletion that it left there, when a later target comes.
#[test]
fn a_deletion_left_by_an_unfinished_walk_is_not_forgotten() {
    let store = TestStore::new();
    store.put("b", "1");
    let target = store.write(|txn| {
        txn.delete_range(b"b", b"", false).unwrap();
        txn.put(b"a", b"1", 0).unwrap();
    });
    let last = store.put("a", "2");
    store.compact(target).unwrap();
    let mut txn = store.store.begin().unwrap();
    assert_eq!(txn.compact_step(2).unwrap(), CompactProgress::More);
    txn.publish().unwrap();
    store.compact(last).unwrap();
    store.finish_compaction(100);
    store.assert_clean();
    assert_eq!(records(&store), 1);
}

#[test]
fn a_deletion_of_many_keys_is_one_revision() {
    let store = TestStore::new();
    store.write(|txn| {
        for n in 0..3000 {
            txn.put(format!("k{n:04}").as_bytes(), b"", n % 2).unwrap();
        }
    });
    let mut txn = store.store.begin().unwrap();
    txn.begin_revision();
    let deleted = txn.delete_range(b"k", b"k2999", true).unwrap();
    let told = txn.end_revision().unwrap();
    txn.publish().unwrap();
    assert_eq!((deleted.count, deleted.prev_kvs.len(), told.changes.len()), (2999, 2999, 2999));
    assert!(told.changes.iter().is_sorted_by_key(|change| change.key.clone()));
    let view = store.store.view().unwrap();
    assert_eq!(view.lease_keys(1).unwrap(), ["k2999"]);
    assert_eq!(view.changes(3, 10, 0).unwrap(), [told]);
    store.assert_clean();
    store.compact(3).unwrap();
    store.finish_compaction(1000);
    assert_eq!(records(&store), 3000, "the deletions at the compacted revision, and one key");
    store.put("k", "");
    store.compact(4).unwrap();
    store.finish_compaction(1000);
    assert_eq!(records(&store), 2);
    store.assert_clean();
}

/// The last walk over the records of a snapshot lets compaction remove what it has passed, and nothing before that.
#[test]
fn compaction_follows_the_last_walk_of_a_snapshot() {
    let store = TestStore::new();
    // Revisions of several changes, which supersede each other: a chunk may end in the middle of one.
    for n in 0..40 {
        store.write(|txn| {
            let (key, other) = (format!("k{}", n % 4), format!("k{}", (n + 1) % 4));
            txn.put(key.as_bytes(), b"1", 0).unwrap();
            txn.put(other.as_bytes(), b"1", 0).unwrap();
            txn.delete_range(key.as_bytes(), b"", false).unwrap();
            txn.put(key.as_bytes(), b"2", 0).unwrap();
        });
    }
    let last = store.put("k0", "last");
    let (view, mut held) = store.store.hold_records(9).unwrap();
    let expected = records(&store);
    drop(view);
    store.compact(last).unwrap();
    let compact = || {
        let mut txn = store.store.begin().unwrap();
        while txn.compact_step(3).unwrap() == CompactProgress::More {}
        txn.publish().unwrap();
        records(&store)
    };
    let mut chunk = RecordChunk::default();
    let mut walk = held.walk();
    let mut seen = 0;
    while walk.next_chunk(&mut chunk, 50).unwrap() {
        seen += chunk.iter().count() as u64;
        assert_eq!(compact(), expected, "everything is held before the last walk");
    }
    assert_eq!(seen, expected);
    let mut walk = held.last_walk();
    let (mut seen, mut left, mut shrunk) = (0, expected, 0);
    while walk.next_chunk(&mut chunk, 50).unwrap() {
        seen += chunk.iter().count() as u64;
        let now = compact();
        shrunk += u32::from(now < left);
        left = now;
    }
    assert_eq!(seen, expected, "what was removed had been passed");
    assert!(shrunk > 2, "compaction goes on behind the walk");
    drop(held);
    store.finish_compaction(3);
    assert_eq!(records(&store), 4);
    store.assert_clean();
}

/// A check in chunks meets a compaction half-way: what is missing between two chunks is no gap.
#[test]
fn a_check_goes_on_over_a_compaction() {
    for chunks in 0..20 {
        let store = TestStore::new();
        for n in 0..20 {
            store.put("a", &n.to_string());
        }
        let mut check = store.store.check_in_chunks();
        for _ in 0..chunks {
            if check.step().unwrap().is_some() {
                break;
            }
        }
        store.compact(15).unwrap();
        store.finish_compaction(100);
        let report = loop {
            if let Some(report) = check.step().unwrap() {
                break report;
            }
        };
        assert!(report.is_clean(), "after {chunks} chunks: {:#?}", report.faults);
    }
}

/// Keys change between the steps of a compaction: what it has removed must not come back as a row, what it has yet to
/// remove must not be lost.
#[test]
fn keys_change_while_a_compaction_is_under_way() {
    for steps in 0..9 {
        let store = TestStore::new();
        for value in ["1", "2"] {
            for key in ["a", "b", "c"] {
                store.put(key, value);
            }
        }
        let target = store.put("d", "1");
        store.compact(target).unwrap();
        for _ in 0..steps {
            let mut txn = store.store.begin().unwrap();
            txn.compact_step(1).unwrap();
            txn.publish().unwrap();
        }
        store.assert_clean();
        store.put("a", "3");
        store.delete("b");
        store.write(|txn| {
            txn.put(b"c", b"3", 0).unwrap();
            txn.delete_range(b"c", b"", false).unwrap();
        });
        store.assert_clean();
        store.finish_compaction(2);
        store.assert_clean();
        // a, b and c of the second round, a of the third, two deletions, d, and c of the third before its deletion.
        assert_eq!(records(&store), 8, "after {steps} steps");
    }
}
