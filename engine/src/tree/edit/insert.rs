//! Taking a new page into its parent, and growing a tree by a level.

use super::Edit;
use crate::page::{Cell, Checked, Child, RunRef};
use crate::tree::dirty::Item;
use crate::tree::root::DEPTH_LIMIT;

/// A page has become two.
pub(super) struct Grown {
    pub(super) left: Child,
    pub(super) right: Child,
    /// Lower bound of the right page, or its front.
    pub(super) inline: Vec<u8>,
    /// Where the whole of a long one is.
    pub(super) long: Option<RunRef>,
    /// The greatest stamp of both may be less than what was known of the page before.
    pub(super) loose_stamp: bool,
}

impl Grown {
    fn fixed(&self) -> impl AsRef<[u8]> + use<> {
        Cell::child(&self.right, &self.inline, self.long.as_ref())
    }
}

impl Edit<'_> {
    /// Tells the branch that its child in `slot` has been split.
    pub(super) fn insert_child(
        &mut self,
        number: u64,
        slot: usize,
        edge: bool,
        grown: Grown,
    ) -> Checked<Option<Grown>> {
        let fixed = grown.fixed();
        let cell = Cell { fixed: fixed.as_ref(), key: &grown.inline, value: &[] };
        let page = self.dirty.page_mut(number)?;
        page.set_child(slot, &grown.left)?;
        page.new_runs |= grown.long.is_some();
        page.loose_stamp |= grown.loose_stamp;
        if page.insert(slot + 1, &cell)? {
            return Ok(None);
        }
        let (left, mut right) = self.split_page(number, slot + 1, &cell, edge)?;
        // The separator of the right half's first child becomes that of the right half.
        let first = right.node().separator(0)?;
        let (inline, long) = (first.inline.to_vec(), first.long);
        right.drop_separator()?;
        right.settle()?;
        self.finish_split(number, left, right, inline, long).map(Some)
    }

    /// Puts a new root above the two halves of the old one.
    pub(super) fn grow_root(&mut self, grown: Grown) -> Checked<()> {
        if self.root.depth as usize >= DEPTH_LIMIT {
            return Err(self.too_deep().into());
        }
        let mut page = self.dirty.fresh(self.tree, self.root.depth);
        let left = Cell::child(&grown.left, &[], None);
        let right = grown.fixed();
        page.insert(0, &Cell { fixed: &left, key: &[], value: &[] })?;
        page.insert(1, &Cell { fixed: right.as_ref(), key: &grown.inline, value: &[] })?;
        page.new_runs = grown.long.is_some();
        page.loose_stamp = grown.loose_stamp;
        self.root.page = self.dirty.add(Item::Page(page));
        self.root.depth += 1;
        Ok(())
    }
}
