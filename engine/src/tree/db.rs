//! The database: what snapshots, the writer and checkpoints share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};

use super::dirty::Dirty;
use super::pages::Pages;
use super::readers::{Published, Readers, Seats};
use super::relocate::{Mover, WORTH_IT, reserve};
use super::repack::Repacker;
use super::root::Root;
use super::space::Space;
use super::{Checkpoint, DbOptions, DbStats, Snapshot, StampFn, TreeId, TreeSpec, WriteTxn};
use crate::check::CheckReport;
use crate::error::{EngineError, OpenError};
use crate::file::{FileError, PageFile};

/// A database: several trees in one file. Cloning it is cheap and gives the same database.
#[derive(Clone)]
pub struct Db(pub(super) Arc<Shared>, Arc<Seats>);

/// What everybody shares.
pub(crate) struct Shared {
    pub(crate) pages: Pages,
    pub(super) specs: &'static [TreeSpec],
    /// For each spec, its place in the file's table of trees.
    pub(super) places: Vec<usize>,
    /// Names of all trees in the file's table, with those that no spec names.
    pub(super) names: Vec<String>,
    pub(super) published: Published,
    pub(super) readers: Readers,
    pub(super) durable: Mutex<Durable>,
    /// Held by the one checkpoint at a time.
    pub(super) checkpointing: Mutex<()>,
    writer: Mutex<Option<Box<Writer>>>,
    writer_is_back: Condvar,
    poison: OnceLock<EngineError>,
    pub(super) figures: Mutex<Figures>,
    pub(super) limit_bytes: u64,
    /// How often somebody has asked to have pages moved off the end of the file even if the free ones were needed a moment
    /// ago.
    pub(super) relocation_requests: AtomicU64,
    observer: OnceLock<Arc<dyn TurnObserver>>,
}

/// What the one writer at a time owns.
pub(super) struct Writer {
    pub(super) dirty: Dirty,
    pub(super) space: Space,
    pub(super) mover: Mover,
    pub(super) repacker: Repacker,
}

/// What takes the writer's turn besides write transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnUse {
    /// The first part of a checkpoint: the list of free pages is written.
    CheckpointBegin,
    /// The end of a checkpoint: the file is cut, if there is something to cut.
    TailCut,
}

/// Is told when the writer's turn is taken and given back by something other than a write transaction, so that
/// somebody who has a clock can tell for how long writers were kept waiting. Called with the turn: must be quick, and must
/// not call the database.
pub trait TurnObserver: Send + Sync {
    /// The turn has been taken.
    fn taken(&self, by: TurnUse);
    /// The turn is about to be given back.
    fn given_back(&self, by: TurnUse);
}

/// Which root a crash would leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durable {
    pub(super) checkpoint: Checkpoint,
    /// Which of the two meta pages holds it.
    pub(super) meta: usize,
    /// Pages that it speaks of.
    pub(super) high_water: u64,
    /// The transaction that a checkpoint is making durable.
    pub(super) under_way: Option<u64>,
}

/// Figures of the writer, for those who do not want to wait for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) high_water: u64,
    pub(super) free_pages: u64,
    pub(super) published_bytes: u64,
    pub(super) held_by_durable: u64,
    pub(super) held_by_readers: u64,
    pub(super) surplus: u64,
    pub(super) wants_checkpoint: bool,
}

/// What opening a file has found out.
pub(super) struct Parts {
    pub(super) pages: Pages,
    pub(super) specs: &'static [TreeSpec],
    pub(super) places: Vec<usize>,
    pub(super) names: Vec<String>,
    pub(super) root: Root,
    pub(super) space: Space,
    pub(super) durable: Durable,
    pub(super) limit_bytes: u64,
}

impl Db {
    /// Opens the database in `file`, or creates it when the file is empty. Takes the same time whatever the
    /// size of the file, except when the newest meta page is damaged.
    pub fn open(
        file: Arc<dyn PageFile>,
        trees: &'static [TreeSpec],
        options: DbOptions,
    ) -> Result<Self, OpenError> {
        super::open::open(file, trees, &options)
    }

    pub(super) fn from_parts(parts: Parts) -> Self {
        let dirty = Dirty::new(parts.pages.geometry);
        let figures = Figures {
            high_water: parts.space.high_water,
            free_pages: parts.space.free_pages(),
            ..Figures::default()
        };
        let mut repacker = Repacker::default();
        repacker.note(&parts.root.trees);
        let writer = Writer { dirty, space: parts.space, mover: Mover::default(), repacker };
        let shared = Shared {
            pages: parts.pages,
            specs: parts.specs,
            places: parts.places,
            names: parts.names,
            published: Published::new(parts.root),
            readers: Readers::new(),
            durable: Mutex::new(parts.durable),
            checkpointing: Mutex::new(()),
            writer: Mutex::new(Some(Box::new(writer))),
            writer_is_back: Condvar::new(),
            poison: OnceLock::new(),
            figures: Mutex::new(figures),
            limit_bytes: parts.limit_bytes,
            relocation_requests: AtomicU64::new(0),
            observer: OnceLock::new(),
        };
        Self(Arc::new(shared), Arc::new(Seats::new()))
    }

    /// Has `observer` told when the writer's turn is taken by something other than a write transaction. Only the first
    /// one that is set counts.
    pub fn observe_turns(&self, observer: Arc<dyn TurnObserver>) {
        let _ = self.0.observer.set(observer);
    }

    /// Pins the newest published root.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.0, &self.1)
    }

    /// Tells what time it is: a number that only grows, in whatever unit (milliseconds, say). The engine has no
    /// clock; snapshots remember the tick at which they were taken, and [`DbStats::oldest_reader_ticks`] tells
    /// the oldest one's.
    pub fn set_tick(&self, tick: u64) {
        self.0.readers.set_tick(tick);
    }

    /// Begins the write transaction, waiting until the one before it is over. A thread that already has one
    /// waits for ever.
    pub fn write(&self) -> WriteTxn {
        WriteTxn::new(Arc::clone(&self.0), self.0.take_writer())
    }

    /// Makes the newest published root durable: its pages are synced, then a meta page is written and
    /// synced. May run on any thread beside write transactions; it waits for the one that is open, and
    /// holds up the next only for as long as it takes to write the list of free pages.
    pub fn checkpoint(&self) -> Result<Checkpoint, EngineError> {
        self.0.checkpoint()
    }

    /// Walks over everything and tells what is wrong: structure, checksums, counts and stamps, and whether
    /// every page is used exactly once or free; and whether the meta pages are whole. Writes can go on meanwhile.
    pub fn check(&self) -> CheckReport {
        let (snapshot, space) = {
            // While the writer is here, the newest root and the free pages fit together.
            let turn = self.0.take_turn();
            (self.snapshot(), turn.space.clone())
        };
        let mut report = crate::check::check(&self.0, &snapshot, &space);
        self.0.check_meta_pages(&mut report);
        report
    }

    /// Names of the trees that hold something and that no spec names: a later release's.
    pub(crate) fn unknown_trees(&self) -> Vec<String> {
        let root = self.0.published.load_full();
        let trees = self.0.names.iter().zip(&root.trees).enumerate();
        let unknown = trees.filter(|(place, (_, root))| root.depth > 0 && !self.0.places.contains(place));
        unknown.map(|(_, (name, _))| name.clone()).collect()
    }

    /// Figures, without a walk.
    pub fn stats(&self) -> DbStats {
        let shared = &self.0;
        let (figures, durable) = (*shared.figures.lock(), shared.durable.lock().checkpoint);
        let pinned = shared.readers.pinned();
        DbStats {
            file_bytes: shared.pages.file.len(),
            pages: figures.high_water,
            free_pages: figures.free_pages,
            pages_in_use: figures.high_water.saturating_sub(figures.free_pages),
            pages_held_by_durable: figures.held_by_durable,
            pages_held_by_readers: figures.held_by_readers,
            surplus_pages: figures.surplus,
            wants_checkpoint: figures.wants_checkpoint,
            page_size: shared.pages.geometry.size as u32,
            readers: pinned.len() as u64,
            oldest_reader_txn: pinned.iter().min().copied(),
            oldest_reader_ticks: shared.readers.oldest_age(),
            published_txn: shared.published.load_full().txn,
            durable_txn: durable.txn,
            durable_mark: durable.mark,
            published_bytes_since_checkpoint: figures.published_bytes,
        }
    }
}

impl Shared {
    /// Number of a tree in the file.
    #[inline]
    pub(super) fn number(&self, tree: TreeId) -> u8 {
        self.places[tree.0 as usize] as u8 + 1
    }

    /// The stamp of a tree's entries, by the tree's place in the file. A tree that no spec names is never
    /// changed, so nobody asks for its stamps.
    pub(crate) fn stamp_of_place(&self, place: usize) -> Option<StampFn> {
        let spec = self.places.iter().position(|&p| p == place)?;
        Some(self.specs[spec].stamp)
    }

    /// Waits for the writer's turn.
    pub(super) fn take_writer(&self) -> Box<Writer> {
        let mut writer = self.writer.lock();
        loop {
            if let Some(writer) = writer.take() {
                return writer;
            }
            self.writer_is_back.wait(&mut writer);
        }
    }

    pub(super) fn give_back(&self, writer: Box<Writer>) {
        *self.writer.lock() = Some(writer);
        self.writer_is_back.notify_one();
    }

    /// Waits for the writer's turn, and has it until the value is dropped.
    pub(super) fn take_turn(&self) -> Turn<'_> {
        Turn { shared: self, writer: Some(self.take_writer()), used: None }
    }

    /// Like [`Shared::take_turn`], and the observer is told.
    pub(super) fn take_turn_for(&self, used: TurnUse) -> Turn<'_> {
        let writer = Some(self.take_writer());
        if let Some(observer) = self.observer.get() {
            observer.taken(used);
        }
        Turn { shared: self, writer, used: Some(used) }
    }

    /// Tells everybody how the file stands after the writer has done something.
    pub(super) fn tell(&self, writer: &Writer, published_bytes: u64) -> Result<(), EngineError> {
        let (space, durable) = (&writer.space, *self.durable.lock());
        let waiting = |roots: &[u64]| roots.iter().map(|&txn| space.pages_waiting_for(txn)).sum::<u64>();
        let mut readers = self.readers.pinned();
        readers.sort_unstable();
        readers.dedup();
        readers.retain(|&txn| txn != durable.checkpoint.txn && Some(txn) != durable.under_way);
        let held_by_durable =
            waiting(&[durable.checkpoint.txn]) + durable.under_way.map_or(0, |txn| waiting(&[txn]));
        // A few intervals without need make free pages a surplus.
        let (surplus, reserve) = (space.surplus(false), reserve(space));
        let enough = WORTH_IT * reserve;
        let unsettled = space.surplus_may_rise() && space.surplus(true) > enough && surplus <= enough;
        let can_be_cut = space.tail_pages(&self.pages)? > reserve
            || self.length_after_cut(space.high_water.max(durable.high_water)).is_some();
        let mut figures = self.figures.lock();
        *figures = Figures {
            high_water: space.high_water,
            free_pages: space.free_pages(),
            published_bytes: figures.published_bytes + published_bytes,
            held_by_durable,
            held_by_readers: waiting(&readers),
            surplus,
            wants_checkpoint: unsettled || can_be_cut || space.own_page_moves,
        };
        Ok(())
    }

    /// The error of everything that would write, once something has failed.
    pub(super) fn poisoned(&self) -> Option<EngineError> {
        self.poison.get().map(|e| EngineError::Poisoned(Box::new(e.clone())))
    }

    /// Remembers the first failure for ever, and passes this one on.
    pub(super) fn set_poison(&self, e: EngineError) -> EngineError {
        let _ = self.poison.set(e.clone());
        e
    }

    /// To be called while something is dropped that holds the writer and may have been in the middle of changing what
    /// is free or written: after a panic there (a failed assertion) nothing is known of the free pages any more, so the
    /// database takes no more writes. Before the writer is given back.
    pub(super) fn poison_if_panicking(&self, what: &str) {
        if std::thread::panicking() {
            let why = std::io::Error::other(format!("{what} was broken off by a panic"));
            self.set_poison(FileError::new(&self.pages.file.name(), "write", 0, 0, why).into());
        }
    }

    /// The roots whose pages must stay: those that readers pin, the durable one, and the one that a
    /// checkpoint is making durable. Ascending. The newest root has been published before.
    pub(super) fn protected(&self) -> (Vec<u64>, u64) {
        let mut protected = self.readers.pinned();
        let durable = *self.durable.lock();
        protected.push(durable.checkpoint.txn);
        protected.extend(durable.under_way);
        protected.sort_unstable();
        protected.dedup();
        (protected, durable.checkpoint.txn)
    }
}

/// The writer, until this is dropped.
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    writer: Option<Box<Writer>>,
    used: Option<TurnUse>,
}

const HAS_WRITER: &str = "a turn has the writer for as long as it lasts";

impl std::ops::Deref for Turn<'_> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        self.writer.as_ref().expect(HAS_WRITER)
    }
}

impl std::ops::DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Writer {
        self.writer.as_mut().expect(HAS_WRITER)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.shared.poison_if_panicking("what had the writer's turn");
        if let Some(writer) = self.writer.take() {
            if let (Some(used), Some(observer)) = (self.used, self.shared.observer.get()) {
                observer.given_back(used);
            }
            self.shared.give_back(writer);
        }
    }
}
