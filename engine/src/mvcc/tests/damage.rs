//! Trees that contradict each other: the check names what is wrong, and reads refuse instead of answering.

use super::TestStore;
use crate::mvcc::trees::{HISTORY, LEASE_KEYS, LIVE, META, RECORDS};
use crate::mvcc::{MvccError, MvccFault, RangeQuery, RecordKey, Revision, meta};
use crate::tree::{TreeRead, WriteTxn};

/// `a` put at 2, 3 and 7 (lease 9), `b` put at 4 and deleted at 5, `c` put at 6. So HISTORY has `a` of 2 and `b` of 4,
/// and the row of `a` in LIVE has that of 3 as the version before.
fn sound() -> TestStore {
    let store = TestStore::new();
    store.put("a", "1");
    store.write(|txn| txn.put(b"a", b"2", 9).unwrap());
    store.put("b", "1");
    store.delete("b");
    store.put("c", "1");
    store.write(|txn| txn.put(b"a", b"3", 9).unwrap());
    store.assert_clean();
    store
}

fn record(main: i64) -> [u8; 17] {
    Revision::new(main, 0).to_bytes()
}

fn first_key(txn: &WriteTxn, tree: crate::tree::TreeId) -> Vec<u8> {
    let mut cursor = txn.cursor(tree);
    cursor.seek_first().unwrap();
    cursor.entry().unwrap().unwrap().0.to_vec()
}

fn faults(damage: impl FnOnce(&mut WriteTxn)) -> Vec<MvccFault> {
    let store = sound();
    let mut txn = store.store.db().write();
    damage(&mut txn);
    txn.publish().unwrap();
    let report = store.store.view().unwrap().check().unwrap();
    assert_eq!(store.store.check().unwrap(), report, "in chunks");
    assert_eq!(report.fault_count, report.faults.len() as u64);
    assert!(report.faults.iter().all(|fault| !fault.to_string().is_empty()));
    report.faults
}

#[track_caller]
fn assert_fault(damage: impl FnOnce(&mut WriteTxn), expected: impl Fn(&MvccFault) -> bool) {
    let found = faults(damage);
    assert!(found.iter().any(expected), "{found:#?}");
}

#[test]
fn a_missing_record_is_named() {
    let damage = |txn: &mut WriteTxn| assert!(txn.delete(RECORDS, &record(3)).unwrap());
    assert_fault(damage, |fault| matches!(fault, MvccFault::RecordMissing { tree: "live", .. }));
    assert_fault(damage, |fault| matches!(fault, MvccFault::SupersederDiffers { .. }));
    assert_fault(damage, |fault| matches!(fault, MvccFault::Gap { revision } if revision.main == 4));
    let damage = |txn: &mut WriteTxn| assert!(txn.delete(RECORDS, &record(2)).unwrap());
    assert_fault(damage, |fault| matches!(fault, MvccFault::RecordMissing { tree: "history", .. }));
    let damage = |txn: &mut WriteTxn| assert!(txn.delete(RECORDS, &record(6)).unwrap());
    assert_fault(damage, |fault| matches!(fault, MvccFault::Gap { .. }));
}

#[test]
fn a_changed_record_is_named() {
    let swap = |txn: &mut WriteTxn| {
        let wire = txn.get(RECORDS, &record(2)).unwrap().unwrap().to_vec();
        txn.put(RECORDS, &record(6), &wire).unwrap();
    };
    assert_fault(swap, |fault| matches!(fault, MvccFault::RecordDiffers { tree: "live", .. }));
    let garbage = |txn: &mut WriteTxn| txn.put(RECORDS, &record(2), &[0xff]).unwrap();
    assert_fault(garbage, |fault| matches!(fault, MvccFault::Unreadable { tree: "records", .. }));
}

#[test]
fn missing_and_broken_rows_are_named() {
    let gone = |txn: &mut WriteTxn| assert!(txn.delete(LIVE, b"c").unwrap());
    assert_fault(gone, |fault| matches!(fault, MvccFault::RowMissing { key, .. } if key == "c"));
    let gone = |txn: &mut WriteTxn| {
        let key = first_key(txn, HISTORY);
        assert!(txn.delete(HISTORY, &key).unwrap());
    };
    assert_fault(gone, |fault| matches!(fault, MvccFault::RowMissing { key, .. } if key == "a"));
    for tree in [LIVE, HISTORY] {
        let broken = |txn: &mut WriteTxn| {
            let key = first_key(txn, tree);
            txn.put(tree, &key, &[0xff]).unwrap();
        };
        assert_fault(broken, |fault| matches!(fault, MvccFault::Unreadable { .. }));
    }
    let overlap = |txn: &mut WriteTxn| {
        let key = first_key(txn, HISTORY);
        let mut value = txn.get(HISTORY, &key).unwrap().unwrap().to_vec();
        value[0] = 6; // superseded by 6 instead of 3
        txn.put(HISTORY, &key, &value).unwrap();
    };
    assert_fault(overlap, |fault| matches!(fault, MvccFault::Overlap { key, .. } if key == "a"));
}

#[test]
fn wrong_lease_rows_are_named() {
    let gone = |txn: &mut WriteTxn| {
        let key = first_key(txn, LEASE_KEYS);
        assert!(txn.delete(LEASE_KEYS, &key).unwrap());
    };
    assert_fault(gone, |fault| matches!(fault, MvccFault::LeaseKeyMissing { lease: 9, .. }));
    let stray = |txn: &mut WriteTxn| txn.put(LEASE_KEYS, &[0, 0, 0, 0, 0, 0, 0, 9, b'c'], b"").unwrap();
    assert_fault(stray, |fault| matches!(fault, MvccFault::LeaseKeyStray { lease: 9, .. }));
}

#[test]
fn what_compaction_should_have_removed_is_named() {
    let finished = |txn: &mut WriteTxn| {
        for key in [meta::SCHEDULED_COMPACT, meta::FINISHED_COMPACT] {
            txn.put(META, key, &record(7)).unwrap();
        }
    };
    assert_fault(finished, |fault| matches!(fault, MvccFault::NotCompacted { tree: "live", .. }));
    assert_fault(finished, |fault| matches!(fault, MvccFault::NotCompacted { tree: "history", .. }));
    assert_fault(finished, |fault| matches!(fault, MvccFault::NotCompacted { tree: "records", .. }));
}

#[test]
fn records_beyond_the_current_revision_are_named() {
    let beyond = |txn: &mut WriteTxn| txn.put(META, meta::CURRENT_REVISION, &5u64.to_be_bytes()).unwrap();
    assert_fault(
        beyond,
        |fault| matches!(fault, MvccFault::BeyondCurrent { revision } if revision.main == 6),
    );
}

#[test]
fn reads_refuse_what_they_cannot_trust() {
    let store = sound();
    let mut txn = store.store.db().write();
    txn.delete(RECORDS, &RecordKey::put(Revision::new(7, 0)).encode()).unwrap();
    txn.put(LIVE, b"c", &[]).unwrap();
    txn.publish().unwrap();
    for key in [&b"a"[..], b"c"] {
        let refused = store.range(&RangeQuery { key, ..RangeQuery::default() }).unwrap_err();
        assert!(matches!(refused, MvccError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains("restore"));
    }
}

/// Versions that overlap are neighbours, and two neighbours may stand in two chunks.
#[test]
fn an_overlap_between_two_chunks_is_named() {
    for damaged in 2..10 {
        let store = TestStore::new();
        for n in 0..12 {
            store.put("a", &n.to_string());
        }
        let mut txn = store.store.db().write();
        let mut row_key = Vec::new();
        crate::mvcc::history::encode_key(b"a", Revision::new(damaged, 0), &mut row_key);
        let mut value = txn.get(HISTORY, &row_key).unwrap().unwrap().to_vec();
        assert_eq!(i64::from(value[0]), damaged + 1, "superseded by the next");
        value[0] += 1;
        txn.put(HISTORY, &row_key, &value).unwrap();
        txn.publish().unwrap();
        let report = store.store.check().unwrap();
        let named = |fault: &MvccFault| matches!(fault, MvccFault::Overlap { key, revision } if key == "a" && revision.main == damaged + 1);
        assert!(report.faults.iter().any(named), "{damaged}: {:#?}", report.faults);
    }
}
