//! Telling the system which leaves a scan will touch next.
//!
//! The map of the file is advised to be read at random: a point read then brings in the one page it needs and not the 32
//! around it, which are mostly somebody else's. A scan would then wait for the disk at each leaf. But the branch above
//! names the next leaves, wherever they lie: so a cursor that steps from leaf to leaf asks for them in time.
//!
//! Only leaves that nobody has touched since the process began are asked for, which a bit tells: a scan over a database
//! that is in the page cache makes no system call at all.
//!
//! Measured with `examples/cold_reads.rs` (2 M entries of 24 + 150 bytes, virtual disk with 128 KiB of read-ahead; written
//! in order / in random order), against the system's own read-around without any advice: a cold get takes 35–48 / 41–63 µs
//! instead of 105–121 / 245–258, a cold scan of 300 entries 0.4 / 0.5 ms instead of 12 / 22. A cold scan of everything, the
//! best case of reading around, takes 0.50–0.64 / 1.4–1.6 s instead of 0.40 / 1.1–1.2; without asking ahead it would take
//! 2.8 / 5.0 s. Windows of 32 and 64 leaves measured no better.

use super::read::TreeView;
use crate::page::{Node, UNPLACED};

/// Leaves asked for at a time.
const WINDOW: usize = 16;

/// A cursor has stepped to the child in slot `slot` of a branch right above the leaves.
#[inline]
pub(crate) fn stepped(view: &TreeView<'_>, branch: Node<'_>, slot: usize) {
    if slot % WINDOW == 1 {
        ask(view, branch, slot);
    }
}

/// Asks for the window after the next; at the first step in a branch for the next one too.
#[cold]
fn ask(view: &TreeView<'_>, branch: Node<'_>, slot: usize) {
    let pages = view.reader.pages;
    let first = if slot == 1 { slot + 1 } else { slot + WINDOW };
    let mut run: Option<(u64, u64)> = None;
    for i in first..(slot + 2 * WINDOW).min(branch.count()) {
        // A branch that cannot be read is for the cursor to report.
        let Ok(child) = branch.child(i) else { return };
        if child.page & UNPLACED != 0 || pages.verified.contains(child.page) {
            continue;
        }
        run = match run {
            Some((start, len)) if start + len == child.page => Some((start, len + 1)),
            Some((start, len)) => {
                pages.will_need(start, len);
                Some((child.page, 1))
            }
            None => Some((child.page, 1)),
        };
    }
    if let Some((start, len)) = run {
        pages.will_need(start, len);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use parking_lot::Mutex;

    use crate::file::{FileError, MemFile, PageFile};
    use crate::tree::{Db, DbOptions, TreeId, TreeRead as _, TreeSpec};

    /// A file that notes what it is asked for ahead.
    struct Asked {
        file: MemFile,
        pages: Mutex<Vec<(u64, u64)>>,
    }

    impl PageFile for Asked {
        fn len(&self) -> u64 {
            self.file.len()
        }
        fn set_len(&self, len: u64) -> Result<(), FileError> {
            self.file.set_len(len)
        }
        fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
            self.file.bytes(offset, len)
        }
        fn will_need(&self, offset: u64, bytes: u64) {
            self.pages.lock().push((offset / 4096, bytes / 4096));
        }
        fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
            self.file.write_at(offset, parts)
        }
        fn sync(&self) -> Result<(), FileError> {
            self.file.sync()
        }
    }

    static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp: |_, _| 0 }];
    const ONE: TreeId = TreeId(0);

    fn open(image: Option<Vec<u8>>) -> (Arc<Asked>, Db) {
        let file = image.map_or_else(MemFile::new, MemFile::with_image);
        let file = Arc::new(Asked { file, pages: Mutex::new(Vec::new()) });
        let options = DbOptions { reserve_bytes: 1 << 30, ..DbOptions::default() };
        let db = Db::open(Arc::clone(&file) as _, SPECS, options).unwrap();
        (file, db)
    }

    fn scan(db: &Db) {
        let snapshot = db.snapshot();
        let mut cursor = snapshot.cursor(ONE);
        cursor.next().unwrap();
        while cursor.entry().unwrap().is_some() {
            cursor.next().unwrap();
        }
    }

    #[test]
    fn a_cold_scan_asks_for_its_leaves_and_nothing_else_does() {
        let (file, db) = open(None);
        let mut txn = db.write();
        for n in 0..20_000_u32 {
            txn.put(ONE, &n.to_be_bytes(), &[7; 100]).unwrap();
        }
        txn.publish().unwrap();
        db.checkpoint().unwrap();
        scan(&db);
        assert_eq!(*file.pages.lock(), [], "what this process has written is in memory");
        let image = file.file.image();
        drop(db);

        let (file, db) = open(Some(image));
        for n in (0..20_000_u32).step_by(3_000) {
            assert!(db.snapshot().get(ONE, &n.to_be_bytes()).unwrap().is_some());
        }
        assert_eq!(*file.pages.lock(), [], "a get knows of no next leaf");
        scan(&db);
        let asked: Vec<(u64, u64)> = std::mem::take(&mut *file.pages.lock());
        let pages: u64 = asked.iter().map(|(_, pages)| pages).sum();
        let leaves = db.check().tree_pages - 20;
        assert!(pages > leaves * 9 / 10, "{pages} of about {leaves} leaves: {asked:?}");
        assert!(asked.len() < 80, "neighbours are asked for together: {asked:?}");
        let mut each: Vec<u64> = asked.iter().flat_map(|&(start, pages)| start..start + pages).collect();
        let all = each.len();
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), all, "each leaf once");
        scan(&db);
        assert_eq!(*file.pages.lock(), [], "a warm scan asks for nothing");
    }
}
