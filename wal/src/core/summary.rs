//! What one group does to the entries of the log, in a few numbers.
//!
//! Inside a group entries may be replaced too (two batches of which the second goes back). So the entries of a group
//! that still stand after the group alone has been read are one contiguous run: the summary. The writer makes it while
//! it fills a group, recovery while it reads one; the index of the log is made of summaries only.

use crate::types::LogStart;

/// Effect of a group on the log before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// The log was made empty in this group; it then starts here.
    pub(crate) reset: Option<LogStart>,
    /// Index of the first entry that stands, if any does.
    pub(crate) first: u64,
    /// Number of entries that stand.
    pub(crate) count: u32,
    /// Greatest index of all entries in the group, replaced ones too; 0 for none.
    pub(crate) max_index: u64,
}

impl Summary {
    /// Takes note of an entry.
    pub(crate) fn entry(&mut self, index: u64) {
        self.max_index = self.max_index.max(index);
        if self.count == 0 || index <= self.first {
            self.first = index;
            self.count = 1;
        } else {
            self.count =
                u32::try_from(index - self.first + 1).expect("a group holds fewer entries than bytes");
        }
    }

    /// Takes note of a reset.
    pub(crate) fn reset(&mut self, start: LogStart) {
        // What stood before counts no more: the segment may go as soon as the log has been released that far.
        *self = Summary { reset: Some(start), first: 0, count: 0, max_index: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: &[i64]) -> Summary {
        let mut summary = Summary::default();
        for step in steps {
            match u64::try_from(*step) {
                Ok(index) => summary.entry(index),
                Err(_) => summary.reset(LogStart { index: step.unsigned_abs(), term: 1 }),
            }
        }
        summary
    }

    #[test]
    fn the_run_that_stands_is_found() {
        let run = |s: Summary| (s.first, s.count, s.max_index);
        assert_eq!(run(of(&[])), (0, 0, 0));
        assert_eq!(run(of(&[5, 6, 7])), (5, 3, 7));
        assert_eq!(run(of(&[5, 6, 7, 6])), (5, 2, 7));
        assert_eq!(run(of(&[5, 6, 7, 5])), (5, 1, 7));
        assert_eq!(run(of(&[5, 6, 7, 3, 4])), (3, 2, 7));
        assert_eq!(run(of(&[5, 6, -9])), (0, 0, 0));
        assert_eq!(run(of(&[5, 6, -9, 10, 11])), (10, 2, 11));
        assert_eq!(of(&[5, -9, 10]).reset, Some(LogStart { index: 9, term: 1 }));
    }
}
