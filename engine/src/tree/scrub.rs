//! Reading everything again, slowly, to find decay before somebody needs the page.
//!
//! A page's checksum is compared when the page is first touched; a page that nobody touches can decay for years, until
//! the other copies are gone too. A scrub goes through all pages that the newest root and the newest durable meta page
//! reach, a few at a time, and compares every checksum again, whatever has been compared before.
//!
//! It reads as everybody does, through the file's map and so through the system's page cache. A page that the system
//! still has there is compared as it is there, which finds what has gone wrong in memory or was written wrongly; damage
//! on the medium is found once the system has dropped the page and must read it again. What nobody has touched for long,
//! and what this is for, is what a system drops first; a file that fits into memory may stay there whole.
//!
//! Each step pins a fresh snapshot and seeks its place by tree and key, so that no root is held between steps and writes
//! go on: a round sees every page that is in use from its beginning to its end, and pages that come and go meanwhile
//! perhaps. There is no clock in here; who calls chooses the pace.
//!
//! The list of free pages belongs to the durable state, not to the published root, and its pages and the meta page may be
//! written to once a checkpoint is over. So that part of a step keeps checkpoints away while it reads, and reads little at
//! a time. The older meta page is left out: the next checkpoint writes over it.

use super::db::{Db, Shared};
use super::pages::{Pages, Reader};
use super::root::{DEPTH_LIMIT, TreeRoot};
use crate::check::CheckReport;
use crate::error::{Corruption, EngineError};
use crate::page::{
    Checked, Child, FREE_TREE, Fault, META_BYTES, META_OFFSETS, Meta, MetaSlot, Node, RunRef, Stored,
    read_run,
};

/// Most pages of the free tree that are read while checkpoints wait.
const FREE_TREE_PAGES: u64 = 16;
/// Most faults that a step tells.
const FAULT_LIMIT: usize = 16;

/// How far a scrub has come. Begins with the default; each step moves it on, and behind the last tree it begins again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubPlace {
    stage: Stage,
    /// The next key of the tree that the stage is about.
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Meta,
    FreeTree,
    /// The tree in this place of the file's table.
    Tree(usize),
}

/// What a step has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubStep {
    /// Pages compared. None when a checkpoint was under way where it would have been in the way; the next step tries again.
    pub pages: u64,
    /// What is damaged, up to 16 faults: page, tree and keys.
    pub faults: Vec<Corruption>,
    /// The last page of the last tree has been compared: the next step begins a new round.
    pub round_done: bool,
}

impl Db {
    /// Compares the checksums of the next `max_pages` pages or so: at least a leaf with what belongs to it, and a page
    /// on the way to it from the root counts too. A damaged page is told and passed over with all that it leads to.
    pub fn scrub_step(&self, place: &mut ScrubPlace, max_pages: u64) -> ScrubStep {
        let mut step = ScrubStep::default();
        match place.stage {
            Stage::Meta | Stage::FreeTree => self.0.scrub_durable(place, max_pages, &mut step),
            Stage::Tree(n) => self.scrub_tree(n, place, max_pages, &mut step),
        }
        step
    }

    fn scrub_tree(&self, n: usize, place: &mut ScrubPlace, max_pages: u64, step: &mut ScrubStep) {
        let snapshot = self.snapshot();
        let trees = &snapshot.root().trees;
        if let Some(root) = trees.get(n) {
            let mut walk =
                Walk { pages: &self.0.pages, tree: n as u8 + 1, max_pages, leaf_seen: false, step };
            if let Some(key) = walk.tree(root, &place.key) {
                place.key = key;
                return;
            }
        }
        let next = n + 1;
        step.round_done = next >= trees.len();
        *place = if step.round_done {
            ScrubPlace::default()
        } else {
            ScrubPlace { stage: Stage::Tree(next), key: Vec::new() }
        };
    }
}

impl Shared {
    /// The durable meta page, or the free tree that it leads to.
    fn scrub_durable(&self, place: &mut ScrubPlace, max_pages: u64, step: &mut ScrubStep) {
        let Some(_no_checkpoint) = self.checkpointing.try_lock() else {
            return;
        };
        let durable = *self.durable.lock();
        let meta = match self.read_meta(durable.meta, durable.checkpoint.txn) {
            Ok(meta) => meta,
            Err(what) => {
                step.faults.push(self.meta_fault(durable.meta, what));
                *place = ScrubPlace { stage: Stage::Tree(0), key: Vec::new() };
                return;
            }
        };
        if place.stage == Stage::Meta {
            step.pages += 1;
            place.stage = Stage::FreeTree;
            return;
        }
        let max_pages = max_pages.min(FREE_TREE_PAGES);
        let mut walk = Walk { pages: &self.pages, tree: FREE_TREE, max_pages, leaf_seen: false, step };
        match walk.tree(&meta.free, &place.key) {
            Some(key) => place.key = key,
            None => *place = ScrubPlace { stage: Stage::Tree(0), key: Vec::new() },
        }
    }

    /// Looks at both meta pages, for a check. Waits for a checkpoint that is under way.
    pub(super) fn check_meta_pages(&self, report: &mut CheckReport) {
        let _no_checkpoint = self.checkpointing.lock();
        let durable = *self.durable.lock();
        if let Err(what) = self.read_meta(durable.meta, durable.checkpoint.txn) {
            report.faults.push(self.meta_fault(durable.meta, what));
        }
        let bytes = self.pages.file.bytes(META_OFFSETS[1 - durable.meta], META_BYTES);
        report.older_meta = match bytes.map(Meta::decode) {
            Ok(MetaSlot::Valid(meta)) if meta.txn < durable.checkpoint.txn => None,
            Ok(MetaSlot::Valid(meta)) => {
                Some(format!("it holds transaction {}, which is not older", meta.txn))
            }
            Ok(MetaSlot::Damaged(what)) => Some(what),
            Ok(MetaSlot::Newer(version)) => Some(format!("it has format version {version}")),
            Ok(MetaSlot::Foreign) => Some("it does not begin with the magic number".to_owned()),
            Err(e) => Some(e.to_string()),
        };
    }

    fn meta_fault(&self, slot: usize, what: String) -> Corruption {
        Corruption {
            file: self.pages.file.name(),
            page: META_OFFSETS[slot] / self.pages.geometry.size as u64,
            tree: "(meta page)".to_owned(),
            what,
            from: None,
            to: None,
        }
    }

    fn read_meta(&self, slot: usize, txn: u64) -> Result<Box<Meta>, String> {
        let bytes = self.pages.file.bytes(META_OFFSETS[slot], META_BYTES).map_err(|e| e.to_string())?;
        match Meta::decode(bytes) {
            MetaSlot::Valid(meta) if meta.txn == txn => Ok(meta),
            MetaSlot::Valid(meta) => {
                Err(format!("it holds transaction {}, and {txn} has been made durable in it", meta.txn))
            }
            MetaSlot::Damaged(what) => Err(what),
            MetaSlot::Newer(version) => Err(format!("it has got format version {version}")),
            MetaSlot::Foreign => Err("its magic number is gone".to_owned()),
        }
    }
}

/// A step through one tree.
struct Walk<'w> {
    pages: &'w Pages,
    tree: u8,
    max_pages: u64,
    leaf_seen: bool,
    step: &'w mut ScrubStep,
}

/// Lower and upper bound of a page's keys.
type Bounds<'k> = (Option<&'k [u8]>, Option<&'k [u8]>);

/// The key to go on at, when a walk has been broken off.
type GoOn = Option<Vec<u8>>;

impl<'w> Walk<'w> {
    /// Walks from `from` on; where to go on, or `None` behind the last page.
    fn tree(&mut self, root: &TreeRoot, from: &[u8]) -> GoOn {
        let level = root.level().filter(|&level| (level as usize) < DEPTH_LIMIT)?;
        self.page(&root.as_child(), level, Some(from), (None, None))
    }

    fn page(&mut self, child: &Child, level: u8, from: Option<&[u8]>, bounds: Bounds<'_>) -> GoOn {
        let walked = match self.fetch(child, level) {
            Ok(node) if level == 0 => self.leaf(node).map(|()| None),
            Ok(node) => self.branch(node, level, from, bounds),
            Err(fault) => Err(fault),
        };
        self.leaf_seen |= level == 0;
        walked.unwrap_or_else(|fault| {
            self.note(fault, bounds);
            // Whatever is below cannot be reached; so that a step ends, it counts as seen.
            self.leaf_seen = true;
            None
        })
    }

    fn note(&mut self, fault: Fault, bounds: Bounds<'_>) {
        let error =
            self.pages.error(self.tree, fault, bounds.0.map(<[u8]>::to_vec), bounds.1.map(<[u8]>::to_vec));
        if self.step.faults.len() >= FAULT_LIMIT {
            return;
        }
        self.step.faults.push(match error {
            EngineError::Corrupt(corruption) => *corruption,
            other => Corruption {
                file: self.pages.file.name(),
                page: 0,
                tree: self.pages.tree_name(self.tree),
                what: other.to_string(),
                from: None,
                to: None,
            },
        });
    }

    fn fetch(&mut self, child: &Child, level: u8) -> Checked<Node<'w>> {
        self.step.pages += 1;
        let bytes = self.pages.raw(child.page, 1)?;
        self.pages.compare(child.page, child.checksum, bytes)?;
        let node = Node::of(bytes)?;
        node.expect(self.tree, level, child.page)?;
        node.validate()?;
        Ok(node)
    }

    /// The runs of a leaf. Each that is damaged is told by itself, with its key.
    fn leaf(&mut self, node: Node<'w>) -> Checked<()> {
        for i in 0..node.count() {
            let cell = node.entry(i)?;
            if let Stored::Run { run, .. } = cell.stored
                && let Err(fault) = self.run(&run)
            {
                self.note(fault, (Some(cell.inline), None));
            }
        }
        Ok(())
    }

    /// Compares a run, and returns the key in it.
    fn run(&mut self, run: &RunRef) -> Checked<&'w [u8]> {
        let pages = run.pages(self.pages.geometry);
        self.step.pages += pages;
        let bytes = self.pages.raw(run.page, pages)?;
        self.pages.compare(run.page, run.checksum, bytes)?;
        Ok(read_run(bytes, self.pages.geometry, self.tree, run)?.0)
    }

    fn branch(
        &mut self,
        node: Node<'w>,
        level: u8,
        from: Option<&[u8]>,
        bounds: Bounds<'_>,
    ) -> Checked<GoOn> {
        let first = match from {
            Some(from) => node.child_for(from, &Reader { pages: self.pages, dirty: None })?,
            None => 0,
        };
        let mut lower =
            if first == 0 { bounds.0.map(<[u8]>::to_vec) } else { Some(self.separator(node, first)?) };
        for i in first..node.count() {
            if self.leaf_seen && self.step.pages >= self.max_pages {
                return Ok(Some(lower.unwrap_or_default()));
            }
            let upper = if i + 1 < node.count() {
                Some(self.separator(node, i + 1)?)
            } else {
                bounds.1.map(<[u8]>::to_vec)
            };
            let from = if i == first { from } else { None };
            let go_on = self.page(&node.child(i)?, level - 1, from, (lower.as_deref(), upper.as_deref()));
            if go_on.is_some() {
                return Ok(go_on);
            }
            lower = upper;
        }
        Ok(None)
    }

    fn separator(&mut self, node: Node<'w>, i: usize) -> Checked<Vec<u8>> {
        let separator = node.separator(i)?;
        match &separator.long {
            None => Ok(separator.inline.to_vec()),
            Some(run) => Ok(self.run(run)?.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
