//! Making a tree dense again after much of it was deleted.
//!
//! Deletions merge a leaf with a neighbour only when it is nearly empty and both leave room, so that no merge is undone
//! by the next put. A tree of which nine tenths were deleted here and there may so keep leaves that are half empty. When a
//! tree has lost a quarter of its entries, and has come to rest for an interval between checkpoints, it is swept once: from
//! the first key to the last, a branch above the leaves at a time, thin leaves are filled from the ones beside them.
//!
//! What was lost before the file was opened is not known, and not swept.

use super::root::TreeRoot;
use super::write::{HAS_WRITER, WriteTxn};
use crate::error::EngineError;

/// Fewer entries than this are not worth a sweep.
const LEAST_LOST: u64 = 4096;

/// Branches looked at in one step at the most.
const BRANCHES: usize = 16;

/// How many entries a tree had.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    /// The most since it was last swept.
    peak: u64,
    /// At the last look.
    last: u64,
}

/// Which trees to sweep, and how far the sweep has come.
#[derive(Debug, Default)]
pub(super) struct Repacker {
    trees: Vec<Watched>,
    seen_durable: u64,
    /// The tree that is being swept, by its place in the table, and the key to go on from.
    sweep: Option<(usize, Vec<u8>)>,
}

impl Repacker {
    /// Takes note of how large the trees are.
    pub(super) fn note(&mut self, trees: &[TreeRoot]) {
        self.trees.resize(trees.len(), Watched::default());
        for (watched, root) in self.trees.iter_mut().zip(trees) {
            watched.peak = watched.peak.max(root.count);
        }
    }

    /// The tree to sweep, if there is one: chosen once for each durable root.
    fn choose(&mut self, trees: &[TreeRoot], durable: u64) -> Option<(usize, Vec<u8>)> {
        self.note(trees);
        if durable != self.seen_durable {
            self.seen_durable = durable;
            for (place, (watched, root)) in self.trees.iter_mut().zip(trees).enumerate() {
                let at_rest = root.count >= watched.last - watched.last / 64;
                let thinned = root.count < watched.peak / 4 * 3 && watched.peak - root.count >= LEAST_LOST;
                watched.last = root.count;
                if self.sweep.is_none() && at_rest && thinned {
                    watched.peak = root.count;
                    self.sweep = Some((place, Vec::new()));
                }
            }
        }
        self.sweep.take()
    }
}

impl WriteTxn {
    /// Goes on with a sweep, if one is due: about `most_pages` leaves are changed. True when it goes on.
    pub(super) fn repack(&mut self, durable: u64, most_pages: u64) -> Result<bool, EngineError> {
        let writer = self.writer.as_mut().expect(HAS_WRITER);
        let Some((place, mut key)) = writer.repacker.choose(&self.root.trees, durable) else {
            return Ok(false);
        };
        // A branch without thin leaves costs nothing but a look at each.
        for _ in 0..BRANCHES {
            let before = self.dirty_pages();
            let mut next = None;
            self.edit(place, &key, |edit| {
                next = edit.pack_around(&key, most_pages)?;
                Ok(true)
            })?;
            match next {
                Some(next) => key = next,
                None => return Ok(false),
            }
            if self.dirty_pages() > before {
                break;
            }
        }
        self.writer.as_mut().expect(HAS_WRITER).repacker.sweep = Some((place, key));
        Ok(true)
    }
}
