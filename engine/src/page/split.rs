//! Splitting a page that is too full by one cell.
//!
//! The cells and the one that comes in are dealt out to two pages. Where keys come in ascending order, the
//! right page begins with the new cell, so that the left one stays filled: at the right edge of a tree
//! always, elsewhere when the last insertions of the page were one behind the other (a page remembers that).
//! In all other cases the bytes are halved. No cell is larger than half a page, so two pages are always
//! enough.

use super::{Cell, Checked, PageBuf, SLOT_BYTES};

impl PageBuf {
    /// Deals the cells, and `cell` in slot `i` among them, out to two empty pages of the same kind. `edge`
    /// says that the page is the last of its level. The first cell of the right page of a branch still has
    /// its separator, which the caller moves up.
    pub(crate) fn split(
        &self,
        i: usize,
        cell: &Cell<'_>,
        edge: bool,
        left: Self,
        right: Self,
    ) -> Checked<(Self, Self)> {
        let count = self.count();
        let at = if edge && i == count {
            // A branch keeps one child less, so that the new one does not stand alone.
            count - self.node().first_keyed()
        } else if self.ascends(i) {
            self.split_in_order(i, cell.len())?
        } else {
            balance(self, i, cell.len())?
        };
        let left = deal(self, 0..at, i, cell, left)?;
        let (mut left, mut right) = (left, deal(self, at..count + 1, i, cell, right)?);
        let streak = self.node().last_insert().1;
        if at <= i {
            right.set_last_insert(i - at, streak);
        } else {
            left.set_last_insert(i, streak);
        }
        Ok((left, right))
    }

    /// Whether the last insertions went to the slots right before `i`, one behind the other.
    fn ascends(&self, i: usize) -> bool {
        /// So many in a row are unlikely to be chance.
        const STREAK: u16 = 3;
        self.node().follows_last_insert(i) && self.node().last_insert().1 >= STREAK
    }

    /// How many cells stay on the left when keys come in order at `i`. What stands behind them is moved out
    /// of their way; once nothing does, the new cell begins a page of its own.
    fn split_in_order(&self, i: usize, new: usize) -> Checked<usize> {
        let mut tail = 0;
        for n in i..self.count() {
            tail += self.node().cell(n)?.len() + SLOT_BYTES;
        }
        let (room, new) = (self.geometry().room(), new + SLOT_BYTES);
        if tail > 0 && self.taken() - tail + new <= room {
            Ok(i + 1)
        } else if tail + new <= room {
            Ok(i)
        } else {
            balance(self, i, new - SLOT_BYTES)
        }
    }
}

/// Length of the cell that will be number `n` once the new one stands at `i`.
fn size_of(page: &PageBuf, n: usize, i: usize, new: usize) -> Checked<usize> {
    Ok(SLOT_BYTES
        + match n.cmp(&i) {
            std::cmp::Ordering::Less => page.node().cell(n)?.len(),
            std::cmp::Ordering::Equal => new,
            std::cmp::Ordering::Greater => page.node().cell(n - 1)?.len(),
        })
}

/// How many cells the left page gets so that both halves are as equal as can be.
fn balance(page: &PageBuf, i: usize, new: usize) -> Checked<usize> {
    let total = page.taken() + new + SLOT_BYTES;
    let (mut left, mut best, mut least) = (0, 1, usize::MAX);
    for n in 0..page.count() {
        left += size_of(page, n, i, new)?;
        let larger = left.max(total - left);
        if larger >= least {
            break;
        }
        (best, least) = (n + 1, larger);
    }
    Ok(best)
}

/// Copies the cells of a range to `target`.
fn deal(
    page: &PageBuf,
    range: std::ops::Range<usize>,
    i: usize,
    new: &Cell<'_>,
    mut target: PageBuf,
) -> Checked<PageBuf> {
    for n in range {
        let fitted = if n == i {
            target.append(new)
        } else {
            target.append(&page.node().pieces(n - usize::from(n > i))?)
        };
        if !fitted {
            return Err(page.node().fault("it has cells that are larger than half a page"));
        }
    }
    target.loose_stamp = page.loose_stamp;
    target.new_runs = page.new_runs;
    target.settle()?;
    Ok(target)
}
