//! `HashKV` over a store that goes on: walks in steps, and the hashes that compactions leave.
//!
//! A hash reads the whole history. So it is computed in steps, each over the newest root, and holds back physical
//! compaction at the revision C that it started with, because every record above C counts. Compaction may follow it:
//! what a record of revision m superseded is older than m, so below the place that the walk has reached everything
//! that may go has been hashed.
//!
//! **Hashes of compactions.** When members compare themselves, one of them may have compacted beyond the revision that
//! another asks for. etcd therefore hashes, while it compacts from C to C′, all that is still there up to C′, keeps the
//! last ten of these hashes, and answers a request for exactly C′ with it from then on, with C as its compact revision.
//! So do we ([`Store::hash_compaction`]), but beside the apply thread instead of in it: the walk holds back the removal
//! of what it has not passed. As in etcd, a compaction is hashed only if the one before was complete when it came, and the
//! hashes are forgotten with the process.

use super::error::MvccError;
use super::hash::{HashKv, Hasher};
use super::hold::RevisionHold;
use super::reader::Reader;
use super::store::Store;
use parking_lot::Mutex;

/// Hashes of compactions that are remembered, as many as etcd remembers.
const REMEMBERED: usize = 10;

/// Rows or records read in one step.
#[cfg(not(test))]
const STEP_ROWS: usize = 1000;
/// In tests few, so that small histories take many steps.
#[cfg(test)]
const STEP_ROWS: usize = 2;

/// The hashes of the last compactions.
#[derive(Default)]
pub(crate) struct HashCache(Mutex<Vec<HashKv>>);

impl HashCache {
    fn of(&self, revision: i64) -> Option<HashKv> {
        self.0.lock().iter().find(|known| known.hash_revision == revision).copied()
    }

    /// Keeps those of the highest revisions.
    fn remember(&self, hash: HashKv) {
        let mut known = self.0.lock();
        known.push(hash);
        known.sort_unstable_by_key(|known| known.hash_revision);
        let surplus = known.len().saturating_sub(REMEMBERED);
        known.drain(..surplus);
    }
}

/// A compaction that is worth hashing, told by [`super::ApplyTxn::compact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionSpan {
    /// The compaction before it, which was complete; −1 for none.
    pub from: i64,
    /// Its revision.
    pub to: i64,
}

/// A hash that is being computed in steps. Made by [`Store::hash_kv`] and [`Store::hash_compaction`].
pub struct HashWalk {
    store: Store,
    hold: Option<RevisionHold>,
    state: State,
    current_revision: i64,
}

enum State {
    Known(HashKv),
    Walking { hasher: Hasher, revision: i64, compact_revision: i64, by_compaction: bool },
}

impl Store {
    /// etcd's hash of the history up to `revision` (0: now), to be computed in steps; the answer for the revision of
    /// one of the last ten compactions is known. Physical compaction is held back until the walk is done, for
    /// `limit_ticks` ticks.
    pub fn hash_kv(&self, revision: i64, limit_ticks: u64) -> Result<HashWalk, MvccError> {
        let mut view = self.view()?;
        if let Some(known) = self.hashes().of(revision) {
            let current_revision = view.revision();
            return Ok(HashWalk {
                store: self.clone(),
                hold: None,
                state: State::Known(known),
                current_revision,
            });
        }
        loop {
            let compact_revision = view.compact_revision();
            let hold = self.holds().hold(compact_revision, limit_ticks);
            view = self.view()?;
            if view.compact_revision() == compact_revision {
                let revision = view.reader().hash_revision(revision)?;
                let span = CompactionSpan { from: compact_revision, to: revision };
                return Ok(self.walk(span, false, hold, view.revision()));
            }
        }
    }

    /// The hash that etcd computes while it compacts. To be called when the compaction is published, and before the
    /// first step of it: the hold of the walk is what keeps its records. [`HashWalk::step`] remembers the result.
    pub fn hash_compaction(&self, span: CompactionSpan, limit_ticks: u64) -> Result<HashWalk, MvccError> {
        let hold = self.holds().hold(span.from, limit_ticks);
        Ok(self.walk(span, true, hold, self.view()?.revision()))
    }

    fn walk(
        &self,
        span: CompactionSpan,
        by_compaction: bool,
        hold: RevisionHold,
        current_revision: i64,
    ) -> HashWalk {
        let CompactionSpan { from: compact_revision, to: revision } = span;
        let hasher = Hasher::new(revision, compact_revision, by_compaction);
        let state = State::Walking { hasher, revision, compact_revision, by_compaction };
        HashWalk { store: self.clone(), hold: Some(hold), state, current_revision }
    }
}

impl HashWalk {
    /// The current revision when the walk began: what a response's header tells.
    pub fn current_revision(&self) -> i64 {
        self.current_revision
    }

    /// Reads on for a bounded time; the hash when everything has been read. [`MvccError::Outlived`] when the walk is
    /// older than its limit.
    pub fn step(&mut self) -> Result<Option<HashKv>, MvccError> {
        let State::Walking { hasher, revision, compact_revision, by_compaction } = &mut self.state else {
            return Ok(self.known());
        };
        let view = self.store.view()?;
        if self.hold.as_ref().is_none_or(RevisionHold::is_broken) {
            return Err(MvccError::Outlived { revision: *revision });
        }
        let reader = Reader { compact_revision: *compact_revision, ..view.reader() };
        let Some(hash) = hasher.step(&reader, STEP_ROWS)? else {
            if let (Some(hold), Some(passed)) = (&self.hold, hasher.passed()) {
                // One less: a compaction at `passed` itself would not be held, and what is superseded inside that
                // revision has not all been hashed.
                hold.raise(passed - 1);
            }
            return Ok(None);
        };
        // A request for revision 0 means the current one: etcd would answer it with the hash of a compaction at 0.
        if *by_compaction && *revision > 0 {
            self.store.hashes().remember(hash);
        }
        self.state = State::Known(hash);
        self.hold = None;
        Ok(Some(hash))
    }

    /// The hash, when it is known without a walk or the walk is done.
    pub fn known(&self) -> Option<HashKv> {
        match self.state {
            State::Known(hash) => Some(hash),
            State::Walking { .. } => None,
        }
    }
}
