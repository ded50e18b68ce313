//! What reads cost, in pages looked at: counts at a past revision follow what changed since, not the number of keys.

use super::open;
use crate::file::{FileError, MemFile, PageFile};
use crate::mvcc::keyrange::KeyRange;
use crate::mvcc::{RangeQuery, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that counts how often somebody looks into it.
struct CountingFile {
    file: MemFile,
    looks: AtomicU64,
}

impl PageFile for CountingFile {
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> Result<(), FileError> {
        self.file.set_len(len)
    }
    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.file.bytes(offset, len)
    }
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.file.write_at(offset, parts)
    }
    fn sync(&self) -> Result<(), FileError> {
        self.file.sync()
    }
}

const KEYS: usize = 30_000;

struct Counted {
    file: Arc<CountingFile>,
    store: Store,
}

fn key(n: usize) -> String {
    format!("/registry/pods/{n:06}")
}

impl Counted {
    fn new() -> Self {
        let file = Arc::new(CountingFile { file: MemFile::new(), looks: AtomicU64::new(0) });
        let store = open(Arc::<CountingFile>::clone(&file));
        Self { file, store }
    }

    /// Puts keys in revisions of 500, all in one transaction; returns the revision then.
    fn put_all(&self, keys: impl Iterator<Item = usize>) -> i64 {
        let keys: Vec<usize> = keys.collect();
        let mut txn = self.store.begin().unwrap();
        for keys in keys.chunks(500) {
            txn.begin_revision();
            for &n in keys {
                txn.put(key(n).as_bytes(), b"value", 0).unwrap();
            }
            txn.end_revision();
        }
        let revision = txn.revision();
        txn.publish().unwrap();
        revision
    }

    fn looks<T>(&self, read: impl FnOnce() -> T) -> (T, u64) {
        let before = self.file.looks.load(Ordering::Relaxed);
        let result = read();
        (result, self.file.looks.load(Ordering::Relaxed) - before)
    }

    fn page(&self, from: &str, revision: i64, limit: i64) -> (i64, u64) {
        let query = RangeQuery {
            key: from.as_bytes(),
            range_end: b"/registry/pods0",
            revision,
            limit,
            count_only: limit == 0,
            ..RangeQuery::default()
        };
        let (result, looks) = self.looks(|| self.store.view().unwrap().range(&query).unwrap());
        assert_eq!(result.kvs.len() as i64, limit);
        (result.count, looks)
    }
}

#[test]
fn counts_cost_what_changed_since() {
    let counted = Counted::new();
    counted.put_all(0..KEYS);
    // A long past before the revision that is read: as many rows of HISTORY, none of which may be looked at.
    let revision = counted.put_all(0..KEYS);
    let begin = "/registry/pods/";
    let (count, now) = counted.page(begin, 0, 0);
    assert_eq!(count, KEYS as i64);
    assert!(now < 60, "{now} looks at the current revision");
    let (_, page_now) = counted.page(&key(10_000), 0, 500);

    // Some change since, here and there; and some come new.
    for changes in [10, 100] {
        counted.put_all((0..changes).map(|n| n * (KEYS / changes)));
        counted.put_all((0..changes).map(|n| 1_000_000 + n));
        let (count, looks) = counted.page(begin, revision, 0);
        assert_eq!(count, KEYS as i64, "what came later does not count");
        // A way down for each change in LIVE, and one in HISTORY.
        let bound = now + 2 * 14 * 2 * changes as u64;
        assert!(looks <= bound, "{looks} looks for {changes} changes, bound {bound}");
        // A page of a list, continued at the first page's revision: its rows, and the count.
        let (count, looks) = counted.page(&key(10_000), revision, 500);
        assert_eq!(count, KEYS as i64 - 10_000);
        let bound = page_now + 2 * 14 * 2 * changes as u64;
        assert!(looks <= bound, "{looks} looks for a page after {changes} changes, bound {bound}");
    }
    assert!(counted.store.db().stats().pages_in_use > 20 * 60, "a walk over everything would be seen");
}

/// Between two keys that a reader sees there may be any number that it does not.
#[test]
fn parts_are_bounded_by_what_they_pass() {
    let counted = Counted::new();
    let revision = counted.put_all([0, KEYS + 1].into_iter());
    counted.put_all(1..=KEYS);
    let mut txn = counted.store.begin().unwrap();
    txn.begin_revision();
    // Dead keys with a history, which the revision does not see either.
    txn.delete_range(key(KEYS / 2).as_bytes(), key(KEYS).as_bytes(), false).unwrap();
    txn.end_revision();
    txn.publish().unwrap();
    let view = counted.store.view().unwrap();
    let reader = view.reader();
    let all = KeyRange::new(b"\0", b"\0");
    const ROWS: usize = 100;

    let (mut from, mut seen, mut parts) = (b"\0".to_vec(), Vec::new(), 0);
    loop {
        let (rest, looks) = counted.looks(|| {
            let see = |row: super::super::scan::Row<'_>| {
                seen.push(row.key.to_vec());
                true
            };
            reader.ascending_part(all.starting_at(&from), revision, ROWS, see).unwrap()
        });
        assert!(looks < 4 * ROWS as u64, "{looks} looks in one part");
        parts += 1;
        let Some(next) = rest else { break };
        from = next;
    }
    assert_eq!(seen, [key(0).into_bytes(), key(KEYS + 1).into_bytes()]);
    assert!(parts >= KEYS / ROWS / 2);

    let (mut before, mut seen) = (b"\xff".to_vec(), Vec::new());
    loop {
        let (rest, looks) = counted.looks(|| {
            let see = |row: super::super::scan::Row<'_>| {
                seen.push(row.key.to_vec());
                true
            };
            reader.descending_part(all.ending_before(&before), revision, ROWS, see).unwrap()
        });
        assert!(looks < 4 * ROWS as u64, "{looks} looks in one part");
        let Some(next) = rest else { break };
        before = next;
    }
    assert_eq!(seen, [key(KEYS + 1).into_bytes(), key(0).into_bytes()]);
}
