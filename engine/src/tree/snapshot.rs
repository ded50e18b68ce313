//! A pinned root.

use std::sync::Arc;

use super::cursor::Cursor;
use super::db::Shared;
use super::pages::Reader;
use super::read::TreeView;
use super::readers::{Pin, Seat, Seats};
use super::root::Root;
use super::{TreeId, TreeRead};
use crate::error::EngineError;

/// One published root, which stays readable for as long as this lives. Its pages cannot be used again
/// until then, so a snapshot should not be kept for long.
pub struct Snapshot {
    seat: Arc<Seat>,
    /// Always there until the snapshot is dropped.
    root: Option<Arc<Root>>,
    pin: Pin,
}

const HAS_ROOT: &str = "a snapshot has its root for as long as it lives";

impl Snapshot {
    pub(super) fn new(shared: &Arc<Shared>, seats: &Seats) -> Self {
        let (pin, root) = shared.readers.pin(&shared.published);
        Self { seat: seats.take(pin, shared), root: Some(root), pin }
    }

    /// Number of the pinned transaction.
    pub fn txn(&self) -> u64 {
        self.root().txn
    }

    #[inline]
    pub(crate) fn root(&self) -> &Root {
        self.root.as_ref().expect(HAS_ROOT)
    }

    #[inline]
    fn view(&self, tree: TreeId) -> TreeView<'_> {
        let shared = &self.seat.shared;
        let place = shared.places[tree.0 as usize];
        let reader = Reader { pages: &shared.pages, dirty: None };
        TreeView { reader, tree: place as u8 + 1, root: self.root().trees[place] }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            self.seat.shared.readers.unpin(self.pin, root);
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("txn", &self.root().txn)
            .field("mark", &self.root().mark)
            .finish_non_exhaustive()
    }
}

impl TreeRead for Snapshot {
    fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<&[u8]>, EngineError> {
        self.view(tree).get(key)
    }

    fn get_each<'s, K: AsRef<[u8]>>(
        &'s self,
        tree: TreeId,
        keys: &[K],
        found: impl FnMut(usize, Option<&'s [u8]>),
    ) -> Result<(), EngineError> {
        self.view(tree).get_each(keys, found)
    }

    fn cursor(&self, tree: TreeId) -> Cursor<'_> {
        Cursor::new(self.view(tree), self.seat.shared.specs[tree.0 as usize].stamp)
    }

    fn len(&self, tree: TreeId) -> u64 {
        self.view(tree).root.count
    }

    fn count(&self, tree: TreeId, from: &[u8], to: Option<&[u8]>) -> Result<u64, EngineError> {
        self.view(tree).count(from, to)
    }

    fn mark(&self) -> u64 {
        self.root().mark
    }
}
