//! How many keys a range has at a revision.
//!
//! At the current revision the tree knows: O(log n), because parents count the rows below each child. At an older one
//! it is that count, less the keys modified since, plus the versions superseded since: both found by stamps, so the
//! cost follows what changed after the revision and not the size of the range.

use super::error::MvccError;
use super::keyrange::KeyRange;
use super::reader::Reader;
use super::scan::{HistoryWalk, superseded_after};
use super::trees::LIVE;
use crate::tree::TreeRead;

impl<T: TreeRead> Reader<'_, T> {
    /// Keys of `range` that are visible at `at`, which comes from [`Reader::at`].
    pub(crate) fn count(&self, range: &KeyRange<'_>, at: i64) -> Result<i64, MvccError> {
        if range.is_empty() {
            return Ok(0);
        }
        if let Some(key) = range.single() {
            return Ok(i64::from(self.version(key, at)?.is_some()));
        }
        let living = self.tree.count(LIVE, range.from(), range.end().as_deref())? as i64;
        if at == self.revision {
            return Ok(living);
        }
        Ok(living - self.modified_after(range, at)? + self.superseded_after(range, at)?)
    }

    fn modified_after(&self, range: &KeyRange<'_>, at: i64) -> Result<i64, MvccError> {
        let newer = superseded_after(at);
        let mut cursor = self.tree.cursor(LIVE);
        cursor.seek(range.from())?;
        cursor.settle_stamped(newer)?;
        let mut count = 0;
        while let Some((key, _)) = cursor.entry()?
            && !range.is_past(key)
        {
            count += 1;
            cursor.next_stamped(newer)?;
        }
        Ok(count)
    }

    fn superseded_after(&self, range: &KeyRange<'_>, at: i64) -> Result<i64, MvccError> {
        let mut walk = HistoryWalk::new(self, *range, at)?;
        let mut count = 0;
        while walk.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
