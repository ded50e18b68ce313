//! Pinning a root: how readers and the writer agree, without a lock, on which pages are still needed.
//!
//! The published root is an [`ArcSwap`]; the memory that describes it is kept alive by its `Arc`. What must
//! be agreed on is the *pages* it leads to, which the writer wants to use again. A reader therefore holds a
//! slot with the number of the transaction it reads.
//!
//! Reader, to pin:
//!
//! 1. claims a slot: `FREE` → `CLAIMED`, by compare-and-swap;
//! 2. loads the published root, R, and stores R's number in the slot;
//! 3. fence (sequentially consistent);
//! 4. loads the published root again. Is it still R, the pin holds; if not, it goes back to 2.
//!
//! Writer, after publishing N and before it reuses a page that N no longer needs:
//!
//! 1. swaps the published root to N;
//! 2. fence (sequentially consistent);
//! 3. reads all slots. Every number found is protected.
//!
//! Suppose a reader pins R, older than N, and the writer misses it. The two fences are in some order. If
//! the reader's is first, its store of step 2 is visible to the writer's step 3, which therefore did not
//! miss it. If the writer's is first, the swap to N is visible to the reader's step 4, which therefore did
//! not find R. Both contradict. A slot that is `CLAIMED` may be passed over: its reader has yet to store a
//! number, and its step 4 comes after the writer's fence by the same argument, or its store was seen.
//!
//! Release: the reader stores `FREE` with release ordering, and the writer reads slots with acquire
//! ordering. So what the reader read from a page happened before what the writer puts there next.
//!
//! A slot remembers the `Arc` of the root that was last read through it. As long as nothing is published,
//! readers that use different slots share no memory that anybody writes to, not even a reference count.
//!
//! When all slots are taken, a reader registers in a map under a lock. It loads the root while it holds the
//! lock, and the writer takes the same lock after its swap: whichever comes first, the writer sees the
//! reader or the reader sees N.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::root::Root;

const SLOTS: usize = 128;
const FREE: u64 = u64::MAX;
const CLAIMED: u64 = u64::MAX - 1;

/// One reader's pin. Two cache lines wide, because processors fetch lines in pairs.
#[repr(align(128))]
struct Slot {
    pin: AtomicU64,
    /// The root last read through this slot. Only who has claimed the slot locks it.
    remembered: Mutex<Option<Arc<Root>>>,
}

/// All pins.
pub(super) struct Readers {
    slots: Box<[Slot]>,
    /// No slot from here on has ever been claimed.
    used: AtomicUsize,
    /// Transaction to number of readers, for those who found no slot.
    others: Mutex<BTreeMap<u64, u64>>,
}

/// Where a pin is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    Slot(usize),
    Other(u64),
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
        let slot = || Slot { pin: AtomicU64::new(FREE), remembered: Mutex::new(None) };
        Self {
            slots: (0..SLOTS).map(|_| slot()).collect(),
            used: AtomicUsize::new(0),
            others: Mutex::new(BTreeMap::new()),
        }
    }

    /// Pins the published root.
    pub(super) fn pin(&self, published: &ArcSwap<Root>) -> (Pin, Arc<Root>) {
        self.pin_slowly(published, || {})
    }

    /// Like [`Readers::pin`]; a test has something happen between loading a root and pinning it.
    #[inline]
    fn pin_slowly(&self, published: &ArcSwap<Root>, mut meanwhile: impl FnMut()) -> (Pin, Arc<Root>) {
        let Some(index) = self.claim() else {
            let mut others = self.others.lock();
            let root = published.load_full();
            *others.entry(root.txn).or_insert(0) += 1;
            return (Pin::Other(root.txn), root);
        };
        let slot = &self.slots[index];
        let mut root = slot.remembered.lock().take();
        loop {
            let newest = published.load();
            let candidate = match root.take() {
                Some(root) if Arc::ptr_eq(&root, &newest) => root,
                _ => Arc::clone(&newest),
            };
            meanwhile();
            slot.pin.store(candidate.txn, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if Arc::ptr_eq(&candidate, &published.load()) {
                return (Pin::Slot(index), candidate);
            }
            root = Some(candidate);
        }
    }

    fn claim(&self) -> Option<usize> {
        let first = first_choice();
        for n in 0..SLOTS {
            let index = (first + n) % SLOTS;
            let pin = &self.slots[index].pin;
            if pin.load(Ordering::Relaxed) == FREE {
                // Before the slot is claimed, so that the writer's scan reaches it (its fence comes after).
                if self.used.load(Ordering::Relaxed) <= index {
                    self.used.fetch_max(index + 1, Ordering::Relaxed);
                }
                if pin.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Lets go of a root.
    pub(super) fn unpin(&self, pin: Pin, root: &Arc<Root>) {
        match pin {
            Pin::Slot(index) => {
                let slot = &self.slots[index];
                *slot.remembered.lock() = Some(Arc::clone(root));
                slot.pin.store(FREE, Ordering::Release);
            }
            Pin::Other(txn) => {
                let mut others = self.others.lock();
                if let Some(count) = others.get_mut(&txn) {
                    *count -= 1;
                    if *count == 0 {
                        others.remove(&txn);
                    }
                }
            }
        }
    }

    /// The transactions that readers pin, in no order, a transaction for each reader. Call it after the
    /// newest root has been published: see the module head.
    pub(super) fn pinned(&self) -> Vec<u64> {
        fence(Ordering::SeqCst);
        let used = self.used.load(Ordering::Relaxed).min(SLOTS);
        let mut pinned: Vec<u64> = self.slots[..used]
            .iter()
            .map(|slot| slot.pin.load(Ordering::Acquire))
            .filter(|&txn| txn < CLAIMED)
            .collect();
        for (&txn, &count) in self.others.lock().iter() {
            pinned.extend(std::iter::repeat_n(txn, count as usize));
        }
        pinned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(txn: u64) -> Arc<Root> {
        Arc::new(Root { txn, mark: 0, trees: Vec::new() })
    }

    #[test]
    fn more_readers_than_slots_are_all_seen() {
        let (readers, published) = (Readers::new(), ArcSwap::new(root(7)));
        let mut pins: Vec<_> = (0..SLOTS + 10).map(|_| readers.pin(&published)).collect();
        assert_eq!(readers.pinned(), vec![7; SLOTS + 10]);
        published.store(root(8));
        pins.push(readers.pin(&published));
        assert_eq!(readers.pinned().iter().filter(|&&txn| txn == 8).count(), 1);
        for (pin, root) in pins {
            readers.unpin(pin, &root);
        }
        assert_eq!(readers.pinned(), []);
    }

    #[test]
    fn a_slot_gives_the_newest_root_and_not_the_one_it_remembers() {
        let (readers, published) = (Readers::new(), ArcSwap::new(root(1)));
        for txn in 2..50 {
            let (pin, old) = readers.pin(&published);
            assert_eq!(old.txn, txn - 1);
            readers.unpin(pin, &old);
            published.store(root(txn));
        }
    }

    #[test]
    fn a_root_that_is_replaced_while_it_is_pinned_is_let_go() {
        let (readers, published) = (Readers::new(), ArcSwap::new(root(1)));
        let mut publish = 2..5;
        let mut protected = Vec::new();
        let (pin, pinned) = readers.pin_slowly(&published, || {
            if let Some(txn) = publish.next() {
                published.store(root(txn));
                protected.push(readers.pinned());
            }
        });
        assert_eq!(
            pinned.txn, 4,
            "the roots before it were not protected when they were replaced: {protected:?}"
        );
        assert_eq!(readers.pinned(), [4]);
        readers.unpin(pin, &pinned);
    }

    /// Readers check that no page of their root has been handed out again; the writer hands out every page
    /// that the scan says is free.
    #[test]
    fn what_is_pinned_is_never_reused() {
        const ROOTS: usize = 400_000;
        let (readers, published) = (Readers::new(), ArcSwap::new(root(1)));
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
                        readers.unpin(pin, &root);
                    }
                });
            }
            let mut old: Vec<u64> = vec![1];
            for txn in 2..ROOTS as u64 {
                published.store(root(txn));
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
