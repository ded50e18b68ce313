//! How many keys a range has at a revision.
//!
//! At the current revision the tree knows: O(log n), because parents count the rows below each child. At an older one
//! it is that count, less the keys that LIVE does not show at that revision, plus the versions that HISTORY does: both
//! found by stamps, so the cost follows what changed after the revision and not the size of the range.

use super::error::MvccError;
use super::keyrange::KeyRange;
use super::reader::{Reader, decode_live_row};
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
        Ok(living - self.unseen(range, at)? + self.superseded_after(range, at)?)
    }

    /// Rows of LIVE that show nothing at `at`.
    fn unseen(&self, range: &KeyRange<'_>, at: i64) -> Result<i64, MvccError> {
        let newer = superseded_after(at);
        let mut cursor = self.tree.cursor(LIVE);
        cursor.seek(range.from())?;
        cursor.settle_stamped(newer)?;
        let mut count = 0;
        while let Some((key, value)) = cursor.entry()?
            && !range.is_past(key)
        {
            count += i64::from(decode_live_row(key, value)?.visible_at(at).is_none());
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
