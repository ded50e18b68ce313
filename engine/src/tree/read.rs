//! Reading without a cursor: one key, the rank of a key, and where a fault is.

use super::pages::Reader;
use super::root::TreeRoot;
use crate::error::EngineError;
use crate::page::{Checked, Fault, LeafCell, Node, Stored};

/// Lines of an entry that are asked for when it has been found: key and value of a usual record.
pub(super) const ENTRY_LINES: usize = 6;

/// One tree, as a snapshot or a transaction sees it.
#[derive(Clone, Copy)]
pub(crate) struct TreeView<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) tree: u8,
    pub(crate) root: TreeRoot,
}

impl<'a> TreeView<'a> {
    /// The root page and its level; `None` for an empty tree.
    #[inline]
    pub(super) fn top(&self) -> Checked<Option<(Node<'a>, u8)>> {
        match self.root.level() {
            Some(level) => Ok(Some((self.reader.node(self.tree, level, &self.root.as_child())?, level))),
            None => Ok(None),
        }
    }

    /// The child in slot `i` of `node`, which is at `level`.
    #[inline]
    pub(super) fn descend(&self, node: Node<'a>, level: u8, i: usize) -> Checked<Node<'a>> {
        self.reader.node(self.tree, level - 1, &node.child(i)?)
    }

    /// The value of an entry.
    #[inline]
    pub(super) fn value(&self, cell: &LeafCell<'a>) -> Checked<&'a [u8]> {
        match &cell.stored {
            Stored::Inline(value) => Ok(value),
            Stored::Run { run, .. } => Ok(self.reader.run(self.tree, run)?.1),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&'a [u8]>, EngineError> {
        self.find(key).map_err(|fault| self.explain(key, fault))
    }

    fn find(&self, key: &[u8]) -> Checked<Option<&'a [u8]>> {
        let Some((mut node, mut level)) = self.top()? else {
            return Ok(None);
        };
        while level > 0 {
            node = self.descend(node, level, node.child_for(key, &self.reader)?)?;
            level -= 1;
        }
        let slots = node.slots_for(key)?;
        node.prefetch_cell(slots.0, ENTRY_LINES);
        match node.find_among(slots, key, &self.reader)? {
            Some(cell) => self.value(&cell).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn count(&self, from: &[u8], to: Option<&[u8]>) -> Result<u64, EngineError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(0);
        }
        let below_to = match to {
            Some(to) => self.rank(to).map_err(|fault| self.explain(to, fault))?,
            None => self.root.count,
        };
        let below_from =
            if from.is_empty() { 0 } else { self.rank(from).map_err(|fault| self.explain(from, fault))? };
        Ok(below_to.saturating_sub(below_from))
    }

    /// Number of entries before `key`.
    fn rank(&self, key: &[u8]) -> Checked<u64> {
        let Some((mut node, mut level)) = self.top()? else {
            return Ok(0);
        };
        let mut before = 0_u64;
        while level > 0 {
            let i = node.child_for(key, &self.reader)?;
            for left in 0..i {
                before = before.saturating_add(node.child(left)?.count);
            }
            node = self.descend(node, level, i)?;
            level -= 1;
        }
        Ok(before.saturating_add(node.lower_bound(key, &self.reader)?.0 as u64))
    }

    /// Makes an error of a fault that was met on the way to `key`: its keys are those between the
    /// separators around it, as far down as the way can be gone.
    #[cold]
    pub(crate) fn explain(&self, key: &[u8], fault: Fault) -> EngineError {
        let mut bounds = (None, None);
        // What cannot be read ends the walk; what is known by then is told.
        let _ = self.bounds_around(key, &mut bounds);
        self.reader.pages.error(self.tree, fault, bounds.0, bounds.1)
    }

    fn bounds_around(&self, key: &[u8], bounds: &mut Bounds) -> Checked<()> {
        let Some((mut node, mut level)) = self.top()? else {
            return Ok(());
        };
        while level > 0 {
            let i = node.child_for(key, &self.reader)?;
            narrow(self, node, i, bounds);
            node = self.descend(node, level, i)?;
            level -= 1;
        }
        Ok(())
    }
}

/// Lower and upper bound of a page's keys, as far as they are known.
pub(super) type Bounds = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Takes what the branch says about its child `i` into the bounds.
pub(super) fn narrow(view: &TreeView<'_>, node: Node<'_>, i: usize, bounds: &mut Bounds) {
    let key = |slot: usize| -> Option<Vec<u8>> {
        let separator = node.separator(slot).ok()?;
        match &separator.long {
            None => Some(separator.inline.to_vec()),
            Some(run) => view.reader.run(view.tree, run).ok().map(|(key, _)| key.to_vec()),
        }
    };
    if i > 0 {
        bounds.0 = key(i).or(bounds.0.take());
    }
    if i + 1 < node.count() {
        bounds.1 = key(i + 1).or(bounds.1.take());
    }
}
