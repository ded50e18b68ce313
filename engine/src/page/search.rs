//! Finding a key in a page.
//!
//! The prefix that all keys share is compared once; then the heads in the slots decide, and only where a
//! head is equal to that of the key sought is a cell looked at. A key that goes on in an overflow run is
//! fetched only when all that stands in the cell is equal.

use std::cmp::Ordering;

use super::{Checked, Node, RunRef, Separator, key_head};

/// Whoever can fetch the whole of a long key.
pub(crate) trait LongKeys {
    /// The key held by an overflow run of this tree.
    fn long_key(&self, tree: u8, run: &RunRef) -> Checked<&[u8]>;
}

impl Node<'_> {
    /// The first slot whose key is at or after `key`, and whether it is equal. Slots without a key (the
    /// first of a branch) do not take part.
    #[inline]
    pub(crate) fn lower_bound(self, key: &[u8], keys: &impl LongKeys) -> Checked<(usize, bool)> {
        let (first, count) = (self.first_keyed(), self.count());
        if first >= count {
            return Ok((first, false));
        }
        let prefix_bytes = self.prefix_bytes();
        if prefix_bytes > 0 {
            let any = self.inline_key(first)?.inline;
            let prefix =
                any.get(..prefix_bytes).ok_or_else(|| self.fault("a key is shorter than its prefix"))?;
            match key.get(..prefix_bytes).unwrap_or(key).cmp(prefix) {
                Ordering::Less => return Ok((first, false)),
                Ordering::Greater => return Ok((count, false)),
                Ordering::Equal => {}
            }
        }
        let head = key_head(&key[prefix_bytes..]);
        let (mut low, mut high) = (first, count);
        while low < high {
            let middle = usize::midpoint(low, high);
            let (slot_head, at) = self.slot(middle)?;
            let order = match slot_head.cmp(&head) {
                Ordering::Equal => compare(self.tree(), self.inline_key_at(at)?, key, keys)?,
                order => order,
            };
            match order {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok((middle, true)),
            }
        }
        Ok((low, false))
    }

    /// The slot of `key` in a leaf, if it has it. Looks at one cell less than [`Node::lower_bound`]: whether
    /// the prefix is equal shows when the whole key is compared, and if it is not, any slot is wrong.
    #[inline]
    pub(crate) fn find(self, key: &[u8], keys: &impl LongKeys) -> Checked<Option<usize>> {
        let Some(rest) = key.get(self.prefix_bytes()..) else {
            return Ok(None);
        };
        let head = key_head(rest);
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            let (slot_head, at) = self.slot(middle)?;
            let order = match slot_head.cmp(&head) {
                Ordering::Equal => compare(self.tree(), self.inline_key_at(at)?, key, keys)?,
                order => order,
            };
            match order {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(middle)),
            }
        }
        Ok(None)
    }

    /// The child of a branch whose keys include `key`.
    #[inline]
    pub(crate) fn child_for(self, key: &[u8], keys: &impl LongKeys) -> Checked<usize> {
        let (slot, equal) = self.lower_bound(key, keys)?;
        Ok(if equal { slot } else { slot - 1 })
    }
}

/// Compares a stored key with `key`.
#[inline]
fn compare(tree: u8, stored: Separator<'_>, key: &[u8], keys: &impl LongKeys) -> Checked<Ordering> {
    let Some(run) = stored.long else {
        return Ok(stored.inline.cmp(key));
    };
    let Some((front, rest)) = key.split_at_checked(stored.inline.len()) else {
        // The key ends before the stored front does, so equality is out of the question.
        return Ok(stored.inline.cmp(key));
    };
    match stored.inline.cmp(front) {
        Ordering::Equal if rest.is_empty() => Ok(Ordering::Greater),
        Ordering::Equal => Ok(keys.long_key(tree, &run)?.cmp(key)),
        order => Ok(order),
    }
}
