//! A place in a tree, moved step by step.
//!
//! A cursor keeps the pages from the root down to its leaf, and the slot in each, in an array of fixed
//! depth: a step allocates nothing and, as long as it stays in its leaf, touches nothing but that leaf.
//! What it lends (keys and values) lives as long as the snapshot or transaction, not only until the next
//! step.

use super::ahead;
use super::read::{Bounds, TreeView, narrow};
use super::root::DEPTH_LIMIT;
use super::{Entry, StampFn};
use crate::error::EngineError;
use crate::page::{Checked, Fault, Node, Stored};

/// A place in a tree: on an entry, before the first, or after the last.
#[derive(Clone)]
pub struct Cursor<'a> {
    view: TreeView<'a>,
    stamp: StampFn,
    place: Place,
    /// Whether what comes after the leaf has been asked for: not before the first step.
    ahead: bool,
    /// `stack[level]` is the page at that level on the way from the root, and a slot of it.
    stack: [Option<Frame<'a>>; DEPTH_LIMIT],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Entry,
    End,
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    node: Node<'a>,
    slot: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(view: TreeView<'a>, stamp: StampFn) -> Self {
        Self { view, stamp, place: Place::Start, ahead: false, stack: [None; DEPTH_LIMIT] }
    }

    /// Goes to the first entry at or after `key`, or past the end.
    pub fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let found = self.find(key).map_err(|fault| self.view.explain(key, fault))?;
        if found { self.skip_to_entry() } else { Ok(()) }
    }

    /// Goes to the last entry before `key`, or before the first.
    pub fn seek_before(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let found = self.find(key).map_err(|fault| self.view.explain(key, fault))?;
        if found {
            return self.prev();
        }
        self.place = Place::Start;
        Ok(())
    }

    /// Goes to the first entry, or past the end when there is none.
    pub fn seek_first(&mut self) -> Result<(), EngineError> {
        self.run(Self::first)
    }

    /// Goes to the last entry, or before the first when there is none.
    pub fn seek_last(&mut self) -> Result<(), EngineError> {
        self.run(Self::last)
    }

    /// Goes one entry on; from before the first to the first; past the end it stays.
    #[allow(clippy::should_implement_trait)] // fallible, and it yields no item
    pub fn next(&mut self) -> Result<(), EngineError> {
        match self.place {
            Place::Start => self.seek_first(),
            Place::Entry => {
                if !self.ahead {
                    self.look_ahead(|slot| slot.checked_add(1));
                }
                if let Some(frame) = &mut self.stack[0] {
                    frame.slot += 1;
                }
                self.skip_to_entry()
            }
            Place::End => Ok(()),
        }
    }

    /// Goes one entry back; from past the end to the last; before the first it stays.
    pub fn prev(&mut self) -> Result<(), EngineError> {
        match self.place {
            Place::Start => Ok(()),
            Place::Entry => {
                if !self.ahead {
                    self.look_ahead(|slot| slot.checked_sub(1));
                }
                self.run(Self::step_back)
            }
            Place::End => self.seek_last(),
        }
    }

    /// The entry the cursor is on; `None` past either end.
    pub fn entry(&self) -> Result<Option<Entry<'a>>, EngineError> {
        let (Place::Entry, Some(frame)) = (self.place, &self.stack[0]) else {
            return Ok(None);
        };
        self.lend(frame).map(Some).map_err(|fault| {
            let key = frame.node.inline_key(frame.slot).map(|k| k.inline.to_vec()).ok();
            self.view.reader.pages.error(self.view.tree, fault, key, None)
        })
    }

    /// Goes on to the next entry whose stamp is at least `min`, skipping whole subtrees that have none.
    /// The entry that the cursor is on does not count; from before the first, the first one does.
    pub fn next_stamped(&mut self, min: u64) -> Result<(), EngineError> {
        if self.place == Place::Entry
            && let Some(frame) = &mut self.stack[0]
        {
            frame.slot += 1;
        }
        self.settle_stamped(min)
    }

    /// Like [`Cursor::next_stamped`], but stays where it is when the entry it is on will do.
    pub fn settle_stamped(&mut self, min: u64) -> Result<(), EngineError> {
        if self.place == Place::Start {
            self.seek_first()?;
        }
        if self.place == Place::End { Ok(()) } else { self.run(|c| c.find_stamp(min)) }
    }

    /// Runs a movement, and tells where it failed.
    fn run(&mut self, step: impl FnOnce(&mut Self) -> Checked<()>) -> Result<(), EngineError> {
        match step(self) {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.explain(fault)),
        }
    }

    #[cold]
    fn explain(&self, fault: Fault) -> EngineError {
        let mut bounds: Bounds = (None, None);
        for frame in self.stack.iter().flatten().rev().filter(|f| !f.node.is_leaf()) {
            narrow(&self.view, frame.node, frame.slot, &mut bounds);
        }
        self.view.reader.pages.error(self.view.tree, fault, bounds.0, bounds.1)
    }

    fn lend(&self, frame: &Frame<'a>) -> Checked<Entry<'a>> {
        let cell = frame.node.entry(frame.slot)?;
        match &cell.stored {
            Stored::Inline(value) => Ok((cell.inline, value)),
            Stored::Run { run, .. } => self.view.reader.run(self.view.tree, run),
        }
    }

    /// Descends towards `key`, down to the slot in its leaf where it is or would be; false for an empty
    /// tree.
    fn find(&mut self, key: &[u8]) -> Checked<bool> {
        self.place = Place::End;
        self.ahead = false;
        self.stack = [None; DEPTH_LIMIT];
        let Some((mut node, mut level)) = self.view.top()? else {
            return Ok(false);
        };
        while level > 0 {
            let slot = node.child_for(key, &self.view.reader)?;
            self.stack[level as usize] = Some(Frame { node, slot });
            node = self.view.descend(node, level, slot)?;
            level -= 1;
        }
        let (slot, _) = node.lower_bound(key, &self.view.reader)?;
        self.stack[0] = Some(Frame { node, slot });
        self.place = Place::Entry;
        Ok(true)
    }

    fn first(&mut self) -> Checked<()> {
        self.place = Place::End;
        self.stack = [None; DEPTH_LIMIT];
        if let Some((node, level)) = self.view.top()? {
            self.down(node, level, |_| 0)?;
            self.place = Place::Entry;
            self.look_ahead(|slot| slot.checked_add(1));
            self.forward()?;
        }
        Ok(())
    }

    fn last(&mut self) -> Checked<()> {
        self.place = Place::Start;
        self.stack = [None; DEPTH_LIMIT];
        if let Some((node, level)) = self.view.top()? {
            self.down(node, level, |node| node.count().saturating_sub(1))?;
            self.place = if node.count() == 0 { Place::Start } else { Place::Entry };
            self.look_ahead(|slot| slot.checked_sub(1));
        }
        Ok(())
    }

    /// Fills the stack from `node` at `level` down to a leaf, taking the slot that `choose` says.
    fn down(&mut self, mut node: Node<'a>, mut level: u8, choose: impl Fn(Node<'a>) -> usize) -> Checked<()> {
        loop {
            let slot = choose(node);
            self.stack[level as usize] = Some(Frame { node, slot });
            if level == 0 {
                return Ok(());
            }
            node = self.view.descend(node, level, slot)?;
            level -= 1;
        }
    }

    fn skip_to_entry(&mut self) -> Result<(), EngineError> {
        match &self.stack[0] {
            Some(frame) if frame.slot < frame.node.count() => Ok(()),
            _ => self.run(Self::forward),
        }
    }

    /// When the slot is behind the last of its leaf, goes on to the next leaf, or past the end.
    fn forward(&mut self) -> Checked<()> {
        while self.leaf_is_done() {
            let Some((node, level)) = self.next_child(|_| true)? else {
                self.place = Place::End;
                return Ok(());
            };
            self.down(node, level, |_| 0)?;
            self.look_ahead(|slot| slot.checked_add(1));
        }
        Ok(())
    }

    /// Asks for all cells of the leaf, which lie in no order, and for the front of the leaf that comes after it:
    /// so that a scan does not wait for each of them in turn. Done at the first step, and in each leaf that is
    /// stepped into: whoever only seeks does not pay for it.
    #[inline]
    fn look_ahead(&mut self, after: impl Fn(usize) -> Option<usize>) {
        self.ahead = true;
        if let Some(leaf) = &self.stack[0] {
            leaf.node.prefetch_cells();
        }
        if let Some(parent) = &self.stack[1]
            && let Some(slot) = after(parent.slot)
            && slot < parent.node.count()
            && let Ok(page) = parent.node.child_page(slot)
        {
            self.view.reader.prefetch(page, 0);
        }
    }

    fn leaf_is_done(&self) -> bool {
        self.stack[0].as_ref().is_none_or(|leaf| leaf.slot >= leaf.node.count())
    }

    /// Moves the lowest branch that can be moved to its next child that `wanted` (by stamp) says yes to,
    /// and returns that child.
    fn next_child(&mut self, wanted: impl Fn(u64) -> bool) -> Checked<Option<(Node<'a>, u8)>> {
        for level in 1..=self.view.root.level().unwrap_or(0) {
            let Some(frame) = &mut self.stack[level as usize] else {
                break;
            };
            while frame.slot + 1 < frame.node.count() {
                frame.slot += 1;
                let child = frame.node.child(frame.slot)?;
                if wanted(child.stamp) {
                    if level == 1 {
                        ahead::stepped(&self.view, frame.node, frame.slot);
                    }
                    self.forget_below(level);
                    return Ok(Some((self.view.reader.node(self.view.tree, level - 1, &child)?, level - 1)));
                }
            }
        }
        Ok(None)
    }

    /// Drops the frames below `level`, which are about to be replaced: should that fail, the error must not
    /// tell keys of where the cursor was before.
    fn forget_below(&mut self, level: u8) {
        self.stack[..level as usize].fill(None);
    }

    fn step_back(&mut self) -> Checked<()> {
        for level in 0..=self.view.root.level().unwrap_or(0) {
            let Some(frame) = &mut self.stack[level as usize] else {
                break;
            };
            if frame.slot == 0 {
                continue;
            }
            frame.slot -= 1;
            if level > 0 {
                let (node, slot) = (frame.node, frame.slot);
                self.forget_below(level);
                let child = self.view.descend(node, level, slot)?;
                self.down(child, level - 1, |node| node.count().saturating_sub(1))?;
                self.look_ahead(|slot| slot.checked_sub(1));
            }
            return Ok(());
        }
        self.place = Place::Start;
        Ok(())
    }

    /// From the slot on, finds the first entry with a stamp of at least `min`.
    fn find_stamp(&mut self, min: u64) -> Checked<()> {
        loop {
            if self.leaf_has_stamp(min)? {
                return Ok(());
            }
            let Some((mut node, mut level)) = self.next_child(|stamp| stamp >= min)? else {
                self.place = Place::End;
                return Ok(());
            };
            // Down to the first leaf that may have one. The stamps of a transaction's own pages are upper
            // bounds only, so a subtree may turn out to have none: then the search goes on after it.
            while level > 0 {
                let slot = first_stamped_child(node, min)?;
                self.stack[level as usize] = Some(Frame { node, slot });
                node = self.view.descend(node, level, slot)?;
                level -= 1;
            }
            self.stack[0] = Some(Frame { node, slot: 0 });
        }
    }

    /// Moves to the next entry of this leaf that will do, if there is one.
    fn leaf_has_stamp(&mut self, min: u64) -> Checked<bool> {
        let root_stamp = self.view.root.stamp;
        let known = match &self.stack[1] {
            Some(parent) => parent.node.child(parent.slot)?.stamp,
            None => root_stamp,
        };
        let Some(leaf) = &mut self.stack[0] else {
            return Ok(false);
        };
        if known < min {
            return Ok(false);
        }
        while leaf.slot < leaf.node.count() {
            let cell = leaf.node.entry(leaf.slot)?;
            let stamp = match &cell.stored {
                Stored::Inline(value) => (self.stamp)(cell.inline, value),
                Stored::Run { stamp, .. } => *stamp,
            };
            if stamp >= min {
                return Ok(true);
            }
            leaf.slot += 1;
        }
        Ok(false)
    }
}

/// The first child whose stamp will do; the last when there is none.
fn first_stamped_child(node: Node<'_>, min: u64) -> Checked<usize> {
    for slot in 0..node.count() {
        if node.child(slot)?.stamp >= min {
            return Ok(slot);
        }
    }
    Ok(node.count().saturating_sub(1))
}
