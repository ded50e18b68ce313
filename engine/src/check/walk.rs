//! Walking over one tree.

use super::ledger::Ledger;
use crate::page::{Checked, Child, Fault, LeafCell, Node, RunRef, Stored, UNPLACED, key_head, read_run};
use crate::tree::{StampFn, TreeView};

/// The walk over one tree.
pub(super) struct Walk<'w, 'a> {
    pub(super) view: TreeView<'a>,
    /// `None` for a tree that no spec names: its stamps cannot be computed.
    pub(super) stamp: Option<StampFn>,
    /// No page is from a later transaction.
    pub(super) txn: u64,
    pub(super) ledger: &'w mut Ledger<'a>,
}

/// What a walk came across.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walked {
    pub(super) pages: u64,
    pub(super) entries: u64,
}

/// The keys that a page may have: at or after the first, before the second.
type Bounds<'k> = (Option<&'k [u8]>, Option<&'k [u8]>);

/// What a parent should say of a page; `None` when something below is wrong.
type Found = Option<(u64, u64)>;

impl<'a> Walk<'_, 'a> {
    /// Walks over all of it.
    pub(super) fn tree(mut self) -> Walked {
        let mut walked = Walked::default();
        let root = self.view.root;
        match root.level() {
            None if root.count != 0 => {
                let what = format!("the tree has no pages, and {} entries by its meta page", root.count);
                self.note(Fault::page(0, what), (None, None));
            }
            None => {}
            Some(level) => {
                self.page(&root.as_child(), level, (None, None), &mut walked);
            }
        }
        walked
    }

    fn note(&mut self, fault: Fault, bounds: Bounds<'_>) {
        self.ledger.fault(self.view.tree, fault, bounds.0, bounds.1);
    }

    /// Walks over a page and all below it.
    fn page(&mut self, child: &Child, level: u8, bounds: Bounds<'_>, walked: &mut Walked) -> Found {
        let found = match self.fetch(child, level) {
            Ok(node) if level == 0 => self.leaf(node, bounds, walked),
            Ok(node) => self.branch(node, level, bounds, walked),
            Err(fault) => Err(fault),
        };
        match found {
            Ok(Some((count, _))) if count != child.count => {
                let what = format!("{count} entries are below it, and its parent says {}", child.count);
                self.note(Fault::page(child.page, what), bounds);
                None
            }
            // The stamps of changed pages that have not been written are upper bounds.
            Ok(Some((_, stamp))) if stamp != child.stamp && child.page & UNPLACED == 0 => {
                let what =
                    format!("the greatest stamp below it is {stamp}, and its parent says {}", child.stamp);
                self.note(Fault::page(child.page, what), bounds);
                None
            }
            Ok(found) => {
                walked.pages += u64::from(child.page & UNPLACED == 0);
                found
            }
            Err(fault) => {
                self.note(fault, bounds);
                None
            }
        }
    }

    /// Reads a page and looks at everything that does not need its neighbours.
    fn fetch(&mut self, child: &Child, level: u8) -> Checked<Node<'a>> {
        let node = if child.page & UNPLACED == 0 {
            self.ledger.used(child.page, 1)?;
            let bytes = self.view.reader.pages.raw(child.page, 1)?;
            self.view.reader.pages.compare(child.page, child.checksum, bytes)?;
            let node = Node::of(bytes)?;
            node.expect(self.view.tree, level, child.page)?;
            self.not_from_later(child.page, node.txn())?;
            node.validate()?;
            node
        } else {
            self.view.reader.node(self.view.tree, level, child)?
        };
        let Some(first) = (node.first_keyed() < node.count()).then(|| node.first_keyed()) else {
            return Ok(node);
        };
        let prefix = &node.inline_key(first)?.inline[..node.prefix_bytes()];
        for i in first..node.count() {
            let inline = node.inline_key(i)?.inline;
            if !inline.starts_with(prefix) || node.head(i)? != key_head(&inline[prefix.len()..]) {
                return Err(node.fault("the head of a key does not fit the key"));
            }
        }
        Ok(node)
    }

    fn not_from_later(&self, page: u64, txn: u64) -> Checked<()> {
        if txn > self.txn {
            let what = format!("it was written by transaction {txn}, and the newest is {}", self.txn);
            return Err(Fault::page(page, what));
        }
        Ok(())
    }

    fn leaf(&mut self, node: Node<'a>, bounds: Bounds<'_>, walked: &mut Walked) -> Checked<Found> {
        if node.count() == 0 {
            return Err(node.fault("it is a leaf without an entry"));
        }
        let mut before: Option<&[u8]> = None;
        let mut greatest = 0;
        for i in 0..node.count() {
            let cell = node.entry(i)?;
            let (key, value) = self.whole_entry(&cell, walked)?;
            in_order(node, before, key, bounds)?;
            before = Some(key);
            let kept = match cell.stored {
                Stored::Inline(_) => None,
                Stored::Run { stamp, .. } => Some(stamp),
            };
            let stamp = self.stamp.map(|stamp| stamp(key, value)).or(kept);
            if stamp.is_some() && kept.is_some() && stamp != kept {
                return Err(node.fault("the stamp kept for an entry is not its stamp"));
            }
            greatest = greatest.max(stamp.unwrap_or(0));
        }
        walked.entries += node.count() as u64;
        // Without the function only what the parent says is known.
        Ok(self.stamp.map(|_| (node.count() as u64, greatest)))
    }

    /// Key and value of an entry, its run looked at if it has one.
    fn whole_entry(&mut self, cell: &LeafCell<'a>, walked: &mut Walked) -> Checked<(&'a [u8], &'a [u8])> {
        match &cell.stored {
            Stored::Inline(value) => Ok((cell.inline, value)),
            Stored::Run { run, .. } => self.run(run, cell.inline, walked),
        }
    }

    /// Looks at a run and whether it belongs to the key whose front is `inline`.
    fn run(&mut self, run: &RunRef, inline: &[u8], walked: &mut Walked) -> Checked<(&'a [u8], &'a [u8])> {
        if run.page & UNPLACED != 0 {
            return self.view.reader.run(self.view.tree, run);
        }
        let pages = self.view.reader.pages;
        let count = run.pages(pages.geometry);
        let bytes = pages.raw(run.page, count)?;
        self.ledger.used(run.page, count)?;
        walked.pages += count;
        pages.compare(run.page, run.checksum, bytes)?;
        self.not_from_later(run.page, run.txn)?;
        let (key, value) = read_run(bytes, pages.geometry, self.view.tree, run)?;
        if !key.starts_with(inline) || inline.len() != key.len().min(pages.geometry.inline_key()) {
            return Err(Fault::page(run.page, "it belongs to another key than the entry that refers to it"));
        }
        Ok((key, value))
    }

    fn branch(
        &mut self,
        node: Node<'a>,
        level: u8,
        bounds: Bounds<'_>,
        walked: &mut Walked,
    ) -> Checked<Found> {
        let mut separators: Vec<Option<&[u8]>> = vec![bounds.0];
        let mut before = None;
        for i in 1..node.count() {
            let separator = node.separator(i)?;
            let key = match &separator.long {
                None => separator.inline,
                Some(run) => self.run(run, separator.inline, walked)?.0,
            };
            in_order(node, before, key, bounds)?;
            before = Some(key);
            separators.push(Some(key));
        }
        separators.push(bounds.1);
        let (mut count, mut greatest, mut whole) = (0_u64, 0, true);
        for i in 0..node.count() {
            let child = node.child(i)?;
            match self.page(&child, level - 1, (separators[i], separators[i + 1]), walked) {
                Some((below, stamp)) => {
                    count = count.saturating_add(below);
                    greatest = greatest.max(stamp);
                }
                None => whole = false,
            }
        }
        Ok(whole.then_some((count, greatest)))
    }
}

/// Whether a key comes after the one before it and lies within the bounds of its page.
fn in_order(node: Node<'_>, before: Option<&[u8]>, key: &[u8], bounds: Bounds<'_>) -> Checked<()> {
    if before.is_some_and(|before| before >= key) {
        return Err(node.fault("its keys are not in ascending order"));
    }
    if bounds.0.is_some_and(|from| key < from) || bounds.1.is_some_and(|to| key >= to) {
        return Err(node.fault("it has a key that belongs to another page"));
    }
    Ok(())
}
