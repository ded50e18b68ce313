//! The thread that hashes what a compaction is about to remove.
//!
//! etcd hashes it in the loop that removes it, under the lock of every write. Here the hash is a walk of its own, over
//! published states; it holds back the removal of what it has not passed, and no write. It rests half as long as it
//! works, so that it leaves something of its core to the requests.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use holdfast_engine::mvcc::{CompactionSpan, HashWalk, MvccError, Store};

use super::holds::HASH_TICKS;
use super::shared::Shared;

/// Hands compactions to the thread.
pub(super) struct CompactionHasher {
    store: Store,
    walks: Sender<HashWalk>,
}

impl CompactionHasher {
    /// Starts the thread. It ends when the handle is dropped, in the middle of a walk if there is one.
    pub(super) fn start(store: Store, shared: &Arc<Shared>) -> std::io::Result<(Self, JoinHandle<()>)> {
        // A compaction is hashed only if the one before is complete, which it is not before its hash: one place is
        // enough but for a walk that has just passed its limit.
        let (walks, waiting) = bounded(1);
        let failing = Arc::clone(shared);
        let thread = super::start::spawn("compaction-hash", shared, move || run(&waiting, &failing))?;
        Ok((Self { store, walks }, thread))
    }

    /// A compaction was published, and no step of it has been made.
    pub(super) fn compaction(&self, span: CompactionSpan) -> Result<(), MvccError> {
        let walk = self.store.hash_compaction(span, HASH_TICKS)?;
        if let Err(TrySendError::Full(_)) = self.walks.try_send(walk) {
            tracing::warn!(
                "compact-revision" = span.to,
                "the hash of the compaction before is not done; this one has none"
            );
        }
        Ok(())
    }
}

fn run(waiting: &Receiver<HashWalk>, shared: &Shared) {
    let mut next = waiting.recv().ok();
    while let Some(mut walk) = next.take() {
        loop {
            let begun = Instant::now();
            match walk.step() {
                Ok(None) => {}
                Ok(Some(hash)) => {
                    tracing::info!(
                        hash = hash.hash,
                        revision = hash.hash_revision,
                        "compact-revision" = hash.compact_revision,
                        "storing new hash"
                    );
                    break;
                }
                Err(MvccError::Outlived { revision }) => {
                    tracing::warn!(revision, "hashing a compaction took too long; it has no hash");
                    break;
                }
                Err(error) => return shared.fail(error.to_string()),
            }
            if next.is_none() {
                match waiting.try_recv() {
                    Ok(walk) => next = Some(walk),
                    Err(TryRecvError::Empty) => {}
                    // The member stops.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            std::thread::sleep(begun.elapsed() / 2);
        }
        drop(walk);
        if next.is_none() {
            next = waiting.recv().ok();
        }
    }
}
