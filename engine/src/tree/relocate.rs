//! Moving pages off the end of the file, so that it can be cut.
//!
//! Free pages are used again lowest first, so a file whose contents have shrunk would empty from its end if everything
//! were written anew. What is not written by itself is moved: from the high-water mark downwards, a page at a time, each
//! asked whose it is. Its header names tree and level, and the page carries a key; whether it is in use is found by going
//! down to that key from the newest root, which must lead to this very page. A page that is in use is changed without a
//! change (its ancestors with it) and so gets the lowest free place when it is written. Free runs are jumped over by way
//! of the free tree and of what is not yet listed there, so no page is read that only an older root needs. Overflow runs
//! carry their key too, and the pages inside them, which have no header, are passed over until the header is met.
//!
//! How far down: if all free pages that nobody has needed for a while (the surplus) were given back but for a reserve,
//! the file would end at the *floor*. Moving begins only when there is a few times the reserve to gain, goes on until the
//! scan has reached the floor, and then waits for a checkpoint: only that makes the pages that were left free to be given
//! up, and a file that is overwritten all the time has no surplus. So nothing moves in a steady state.
//!
//! Somebody who asks for it (a *request*) has all that is ready count as surplus, for a few scans: the first one begins
//! when what had been freed before the request is held by the durable root no more. Then the request is served, whatever
//! there is left to gain: else a file that is overwritten all the time would have its pages moved for ever.
//!
//! Each step is bounded in the pages it writes and in those it looks at. It is a write transaction like any other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::db::{Db, Writer};
use super::edit::Edit;
use super::pages::Pages;
use super::root::DEPTH_LIMIT;
use super::space::Space;
use super::write::{HAS_WRITER, WriteTxn};
use crate::error::EngineError;
use crate::page::{
    Checked, FREE_TREE, Fault, HEADER_BYTES, KEY_LIMIT, Kind, Node, read_run, run_pages, u32_at, u64_at,
};

/// The part of the pages in use that is kept free: growing by as much costs no room on the disk.
const RESERVE_PART: u64 = 32;
/// The least that is kept free, in pages.
const RESERVE_LEAST: u64 = 64;
/// Moving begins when there is so many times the reserve to gain.
pub(super) const WORTH_IT: u64 = 3;
/// The pages of so many steps are asked for ahead, so that a step seldom waits for the disk with the writer's turn.
const AHEAD_STEPS: u64 = 8;
/// Pages looked at in one step, for each page that it may write.
const LOOKS_PER_PAGE: u64 = 8;

/// Scans for one request at the most. The first leaves gaps that the next ones fill.
const REQUESTED_SCANS: u32 = 3;

/// Where the moving of pages stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// There is nothing to gain.
    Idle,
    /// There is more to do at once.
    More,
    /// What has been left must become free at the next checkpoint before it makes sense to go on.
    Waiting,
}

/// The scan.
#[derive(Debug, Default)]
pub(super) struct Mover {
    /// Pages from here on have been looked at; `None` between two scans.
    at: Option<u64>,
    /// The durable transaction when the last scan came to its end.
    ended: Option<u64>,
    /// The scan has moved something.
    has_moved: bool,
    request: Request,
}

/// The newest request to move pages even if the free ones were needed a moment ago.
#[derive(Debug, Default)]
struct Request {
    number: u64,
    /// The newest transaction when it was noticed.
    newest: u64,
    /// So many scans are left to it; 0 when it has been served.
    scans: u32,
}

impl Mover {
    /// Down to which page to look, when there is enough to gain.
    fn floor(&self, space: &Space, hurry: bool) -> Option<u64> {
        let (surplus, reserve) = (space.surplus(hurry), reserve(space));
        let enough = if self.at.is_some() { reserve } else { WORTH_IT * reserve };
        (surplus > enough).then(|| space.high_water - surplus + reserve)
    }

    /// Takes note of the newest request's number.
    fn notice(&mut self, number: u64, newest: u64) {
        if number != self.request.number {
            self.request = Request { number, newest, scans: REQUESTED_SCANS };
            self.ended = None;
        }
    }

    /// Where to go on, and down to which page. `letting_go`: more pages are about to become ready.
    fn plan(&mut self, space: &Space, durable: u64, letting_go: bool) -> Result<(u64, u64), Relocation> {
        let requested = self.request.scans > 0;
        if requested && durable < self.request.newest {
            return Err(Relocation::Waiting);
        }
        if requested && letting_go {
            return Err(Relocation::More);
        }
        if self.at.is_none() && self.ended == Some(durable) {
            return Err(if self.floor(space, requested).is_some() {
                Relocation::Waiting
            } else {
                Relocation::Idle
            });
        }
        let Some(floor) = self.floor(space, requested) else {
            (self.at, self.request.scans) = (None, 0);
            return Err(Relocation::Idle);
        };
        if self.at.is_none() {
            self.has_moved = false;
        }
        Ok((self.at.unwrap_or(u64::MAX).min(space.high_water), floor))
    }

    /// The scan has come to its end. One that could move nothing will not do better the next time.
    fn end(&mut self, durable: u64) {
        (self.at, self.ended) = (None, Some(durable));
        self.request.scans = if self.has_moved { self.request.scans.saturating_sub(1) } else { 0 };
    }
}

/// Free pages that a file keeps.
pub(super) fn reserve(space: &Space) -> u64 {
    (space.pages_in_use() / RESERVE_PART).max(RESERVE_LEAST)
}

/// What a page says it is. It need not be true: the page may have been free for long.
enum Claim {
    Page { tree: u8, level: u8, key: Vec<u8> },
    Run { tree: u8, pages: u64, key: Vec<u8> },
}

impl WriteTxn {
    /// Moves some pages from the end of the file to the lowest free places, when the file has been larger than it need be
    /// for a while: about `most_pages` are written for it. What they hold does not change. The file is cut by checkpoints
    /// that come after. To be followed by [`WriteTxn::publish`] like any other change.
    pub fn relocate(&mut self, most_pages: u64) -> Result<Relocation, EngineError> {
        if let Some(e) = &self.failed {
            return Err(e.clone());
        }
        let shared = Arc::clone(&self.shared);
        let (protected, durable) = shared.protected();
        self.space().tidy(&shared.pages, &protected).map_err(|e| shared.set_poison(e))?;
        if self.repack(durable, most_pages)? {
            return Ok(Relocation::More);
        }
        let newest = self.base.txn;
        let Writer { space, mover, .. } = &mut **self.writer.as_mut().expect(HAS_WRITER);
        mover.notice(shared.relocation_requests.load(Ordering::Relaxed), newest);
        let (mut at, floor) = match mover.plan(space, durable, space.is_letting_go(&protected)) {
            Ok(plan) => plan,
            Err(nothing) => {
                shared.tell(self.writer.as_ref().expect(HAS_WRITER), 0)?;
                return Ok(nothing);
            }
        };
        let ahead = at.saturating_sub(AHEAD_STEPS * most_pages).max(floor);
        if let (Some(from), Some(to)) = (shared.pages.offset(ahead), shared.pages.offset(at)) {
            shared.pages.file.will_need(from, to.saturating_sub(from));
        }
        let (mut written, mut looks) = (0, most_pages.saturating_mul(LOOKS_PER_PAGE));
        while at > floor && written < most_pages && looks > 0 {
            looks -= 1;
            if let Some(start) = self.space().free_run_around(&shared.pages, at - 1)? {
                at = start;
            } else {
                at -= 1;
                written += self.move_what_is_at(at)?;
            }
        }
        let writer = self.writer.as_mut().expect(HAS_WRITER);
        // Pages of the free tree may have moved though nothing will be published.
        shared.tell(writer, 0)?;
        let mover = &mut writer.mover;
        mover.has_moved |= written > 0;
        if at > floor {
            mover.at = Some(at);
            return Ok(Relocation::More);
        }
        mover.end(durable);
        Ok(Relocation::Waiting)
    }

    /// Pages and runs that this transaction has changed.
    pub(super) fn dirty_pages(&self) -> u64 {
        self.writer.as_ref().expect(HAS_WRITER).dirty.count() as u64
    }

    fn space(&mut self) -> &mut Space {
        &mut self.writer.as_mut().expect(HAS_WRITER).space
    }

    /// Moves the page, or the run that begins there, if it is in use. Returns how many pages will be written for it.
    fn move_what_is_at(&mut self, page: u64) -> Result<u64, EngineError> {
        let shared = Arc::clone(&self.shared);
        let Some(claim) = claim_of(&shared.pages, page) else {
            return Ok(0);
        };
        let before = self.dirty_pages();
        let run_pages = match claim {
            Claim::Page { tree: FREE_TREE, level, key } => {
                let moved = self.space().move_own_page(&shared.pages, &key, level, page);
                return moved.map(u64::from).map_err(|e| shared.set_poison(e));
            }
            Claim::Page { tree, level, key } => {
                self.edit(tree as usize - 1, &key, |edit| edit.move_page(&key, level, page))?;
                0
            }
            Claim::Run { tree, pages, key } => {
                // Only where the new place is known to lie below: else the file would grow.
                let below = self.space().has_run_below(&shared.pages, pages, page);
                if !below.map_err(|e| shared.set_poison(e))? {
                    return Ok(0);
                }
                if self.edit(tree as usize - 1, &key, |edit| edit.move_run(&key, page))? { pages } else { 0 }
            }
        };
        Ok(self.dirty_pages().saturating_sub(before) + run_pages)
    }

    /// Changes the tree in this place of the table, if there is one.
    pub(super) fn edit(
        &mut self,
        place: usize,
        key: &[u8],
        step: impl FnOnce(&mut Edit<'_>) -> Checked<bool>,
    ) -> Result<bool, EngineError> {
        let Some(root) = self.root.trees.get_mut(place) else {
            return Ok(false);
        };
        let mut edit = Edit {
            pages: &self.shared.pages,
            dirty: &mut self.writer.as_mut().expect(HAS_WRITER).dirty,
            freed: &mut self.freed,
            root,
            tree: place as u8 + 1,
            // A tree that no spec names has entries moved, but none put.
            stamp: self.shared.stamp_of_place(place).unwrap_or(|_, _| 0),
        };
        step(&mut edit).map_err(|fault| {
            let e = edit.view().explain(key, fault);
            self.failed = Some(e.clone());
            e
        })
    }
}

impl Db {
    /// A transaction that only moves pages off the end of the file: see [`WriteTxn::relocate`]. For a database that is
    /// not being written to, or between its batches.
    pub fn relocate_step(&self, most_pages: u64) -> Result<Relocation, EngineError> {
        let mut txn = self.write();
        let progress = txn.relocate(most_pages)?;
        txn.publish()?;
        Ok(progress)
    }

    /// Has pages moved off the end of the file from the next step on, even if what is free now was needed a moment ago;
    /// for a few scans of the file, which begin when what is free by now is no longer held by the durable root. To be
    /// followed by steps and checkpoints.
    pub fn hurry_relocation(&self) {
        self.0.relocation_requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the page says it is, if it says anything. The caller has the writer's turn, so that nobody writes to it. Whatever
/// cannot be read is no claim: what is in use is read, and complained of, by others.
fn claim_of(pages: &Pages, page: u64) -> Option<Claim> {
    let bytes = pages.raw(page, 1).ok()?;
    if u64_at(bytes, 8)? != page {
        return None;
    }
    let tree = *bytes.get(1)?;
    match *bytes.first()? {
        kind if kind == Kind::Run as u8 => run_claim(pages, page, tree, bytes),
        kind if kind == Kind::Leaf as u8 || kind == Kind::Branch as u8 => {
            let node = Node::of(bytes).ok()?;
            let key = a_key_below(pages, node).ok()?;
            Some(Claim::Page { tree, level: node.level(), key })
        }
        _ => None,
    }
}

fn run_claim(pages: &Pages, page: u64, tree: u8, bytes: &[u8]) -> Option<Claim> {
    let (count, key_bytes) = (u32_at(bytes, 4)?, u32_at(bytes, 24)? as usize);
    let expected = run_pages(pages.geometry, key_bytes, u32_at(bytes, 28)? as usize);
    if tree == FREE_TREE || key_bytes > KEY_LIMIT || u64::from(count) != expected {
        return None;
    }
    let front = run_pages(pages.geometry, key_bytes, 0);
    let key = pages.raw(page, front).ok()?.get(HEADER_BYTES..HEADER_BYTES + key_bytes)?;
    Some(Claim::Run { tree, pages: expected, key: key.to_vec() })
}

/// A key that belongs to the page or to one below it.
fn a_key_below<'a>(pages: &'a Pages, mut node: Node<'a>) -> Checked<Vec<u8>> {
    for _ in 0..DEPTH_LIMIT {
        if node.first_keyed() < node.count() {
            let key = node.inline_key(node.first_keyed())?;
            return match &key.long {
                None => Ok(key.inline.to_vec()),
                Some(run) => {
                    let bytes = pages.raw(run.page, run.pages(pages.geometry))?;
                    Ok(read_run(bytes, pages.geometry, node.tree(), run)?.0.to_vec())
                }
            };
        }
        // A branch with one child has no separator.
        node = Node::of(pages.raw(node.child(0)?.page, 1)?)?;
    }
    Err(Fault::page(node.number(), "no key is found below it"))
}
