//! The consistency check: what `etcdutl snapshot status` demands before it shows anything.
//!
//! Every page below the high-water mark is a meta page, part of the freelist, reachable from the root exactly once, or
//! free. Free pages are those that a persisted freelist names, and then they may not be reachable, nor may any other page
//! be left over; without one, whatever cannot be reached is free. Reachable pages are leaf or branch pages that carry
//! their own number, lie inside the file, and hold keys in ascending order, between the keys that their ancestors set for
//! them.

use std::fmt;
use std::rc::Rc;

use super::database::BucketRoot;
use super::page::{Leaf, Node, PageSet};
use super::{Database, MAX_DEPTH, ReadError, Source};

/// Faults that are kept in a report; the rest is counted only.
const KEPT_FAULTS: usize = 1000;

/// Something that must not be in a sound database.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A page that cannot be read for what it must be.
    Page(ReadError),
    /// A page that the freelist names twice.
    FreedTwice {
        /// The page.
        page: u64,
    },
    /// A page that is both in use and on the freelist.
    ReachableFreed {
        /// The page.
        page: u64,
    },
    /// A page that is neither in use nor on the freelist.
    UnreachableUnfreed {
        /// The page.
        page: u64,
    },
    /// A key that is not above the one before it in its page.
    KeyOrder {
        /// The page.
        page: u64,
        /// Index in the page.
        index: usize,
    },
    /// A key outside of the range that the pages above set for this page.
    KeyRange {
        /// The page.
        page: u64,
        /// Index in the page.
        index: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(error) => error.fmt(f),
            Self::FreedTwice { page } => write!(f, "page {page}: already freed"),
            Self::ReachableFreed { page } => write!(f, "page {page}: reachable freed"),
            Self::UnreachableUnfreed { page } => write!(f, "page {page}: unreachable unfreed"),
            Self::KeyOrder { page, index } => {
                write!(f, "page {page}: key[{index}] is not above the key before it")
            }
            Self::KeyRange { page, index } => {
                write!(f, "page {page}: key[{index}] is outside of the range that its ancestors set")
            }
        }
    }
}

/// What the check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// The first thousand faults.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub total: u64,
}

impl CheckReport {
    /// Whether the database is sound.
    pub fn is_sound(&self) -> bool {
        self.total == 0
    }

    fn add(&mut self, fault: Fault) {
        self.total += 1;
        if self.faults.len() < KEPT_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// A page that is still to be checked, and the range that its keys must keep to.
struct Task {
    page: u64,
    from: Option<Rc<[u8]>>,
    below: Option<Rc<[u8]>>,
    /// Pages from the root of all to this one, across nested buckets.
    depth: usize,
    is_root: bool,
}

impl<S: Source> Database<S> {
    /// Checks the structure of the whole file. Damage is reported; only a failure to read the file is an error. Each page
    /// is loaded once, and what lies below a damaged page is not visited (it shows as unreachable if there is a freelist).
    pub fn check(&self) -> Result<CheckReport, ReadError> {
        let pages = self.meta().high_water;
        let mut check = Check {
            database: self,
            reached: PageSet::new(pages),
            tasks: Vec::new(),
            report: CheckReport::default(),
        };
        let freed = check.freelist()?;
        check.tree(self.meta().root, 0);
        while let Some(task) = check.tasks.pop() {
            check.damage(|check| check.page(&task))?;
        }
        if let Some(freed) = freed {
            check.compare_with_freelist(&freed);
        }
        Ok(check.report)
    }
}

/// The check as it goes.
struct Check<'d, S> {
    database: &'d Database<S>,
    reached: PageSet,
    /// Pages to visit, last first: at most one branch page's children for each level.
    tasks: Vec<Task>,
    report: CheckReport,
}

impl<S: Source> Check<'_, S> {
    /// Runs a step and turns damage into a fault.
    fn damage(&mut self, step: impl FnOnce(&mut Self) -> Result<(), ReadError>) -> Result<(), ReadError> {
        match step(self) {
            Err(error @ ReadError::Io { .. }) => Err(error),
            Err(error) => {
                self.report.add(Fault::Page(error));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The persisted freelist, if there is one.
    fn freelist(&mut self) -> Result<Option<PageSet>, ReadError> {
        let Some(page) = self.database.meta().freelist else { return Ok(None) };
        let pages = self.database.meta().high_water;
        let mut freed = PageSet::new(pages);
        self.damage(|check| {
            let run = check.database.page(page)?;
            check.reached.insert_run(&run)?;
            let Check { database, report, .. } = check;
            database.freelist(&run, |page| {
                if !(2..pages).contains(&page) {
                    report.add(Fault::Page(ReadError::OutOfBounds { page, pages }));
                } else if !freed.insert(page) {
                    report.add(Fault::FreedTwice { page });
                }
            })
        })?;
        Ok(Some(freed))
    }

    fn compare_with_freelist(&mut self, freed: &PageSet) {
        for page in 2..self.database.meta().high_water {
            match (self.reached.contains(page), freed.contains(page)) {
                (true, true) => self.report.add(Fault::ReachableFreed { page }),
                (false, false) => self.report.add(Fault::UnreachableUnfreed { page }),
                _ => {}
            }
        }
    }

    /// Plans to visit a tree.
    fn tree(&mut self, page: u64, depth: usize) {
        self.tasks.push(Task { page, from: None, below: None, depth, is_root: true });
    }

    fn page(&mut self, task: &Task) -> Result<(), ReadError> {
        let run = self.database.page(task.page)?;
        self.reached.insert_run(&run)?;
        if task.depth >= MAX_DEPTH {
            return Err(ReadError::damaged(task.page, "the tree is deeper than any sound one"));
        }
        match self.database.node(run)? {
            Node::Leaf(leaf) if leaf.len() == 0 && !task.is_root => {
                Err(ReadError::damaged(task.page, "a leaf page below the root is empty"))
            }
            Node::Leaf(leaf) => self.leaf(task, &leaf),
            Node::Branch(branch) => {
                let children: Vec<(Rc<[u8]>, u64)> =
                    branch.children().map(|(key, child)| (key.into(), child)).collect();
                let mut order = KeyOrder::new(task);
                for (key, _) in &children {
                    self.report_key(order.check(key));
                }
                // Last first, so that the stack gives them back in key order.
                let mut below = task.below.clone();
                for (key, page) in children.into_iter().rev() {
                    let depth = task.depth + 1;
                    self.tasks.push(Task { page, from: Some(key.clone()), below, depth, is_root: false });
                    below = Some(key);
                }
                Ok(())
            }
        }
    }

    /// Checks the keys of a leaf and goes into the buckets that it holds.
    fn leaf(&mut self, task: &Task, leaf: &Leaf) -> Result<(), ReadError> {
        let mut order = KeyOrder::new(task);
        let mut scratch = Vec::new();
        for index in 0..leaf.len() {
            self.report_key(order.check(leaf.key(self.database, index, &mut scratch)?));
            if leaf.is_bucket(index) {
                let entry = leaf.entry(self.database, index, &mut scratch)?;
                let root = BucketRoot::decode(task.page, entry.value)?;
                self.damage(|check| check.nested(task, root))?;
            }
        }
        Ok(())
    }

    /// Goes into a bucket found in a leaf: a tree is put on the stack, an inline page is checked at once. The recursion
    /// is bounded, since an inline page is smaller than the one around it and the depth is limited.
    fn nested(&mut self, task: &Task, root: BucketRoot) -> Result<(), ReadError> {
        let depth = task.depth + 1;
        match root {
            BucketRoot::Page { page } => self.tree(page, depth),
            BucketRoot::Inline { image, .. } => {
                if depth >= MAX_DEPTH {
                    return Err(ReadError::damaged(
                        task.page,
                        "buckets are nested deeper than any sound ones",
                    ));
                }
                let inner = Task { page: task.page, from: None, below: None, depth, is_root: true };
                self.leaf(&inner, &Leaf::inline(task.page, image)?)?;
            }
        }
        Ok(())
    }

    fn report_key(&mut self, found: Option<Fault>) {
        if let Some(fault) = found {
            self.report.add(fault);
        }
    }
}

/// The order of the keys of one page.
struct KeyOrder<'t> {
    task: &'t Task,
    index: usize,
    last: Vec<u8>,
}

impl<'t> KeyOrder<'t> {
    fn new(task: &'t Task) -> Self {
        Self { task, index: 0, last: Vec::new() }
    }

    /// Judges the next key.
    fn check(&mut self, key: &[u8]) -> Option<Fault> {
        let (page, index) = (self.task.page, self.index);
        let ordered = index == 0 || key > self.last.as_slice();
        let in_range = self.task.from.as_deref().is_none_or(|from| key >= from)
            && self.task.below.as_deref().is_none_or(|below| key < below);
        self.index += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        if !ordered {
            Some(Fault::KeyOrder { page, index })
        } else if !in_range {
            Some(Fault::KeyRange { page, index })
        } else {
            None
        }
    }
}
