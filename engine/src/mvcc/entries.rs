//! Entries of a tree as they are stored: the small trees of etcd's buckets, and the raw history for snapshots.

use super::error::MvccError;
use crate::tree::{Cursor, Entry, TreeId, TreeRead};

/// Entries of a tree, ascending. It ends after an error.
pub struct Entries<'t> {
    cursor: Cursor<'t>,
    failed: bool,
}

impl<'t> Entries<'t> {
    pub(crate) fn from<T: TreeRead>(root: &'t T, tree: TreeId, key: &[u8]) -> Result<Self, MvccError> {
        let mut cursor = root.cursor(tree);
        cursor.seek(key)?;
        Ok(Self { cursor, failed: false })
    }

    fn step(&mut self) -> Result<Option<Entry<'t>>, MvccError> {
        let entry = self.cursor.entry()?;
        if entry.is_some() {
            self.cursor.next()?;
        }
        Ok(entry)
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, MvccError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
