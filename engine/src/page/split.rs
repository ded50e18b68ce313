//! Splitting a page that is too full by one cell.
//!
//! The cells and the one that comes in are dealt out to two pages. At the right edge of a tree the left
//! page stays as full as it is and the right one begins with the new cell, so that keys which come in order
//! fill their pages; elsewhere the bytes are halved. No cell is larger than half a page, so two pages are
//! always enough.

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
        } else {
            balance(self, i, cell.len())?
        };
        let left = deal(self, 0..at, i, cell, left)?;
        let right = deal(self, at..count + 1, i, cell, right)?;
        Ok((left, right))
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
