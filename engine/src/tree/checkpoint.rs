//! Making a published root durable.
//!
//! 1. With the writer's turn, for a moment: the list of free pages is brought up to date and written (not
//!    synced), as a transaction of its own that changes no entry. Its root, which shares every tree with
//!    the newest one, is published; from here on its pages are protected.
//! 2. The file is synced, and then the meta page that does not hold the durable state is written and
//!    synced. Writers publish meanwhile. A crash before the end finds the old meta page and everything it
//!    leads to; a torn new one is told by its checksum.
//! 3. The new root is the durable one. Pages that only the old one needed may be used again, and the file is
//!    cut where a long stretch at its end is free.
//!
//! After a failed write or sync nobody knows what is on the disk, so nothing is tried again: the error is
//! latched, and recovery is left to the next start, from the log. A panic on the way counts as one.

use super::Checkpoint;
use super::db::{Shared, TurnUse, Writer};
use super::place::{grow, growth_bytes, recycle, write_blocks};
use super::root::Root;
use crate::error::EngineError;
use crate::page::{META_OFFSETS, Meta, NamedRoot};

/// The file is cut by so much at a time, in bytes: the file system takes a while to let go of pages that it has cached, and
/// writers wait meanwhile.
const CUT_BYTES: u64 = 16 << 20;

/// What step 1 hands to step 2.
struct Begun {
    meta: Meta,
    slot: usize,
}

/// A checkpoint that a panic breaks off has failed like one that an error ends, also outside the writer's turn.
struct PanicLatch<'a>(&'a Shared);

impl Drop for PanicLatch<'_> {
    fn drop(&mut self) {
        self.0.poison_if_panicking("a checkpoint");
    }
}

impl Shared {
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, EngineError> {
        let _one_at_a_time = self.checkpointing.lock();
        let _latch = PanicLatch(self);
        if let Some(e) = self.poisoned() {
            return Err(e);
        }
        match self.begin().and_then(|begun| begun.map_or(Ok(None), |begun| self.finish(&begun).map(Some))) {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Ok(self.durable.lock().checkpoint),
            Err(e) => Err(self.set_poison(e)),
        }
    }

    /// Step 1; `None` when the newest root is durable already.
    fn begin(&self) -> Result<Option<Begun>, EngineError> {
        let mut turn = self.take_turn_for(TurnUse::CheckpointBegin);
        let newest = self.published.load_full();
        let durable = *self.durable.lock();
        if newest.txn == durable.checkpoint.txn && !self.figures.lock().wants_checkpoint {
            return Ok(None);
        }
        let root = Root { txn: newest.txn + 1, ..Root::clone(&newest) };
        self.write_free_tree(&mut turn, root, 1 - durable.meta).map(Some)
    }

    fn write_free_tree(&self, writer: &mut Writer, root: Root, slot: usize) -> Result<Begun, EngineError> {
        let (protected, _) = self.protected();
        writer.space.tidy(&self.pages, &protected)?;
        let mut tree = writer.space.persist(&self.pages, root.txn, &protected)?;
        grow(&self.pages, writer.space.high_water, self.limit_bytes)?;
        write_blocks(&self.pages, &mut tree.blocks)?;
        recycle(&mut writer.dirty, tree.blocks);
        let named = self.names.iter().zip(&root.trees);
        let meta = Meta {
            page_size: self.pages.geometry.size as u32,
            txn: root.txn,
            mark: root.mark,
            high_water: writer.space.high_water,
            free_pages: tree.free_pages,
            free: tree.root,
            trees: named.map(|(name, &root)| NamedRoot { name: name.clone(), root }).collect(),
        };
        self.durable.lock().under_way = Some(root.txn);
        self.published.store(std::sync::Arc::new(root));
        self.figures.lock().published_bytes = 0;
        self.tell(writer, 0)?;
        Ok(Begun { meta, slot })
    }

    /// Steps 2 and 3.
    fn finish(&self, begun: &Begun) -> Result<Checkpoint, EngineError> {
        let file = &self.pages.file;
        file.sync()?;
        file.write_at(META_OFFSETS[begun.slot], &[&begun.meta.encode()])?;
        file.sync()?;
        let checkpoint = Checkpoint { txn: begun.meta.txn, mark: begun.meta.mark };
        let before = {
            let mut durable = self.durable.lock();
            durable.checkpoint = checkpoint;
            durable.meta = begun.slot;
            durable.under_way = None;
            std::mem::replace(&mut durable.high_water, begun.meta.high_water)
        };
        self.cut_file(before.max(begun.meta.high_water))?;
        Ok(checkpoint)
    }

    /// Gives the end of the file back to the file system, when more of it is unused than growing would add.
    /// `needed` is how many pages the two meta pages speak of.
    ///
    /// Nobody can touch what is cut: it lies behind everything that the newest root and the two meta pages speak
    /// of, and pages that an older root needs, because a reader pins it, are held, and so below the high-water
    /// mark.
    fn cut_file(&self, needed: u64) -> Result<(), EngineError> {
        loop {
            let mut turn = self.take_turn_for(TurnUse::TailCut);
            let (len, now) =
                (self.length_after_cut(needed.max(turn.space.high_water)), self.pages.file.len());
            match len {
                Some(len) if len + CUT_BYTES < now => self.pages.file.set_len(now - CUT_BYTES)?,
                _ => {
                    if let Some(len) = len {
                        self.pages.file.set_len(len)?;
                    }
                    // What only the root before needed is free from now on, also when nobody writes.
                    let (protected, _) = self.protected();
                    turn.space.tidy(&self.pages, &protected)?;
                    return self.tell(&turn, 0);
                }
            }
        }
    }

    /// How long the file should be when this many pages of it are needed, if that is worth a cut.
    pub(super) fn length_after_cut(&self, needed: u64) -> Option<u64> {
        let keep = needed * self.pages.geometry.size as u64;
        let spare = growth_bytes(keep);
        (self.pages.file.len() > keep + 2 * spare).then_some(keep + spare)
    }
}

#[cfg(test)]
mod tests;
