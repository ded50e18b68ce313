//! Pinning a root: how readers and the writer agree, without a lock, on which pages are still needed.
//!
//! The published root is an [`ArcSwap`]; the memory that describes it is kept alive by its `Arc`. What must
//! be agreed on is the *pages* it leads to, which the writer wants to use again. A reader therefore holds a
//! slot with the number of the transaction it reads.
//!
//! Reader, to pin:
//!
//! 1. locks a slot that is `FREE`, and passes over those that it does not get at once;
//! 2. takes a root, R (see below), and stores R's number in the slot;
//! 3. fence (sequentially consistent);
//! 4. looks whether R is still the published root. If it is, the pin holds, and the slot is unlocked; if not,
//!    it goes back to 2.
//!
//! Writer, after publishing N and before it reuses a page that N no longer needs:
//!
//! 1. swaps the published root to N, and then stores N's number beside it;
//! 2. fence (sequentially consistent);
//! 3. reads all slots. Every number found is protected.
//!
//! Suppose a reader pins R, older than N, and the writer misses it. The two fences are in some order. If
//! the reader's is first, its store of step 2 is visible to the writer's step 3, which therefore did not
//! miss it. If the writer's is first, the swap to N is visible to the reader's step 4, which therefore did
//! not find R. Both contradict.
//!
//! A slot remembers the root that was last read through it: the reader who lets go of it moves it there, and
//! the next one takes it from there when the published number is still its own (step 4 then looks at the
//! number, which the writer stores before its fence, too; a number is never used for two roots). Otherwise the
//! published root is loaded, and step 4 compares the roots themselves. So, as long as nothing is published,
//! readers that use different slots share no memory that anybody writes to, not even a reference count. For
//! the same reason a snapshot does not count itself on the database that all share, but on its [`Seat`].
//!
//! Release: the reader stores `FREE` with release ordering, and the writer reads slots with acquire
//! ordering. So what the reader read from a page happened before what the writer puts there next.
//!
//! When no slot is free, a reader registers in a map under a lock. It loads the root while it holds the
//! lock, and the writer takes the same lock after its swap: whichever comes first, the writer sees the
//! reader or the reader sees N.
//!
//! Beside the number stands the tick (whatever clock the caller has) at which the slot was taken, so that
//! somebody can ask how old the oldest reader is. It is told only, nothing depends on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use super::db::Shared;
use super::root::Root;

const SLOTS: usize = 128;
const FREE: u64 = u64::MAX;

/// The newest root that readers can see.
pub(super) struct Published {
    root: ArcSwap<Root>,
    /// Its number, stored after it.
    txn: AtomicU64,
}

impl Published {
    pub(super) fn new(root: Root) -> Self {
        Self { txn: AtomicU64::new(root.txn), root: ArcSwap::from_pointee(root) }
    }

    /// Shows a root to readers. Only who has the writer's turn calls this, with a number never used before.
    pub(super) fn store(&self, root: Arc<Root>) {
        let txn = root.txn;
        self.root.store(root);
        self.txn.store(txn, Ordering::Release);
    }

    pub(super) fn load_full(&self) -> Arc<Root> {
        self.root.load_full()
    }

    fn is(&self, root: &Arc<Root>) -> bool {
        Arc::ptr_eq(root, &self.root.load())
    }
}

/// What a snapshot keeps the database alive by: each slot has its own, so that threads which use different
/// slots count on different cache lines.
#[repr(align(128))]
pub(super) struct Seat {
    pub(super) shared: Arc<Shared>,
}

/// The seats of all slots. The database holds them beside what is shared, and not in it, so that no circle
/// keeps it alive.
pub(super) struct Seats(Box<[OnceLock<Arc<Seat>>]>);

impl Seats {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| OnceLock::new()).collect())
    }

    /// The seat that goes with a pin.
    pub(super) fn take(&self, pin: Pin, shared: &Arc<Shared>) -> Arc<Seat> {
        let new = || Arc::new(Seat { shared: Arc::clone(shared) });
        match pin {
            Pin::Slot(index) => Arc::clone(self.0[index].get_or_init(new)),
            Pin::Other { .. } => new(),
        }
    }
}

/// One reader's pin. Two cache lines wide, because processors fetch lines in pairs.
#[repr(align(128))]
struct Slot {
    pin: AtomicU64,
    /// The tick at which it was taken.
    since: AtomicU64,
    /// The root last read through this slot. Locked while the slot is taken, and while it is given back.
    remembered: Mutex<Option<Arc<Root>>>,
}

/// All pins.
pub(super) struct Readers {
    slots: Box<[Slot]>,
    /// No slot from here on has ever been taken.
    used: AtomicUsize,
    /// What time it is, as the caller tells it.
    tick: AtomicU64,
    /// Transaction and tick to number of readers, for those who found no slot.
    others: Mutex<BTreeMap<(u64, u64), u64>>,
}

/// Where a pin is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    Slot(usize),
    Other { txn: u64, tick: u64 },
}

/// The slot that this thread tries first.
fn first_choice() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static CHOICE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SLOTS;
    }
    CHOICE.with(|choice| *choice)
}

impl Readers {
    pub(super) fn new() -> Self {
        let slot =
            || Slot { pin: AtomicU64::new(FREE), since: AtomicU64::new(0), remembered: Mutex::new(None) };
        Self {
            slots: (0..SLOTS).map(|_| slot()).collect(),
            used: AtomicUsize::new(0),
            tick: AtomicU64::new(0),
            others: Mutex::new(BTreeMap::new()),
        }
    }

    /// Sets the tick that pins are marked with from now on.
    pub(super) fn set_tick(&self, tick: u64) {
        self.tick.store(tick, Ordering::Relaxed);
    }

    /// Pins the published root.
    pub(super) fn pin(&self, published: &Published) -> (Pin, Arc<Root>) {
        self.pin_slowly(published, || {})
    }

    /// Like [`Readers::pin`]; a test has something happen between taking a root and pinning it.
    #[inline]
    fn pin_slowly(&self, published: &Published, mut meanwhile: impl FnMut()) -> (Pin, Arc<Root>) {
        let tick = self.tick.load(Ordering::Relaxed);
        let Some((index, mut remembered)) = self.find_free() else {
            let mut others = self.others.lock();
            let root = published.load_full();
            *others.entry((root.txn, tick)).or_insert(0) += 1;
            return (Pin::Other { txn: root.txn, tick }, root);
        };
        let slot = &self.slots[index];
        slot.since.store(tick, Ordering::Relaxed);
        let newest = published.txn.load(Ordering::Acquire);
        if let Some(root) = remembered.take().filter(|root| root.txn == newest) {
            meanwhile();
            slot.hold(newest);
            if published.txn.load(Ordering::Acquire) == newest {
                return (Pin::Slot(index), root);
            }
        }
        loop {
            let root = published.load_full();
            meanwhile();
            slot.hold(root.txn);
            if published.is(&root) {
                return (Pin::Slot(index), root);
            }
        }
    }

    /// A slot that is free, locked.
    fn find_free(&self) -> Option<(usize, MutexGuard<'_, Option<Arc<Root>>>)> {
        let first = first_choice();
        for n in 0..SLOTS {
            let index = (first + n) % SLOTS;
            let slot = &self.slots[index];
            if slot.pin.load(Ordering::Relaxed) != FREE {
                continue;
            }
            if let Some(remembered) = slot.remembered.try_lock()
                && slot.pin.load(Ordering::Relaxed) == FREE
            {
                // Before the number is stored, so that the writer's scan reaches it (its fence comes after).
                if self.used.load(Ordering::Relaxed) <= index {
                    self.used.fetch_max(index + 1, Ordering::Relaxed);
                }
                return Some((index, remembered));
            }
        }
        None
    }

    /// Lets go of a root.
    pub(super) fn unpin(&self, pin: Pin, root: Arc<Root>) {
        match pin {
            Pin::Slot(index) => {
                let slot = &self.slots[index];
                let mut remembered = slot.remembered.lock();
                *remembered = Some(root);
                slot.pin.store(FREE, Ordering::Release);
            }
            Pin::Other { txn, tick } => {
                let mut others = self.others.lock();
                if let Some(count) = others.get_mut(&(txn, tick)) {
                    *count -= 1;
                    if *count == 0 {
                        others.remove(&(txn, tick));
                    }
                }
            }
        }
    }

    fn taken(&self) -> impl Iterator<Item = (u64, &Slot)> {
        let used = self.used.load(Ordering::Relaxed).min(SLOTS);
        let pins = self.slots[..used].iter().map(|slot| (slot.pin.load(Ordering::Acquire), slot));
        pins.filter(|&(txn, _)| txn != FREE)
    }

    /// The transactions that readers pin, in no order, a transaction for each reader. Call it after the
    /// newest root has been published: see the module head.
    pub(super) fn pinned(&self) -> Vec<u64> {
        fence(Ordering::SeqCst);
        let mut pinned: Vec<u64> = self.taken().map(|(txn, _)| txn).collect();
        for (&(txn, _), &count) in self.others.lock().iter() {
            pinned.extend(std::iter::repeat_n(txn, count as usize));
        }
        pinned
    }

    /// How many ticks ago the reader came that is here longest.
    pub(super) fn oldest_age(&self) -> Option<u64> {
        let slots = self.taken().map(|(_, slot)| slot.since.load(Ordering::Relaxed)).min();
        let others = self.others.lock().keys().map(|&(_, tick)| tick).min();
        let oldest = slots.into_iter().chain(others).min()?;
        Some(self.tick.load(Ordering::Relaxed).saturating_sub(oldest))
    }
}

impl Slot {
    /// Steps 2 and 3 of the module head.
    fn hold(&self, txn: u64) {
        self.pin.store(txn, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(txn: u64) -> Root {
        Root { txn, mark: 0, trees: Vec::new() }
    }

    #[test]
    fn more_readers_than_slots_are_all_seen() {
        let (readers, published) = (Readers::new(), Published::new(root(7)));
        let mut pins: Vec<_> = (0..SLOTS + 10).map(|_| readers.pin(&published)).collect();
        assert_eq!(readers.pinned(), vec![7; SLOTS + 10]);
        published.store(Arc::new(root(8)));
        pins.push(readers.pin(&published));
        assert_eq!(readers.pinned().iter().filter(|&&txn| txn == 8).count(), 1);
        for (pin, root) in pins {
            readers.unpin(pin, root);
        }
        assert_eq!(readers.pinned(), []);
    }

    #[test]
    fn a_slot_gives_the_newest_root_and_not_the_one_it_remembers() {
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        for txn in 2..50 {
            let (pin, old) = readers.pin(&published);
            assert_eq!(old.txn, txn - 1);
            readers.unpin(pin, old);
            published.store(Arc::new(root(txn)));
        }
    }

    #[test]
    fn a_root_that_is_replaced_while_it_is_pinned_is_let_go() {
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        let mut publish = 2..5;
        let mut protected = Vec::new();
        let (pin, pinned) = readers.pin_slowly(&published, || {
            if let Some(txn) = publish.next() {
                published.store(Arc::new(root(txn)));
                protected.push(readers.pinned());
            }
        });
        assert_eq!(
            pinned.txn, 4,
            "the roots before it were not protected when they were replaced: {protected:?}"
        );
        assert_eq!(readers.pinned(), [4]);
        readers.unpin(pin, pinned);
    }

    #[test]
    fn the_age_of_the_oldest_reader_is_told() {
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        assert_eq!(readers.oldest_age(), None);
        let mut pins = Vec::new();
        for tick in 1..=SLOTS as u64 + 2 {
            readers.set_tick(tick * 100);
            pins.push(readers.pin(&published));
        }
        for (n, (pin, root)) in pins.into_iter().enumerate() {
            assert_eq!(readers.oldest_age(), Some((SLOTS as u64 + 1 - n as u64) * 100));
            readers.unpin(pin, root);
        }
        assert_eq!(readers.oldest_age(), None);
    }

    #[test]
    fn what_a_slot_remembers_is_not_counted_again() {
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        let (pin, first) = readers.pin(&published);
        let counted = Arc::strong_count(&first);
        readers.unpin(pin, first);
        for _ in 0..10 {
            let (pin, again) = readers.pin(&published);
            assert_eq!(Arc::strong_count(&again), counted);
            readers.unpin(pin, again);
        }
    }

    #[test]
    fn a_remembered_root_that_is_replaced_while_it_is_pinned_is_let_go() {
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        let (pin, first) = readers.pin(&published);
        readers.unpin(pin, first);
        let mut publish = Some(2);
        let (pin, pinned) = readers.pin_slowly(&published, || {
            if let Some(txn) = publish.take() {
                published.store(Arc::new(root(txn)));
                assert_eq!(readers.pinned(), []);
            }
        });
        assert_eq!((pinned.txn, readers.pinned()), (2, vec![2]));
        readers.unpin(pin, pinned);
    }

    /// Readers check that no page of their root has been handed out again; the writer hands out every page
    /// that the scan says is free.
    #[test]
    fn what_is_pinned_is_never_reused() {
        const ROOTS: usize = 400_000;
        let (readers, published) = (Readers::new(), Published::new(root(1)));
        let reused: Vec<AtomicU64> = (0..ROOTS + 2).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while done.load(Ordering::Relaxed) == 0 {
                        let (pin, root) = readers.pin(&published);
                        for _ in 0..20 {
                            assert_eq!(reused[root.txn as usize].load(Ordering::Relaxed), 0);
                        }
                        readers.unpin(pin, root);
                    }
                });
            }
            let mut old: Vec<u64> = vec![1];
            for txn in 2..ROOTS as u64 {
                published.store(Arc::new(root(txn)));
                let pinned = readers.pinned();
                old.retain(|txn| {
                    let keep = pinned.contains(txn);
                    if !keep {
                        reused[*txn as usize].store(1, Ordering::Relaxed);
                    }
                    keep
                });
                old.push(txn);
            }
            done.store(1, Ordering::Relaxed);
        });
    }
}
