//! A model of the pin protocol (`readers`), for the model checker loom:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p holdfast-engine --lib --release loom
//! ```
//!
//! Loom runs every interleaving, and every answer that the memory model allows, of a few readers beside a writer. The
//! steps are those of `readers`, in its order and with its orderings; an `ArcSwap` is a number here, which is loaded and
//! swapped with no more order than `ArcSwap` promises. A page is a cell that loom watches: it tells when the writer
//! writes to it while somebody reads it, or without being ordered behind who has read it.
//!
//! Each step can be left out, and then the model must find what goes wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread;

const FREE: u64 = u64::MAX;
const SLOTS: usize = 2;
const ROOTS: usize = 3;

/// A step that a broken reader or writer leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The fence between storing the pin and looking again.
    ReadersFence,
    /// The fence between publishing and reading the pins.
    WritersFence,
    /// Looking again whether the root is still the newest.
    SecondLook,
    /// The same, where the root is the one that the slot remembers.
    SecondLookAtTheNumber,
    /// Giving the slot back with release ordering.
    ReleaseOrder,
    /// Noting that the slot is in use before a number is stored.
    NoteOfTheSlot,
}

struct Slot {
    pin: AtomicU64,
    remembered: Mutex<Option<u64>>,
}

struct World {
    /// The `ArcSwap` with the newest root, and its number beside it.
    root: AtomicU64,
    number: AtomicU64,
    slots: [Slot; SLOTS],
    used: AtomicUsize,
    /// One page for each root from 1 on, which only that root needs.
    pages: [UnsafeCell<()>; ROOTS],
    without: Without,
}

impl World {
    fn new(without: Without) -> Self {
        let slot = || Slot { pin: AtomicU64::new(FREE), remembered: Mutex::new(None) };
        Self {
            root: AtomicU64::new(1),
            number: AtomicU64::new(1),
            slots: [slot(), slot()],
            used: AtomicUsize::new(0),
            pages: [(); ROOTS].map(UnsafeCell::new),
            without,
        }
    }

    fn page(&self, root: u64) -> &UnsafeCell<()> {
        &self.pages[root as usize - 1]
    }

    /// `Readers::find_free`
    fn find_free(&self, first: usize) -> Option<(&Slot, MutexGuard<'_, Option<u64>>)> {
        for n in 0..SLOTS {
            let index = (first + n) % SLOTS;
            let slot = &self.slots[index];
            if slot.pin.load(Ordering::Relaxed) != FREE {
                continue;
            }
            if let Ok(remembered) = slot.remembered.try_lock()
                && slot.pin.load(Ordering::Relaxed) == FREE
            {
                if self.without != Without::NoteOfTheSlot && self.used.load(Ordering::Relaxed) <= index {
                    self.used.fetch_max(index + 1, Ordering::Relaxed);
                }
                return Some((slot, remembered));
            }
        }
        None
    }

    /// `Slot::hold`
    fn hold(&self, slot: &Slot, root: u64) {
        slot.pin.store(root, Ordering::Release);
        if self.without != Without::ReadersFence {
            fence(Ordering::SeqCst);
        }
    }

    /// `Readers::pin`
    fn pin<'w>(&self, slot: &'w Slot, mut remembered: MutexGuard<'w, Option<u64>>) -> u64 {
        let newest = self.number.load(Ordering::Acquire);
        if let Some(root) = remembered.take().filter(|root| *root == newest) {
            self.hold(slot, newest);
            if self.without == Without::SecondLookAtTheNumber || self.number.load(Ordering::Acquire) == newest
            {
                return root;
            }
        }
        loop {
            let root = self.root.load(Ordering::Acquire);
            self.hold(slot, root);
            if self.without == Without::SecondLook || self.root.load(Ordering::Acquire) == root {
                return root;
            }
        }
    }

    /// Pins, reads, and lets go (`Readers::unpin`).
    fn read(&self, first: usize) {
        let Some((slot, remembered)) = self.find_free(first) else { return };
        let root = self.pin(slot, remembered);
        self.page(root).with(|_| ());
        let mut remembered = slot.remembered.lock().expect("no reader panics");
        *remembered = Some(root);
        let order = if self.without == Without::ReleaseOrder { Ordering::Relaxed } else { Ordering::Release };
        slot.pin.store(FREE, order);
    }

    /// `Published::store`, `Readers::pinned`, and what the writer does with a page that nobody needs.
    fn publish(&self, root: u64) {
        self.page(root).with_mut(|_| ());
        self.root.swap(root, Ordering::AcqRel);
        self.number.store(root, Ordering::Release);
        if self.without != Without::WritersFence {
            fence(Ordering::SeqCst);
        }
        let used = self.used.load(Ordering::Relaxed);
        let pinned = self.slots[..used].iter().any(|slot| slot.pin.load(Ordering::Acquire) == root - 1);
        if !pinned {
            self.page(root - 1).with_mut(|_| ());
        }
    }
}

/// Every interleaving of some readers, each of whom reads so many times, and a writer who publishes up to root `last`.
fn check(without: Without, readers: usize, times: usize, last: u64) {
    let mut model = loom::model::Builder::new();
    // Three preemptions show every bug that a handful of steps can have; without a bound two readers take hours.
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = Arc::new(World::new(without));
        let reader = |first: usize| {
            let world = Arc::clone(&world);
            thread::spawn(move || (0..times).for_each(|_| world.read(first)))
        };
        let threads: Vec<_> = (0..readers).map(reader).collect();
        (2..=last).for_each(|root| world.publish(root));
        threads.into_iter().for_each(|thread| thread.join().expect("the reader ends"));
    });
}

#[test]
fn loom_one_reader_and_two_publications() {
    check(Without::Nothing, 1, 1, 3);
}

#[test]
fn loom_one_reader_who_comes_back() {
    check(Without::Nothing, 1, 2, 2);
}

#[test]
fn loom_two_readers() {
    check(Without::Nothing, 2, 1, 2);
}

#[test]
fn loom_nothing_can_be_left_out() {
    let all = [
        (Without::ReadersFence, 1),
        (Without::WritersFence, 1),
        (Without::SecondLook, 1),
        (Without::SecondLookAtTheNumber, 2),
        (Without::ReleaseOrder, 1),
        (Without::NoteOfTheSlot, 1),
    ];
    for (without, times) in all {
        let found = catch_unwind(AssertUnwindSafe(|| check(without, 1, times, 2))).is_err();
        assert!(found, "the model finds nothing wrong without {without:?}");
    }
}
