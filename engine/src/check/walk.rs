//! Walking over one tree.

use super::ledger::Ledger;
use crate::page::{
    Checked, Child, FREE_TREE, Fault, HEADER_BYTES, LeafCell, Node, RunRef, Stored, UNPLACED, key_head,
    read_run, u64_at,
};
use crate::tree::{StampFn, TreeView, read_ahead};

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

/// A page, and the latest transaction that anything it leads to may be from.
#[derive(Clone, Copy)]
struct Parent<'a> {
    node: Node<'a>,
    txn: u64,
}

impl<'a> Walk<'_, 'a> {
    /// Walks over all of it.
    pub(super) fn tree(mut self) -> Walked {
        let mut walked = Walked::default();
        let root = self.view.root;
        match root.level() {
            None if root.count != 0 => {
                let what = format!("the tree has no pages, and {} entries by its meta page", root.count);
                self.ledger.dead_end(self.view.tree, Fault::page(0, what), None, None);
            }
            None => {}
            Some(level) => {
                self.page(&root.as_child(), level, self.txn, (None, None), &mut walked);
            }
        }
        walked
    }

    fn note(&mut self, fault: Fault, bounds: Bounds<'_>) {
        self.ledger.fault(self.view.tree, fault, bounds.0, bounds.1);
    }

    /// Walks over a page and all below it.
    fn page(&mut self, child: &Child, level: u8, txn: u64, bounds: Bounds<'_>, walked: &mut Walked) -> Found {
        let found = match self.fetch(child, level, txn) {
            Ok(page) if level == 0 => self.leaf(page, bounds, walked),
            Ok(page) => self.branch(page, level, bounds, walked),
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
                self.ledger.dead_end(self.view.tree, fault, bounds.0, bounds.1);
                None
            }
        }
    }

    /// Reads a page and looks at everything that does not need its neighbours.
    fn fetch(&mut self, child: &Child, level: u8, txn: u64) -> Checked<Parent<'a>> {
        let pages = self.view.reader.pages;
        let page = if child.page & UNPLACED == 0 {
            self.ledger.used(child.page, 1)?;
            let bytes = pages.raw(child.page, 1)?;
            pages.compare(child.page, child.checksum, bytes)?;
            let node = Node::of(bytes)?;
            node.expect(self.view.tree, level, child.page)?;
            not_later(child.page, node.txn(), txn)?;
            node.validate()?;
            Parent { node, txn: node.txn() }
        } else {
            Parent { node: self.view.reader.node(self.view.tree, level, child)?, txn }
        };
        keys_fit(page.node)?;
        Ok(page)
    }

    fn leaf(&mut self, page: Parent<'a>, bounds: Bounds<'_>, walked: &mut Walked) -> Checked<Found> {
        let node = page.node;
        if node.count() == 0 {
            return Err(node.fault("it is a leaf without an entry"));
        }
        let mut before: Option<&[u8]> = None;
        let (mut greatest, mut whole) = (0, true);
        for i in 0..node.count() {
            let cell = node.entry(i)?;
            self.fits(node, &cell)?;
            let (key, value) = match self.whole_entry(page, &cell, walked) {
                Ok(entry) => entry,
                // A run is another page: the entries of this one can be looked at nevertheless.
                Err(fault) => {
                    self.ledger.dead_end(self.view.tree, fault, Some(cell.inline), None);
                    whole = false;
                    continue;
                }
            };
            in_order(node, before, key, bounds)?;
            before = Some(key);
            if self.view.tree == FREE_TREE {
                self.free_run(key, value)?;
            }
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
        Ok(self.stamp.filter(|_| whole).map(|_| (node.count() as u64, greatest)))
    }

    /// Whether an entry is small enough to stand in its page, which could not be split otherwise.
    fn fits(&self, node: Node<'_>, cell: &LeafCell<'_>) -> Checked<()> {
        let geometry = self.view.reader.pages.geometry;
        if cell.inline.len() > geometry.inline_key() || cell.size > geometry.max_cell() {
            return Err(node.fault("an entry that needs an overflow run stands in it"));
        }
        Ok(())
    }

    /// A run of free pages must not touch the one before it: the two would be one.
    fn free_run(&mut self, key: &[u8], value: &[u8]) -> Checked<()> {
        let (Ok(start), Ok(len)) = (<[u8; 8]>::try_from(key), <[u8; 8]>::try_from(value)) else {
            return Err(Fault::page(0, "an entry of the free tree is not two numbers"));
        };
        let start = u64::from_be_bytes(start);
        if self.ledger.last_free_end == Some(start) {
            return Err(Fault::page(start, "two runs of free pages touch each other in front of it"));
        }
        self.ledger.last_free_end = start.checked_add(u64::from_le_bytes(len));
        Ok(())
    }

    /// Key and value of an entry, its run looked at if it has one.
    fn whole_entry(
        &mut self,
        page: Parent<'a>,
        cell: &LeafCell<'a>,
        walked: &mut Walked,
    ) -> Checked<(&'a [u8], &'a [u8])> {
        match &cell.stored {
            Stored::Inline(value) => Ok((cell.inline, value)),
            Stored::Run { run, .. } => self.run(page, run, cell.inline, walked),
        }
    }

    /// Looks at a run and whether it belongs to the key whose front is `inline`.
    fn run(
        &mut self,
        page: Parent<'a>,
        run: &RunRef,
        inline: &[u8],
        walked: &mut Walked,
    ) -> Checked<(&'a [u8], &'a [u8])> {
        if run.page & UNPLACED != 0 {
            return self.view.reader.run(self.view.tree, run);
        }
        let pages = self.view.reader.pages;
        let count = run.pages(pages.geometry);
        let bytes = pages.raw(run.page, count)?;
        self.ledger.used(run.page, count)?;
        walked.pages += count;
        pages.compare(run.page, run.checksum, bytes)?;
        not_later(run.page, run.txn, page.txn)?;
        let (key, value) = read_run(bytes, pages.geometry, self.view.tree, run)?;
        if u64_at(bytes, 16) != Some(run.txn) {
            return Err(Fault::page(run.page, "it was written by another transaction than its entry says"));
        }
        if bytes.iter().skip(HEADER_BYTES + key.len() + value.len()).any(|&byte| byte != 0) {
            return Err(Fault::page(run.page, "there is something behind the end of its value"));
        }
        if !key.starts_with(inline) || inline.len() != key.len().min(pages.geometry.inline_key()) {
            return Err(Fault::page(run.page, "it belongs to another key than the entry that refers to it"));
        }
        Ok((key, value))
    }

    fn branch(
        &mut self,
        page: Parent<'a>,
        level: u8,
        bounds: Bounds<'_>,
        walked: &mut Walked,
    ) -> Checked<Found> {
        let node = page.node;
        let separators = self.separators(page, bounds, walked)?;
        let (mut count, mut greatest, mut whole) = (0_u64, 0, true);
        for i in 0..node.count() {
            let child = node.child(i)?;
            if level == 1 {
                read_ahead(&self.view, node, i);
            }
            match self.page(&child, level - 1, page.txn, (separators[i], separators[i + 1]), walked) {
                Some((below, stamp)) => {
                    count = count.saturating_add(below);
                    greatest = greatest.max(stamp);
                }
                None => whole = false,
            }
        }
        Ok(whole.then_some((count, greatest)))
    }

    /// The bounds between which each child's keys lie: one more than there are children.
    fn separators<'b>(
        &mut self,
        page: Parent<'a>,
        bounds: Bounds<'b>,
        walked: &mut Walked,
    ) -> Checked<Vec<Option<&'b [u8]>>>
    where
        'a: 'b,
    {
        let (node, limit) = (page.node, self.view.reader.pages.geometry.inline_key());
        let mut separators: Vec<Option<&'b [u8]>> = vec![bounds.0];
        let mut before = None;
        for i in 1..node.count() {
            let separator = node.separator(i)?;
            let key = match &separator.long {
                None => separator.inline,
                Some(run) => self.run(page, run, separator.inline, walked)?.0,
            };
            if separator.inline.len() > limit || (separator.long.is_some() && key.len() <= limit) {
                return Err(node.fault("a separator does not stand where one of its length has to"));
            }
            in_order(node, before, key, bounds)?;
            before = Some(key);
            separators.push(Some(key));
        }
        separators.push(bounds.1);
        Ok(separators)
    }
}

/// Whether a page or a run is from `newest` at the latest: what refers to it was written with it, or after it.
fn not_later(page: u64, txn: u64, newest: u64) -> Checked<()> {
    if txn > newest {
        let what = format!("it was written by transaction {txn}, and what leads to it by {newest}");
        return Err(Fault::page(page, what));
    }
    Ok(())
}

/// Whether the heads of the keys are those of the keys, and all of them share the prefix.
fn keys_fit(node: Node<'_>) -> Checked<()> {
    let first = node.first_keyed();
    if first > 0 && (node.head(0)? != 0 || !node.separator(0)?.inline.is_empty()) {
        return Err(node.fault("its first child has a separator"));
    }
    if first >= node.count() {
        return Ok(());
    }
    let prefix = &node.inline_key(first)?.inline[..node.prefix_bytes()];
    for i in first..node.count() {
        let inline = node.inline_key(i)?.inline;
        if !inline.starts_with(prefix) || node.head(i)? != key_head(&inline[prefix.len()..]) {
            return Err(node.fault("the head of a key does not fit the key"));
        }
    }
    Ok(())
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
