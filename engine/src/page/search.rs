//! Finding a key in a page.
//!
//! The heads in the slots decide, and only where a head is equal to that of the key sought is a cell looked
//! at; whether the key has the prefix that all keys of the page share is seen last, in a cell that is touched
//! anyway. A key that goes on in an overflow run is fetched only when all that stands in the cell is equal.

use std::cmp::Ordering;

use super::{Checked, KEY_HEAD_BYTES, LeafCell, Node, RunRef, Separator, key_head};

/// Whoever can fetch the whole of a long key.
pub(crate) trait LongKeys {
    /// The key held by an overflow run of this tree.
    fn long_key(&self, tree: u8, run: &RunRef) -> Checked<&[u8]>;
}

impl<'a> Node<'a> {
    /// The first slot whose key is at or after `key`, and whether it is equal. Slots without a key (the
    /// first of a branch) do not take part.
    #[inline]
    pub(crate) fn lower_bound(self, key: &[u8], keys: &impl LongKeys) -> Checked<(usize, bool)> {
        let (first, count) = (self.first_keyed(), self.count());
        if first >= count {
            return Ok((first, false));
        }
        let slot = match key.get(self.prefix_bytes()..) {
            Some(rest) => match self.search(first, key, rest, keys)? {
                (slot, true) => return Ok((slot, true)),
                (slot, false) => slot,
            },
            None => first,
        };
        // Whether the key has the prefix at all is seen in the cell that the caller is most likely to want.
        let witness = self.inline_key(slot.saturating_sub(1).max(first))?.inline;
        let prefix = witness.get(..self.prefix_bytes());
        let prefix = prefix.ok_or_else(|| self.fault("a key is shorter than the prefix of its page"))?;
        Ok(match key.get(..prefix.len()).unwrap_or(key).cmp(prefix) {
            Ordering::Less => (first, false),
            Ordering::Equal => (slot, false),
            Ordering::Greater => (count, false),
        })
    }

    /// Searches the slots from `first` on for a key that is taken to have the page's prefix, and goes on with
    /// `rest`.
    #[inline]
    fn search(self, first: usize, key: &[u8], rest: &[u8], keys: &impl LongKeys) -> Checked<(usize, bool)> {
        let (mut low, mut high) = self.slots_of_head(first, rest)?;
        while low < high {
            let middle = usize::midpoint(low, high);
            match compare(self.tree(), self.inline_key_at(self.place(middle)?)?, key, keys)? {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok((middle, true)),
            }
        }
        Ok((low, false))
    }

    /// The slots from `first` on whose heads are that of `rest`: the first one, and the one behind the last.
    #[inline]
    fn slots_of_head(self, first: usize, rest: &[u8]) -> Checked<(usize, usize)> {
        let heads = self.heads()?.get(first..).ok_or_else(|| self.fault("its slots lie outside it"))?;
        let (less, equal) = count_heads(heads, key_head(rest));
        Ok((first + less, first + less + equal))
    }

    /// The slots of a leaf that alone may hold `key`: the first one, and the one behind the last. Whether the
    /// key has the page's prefix is not looked at: that shows when the whole key is compared.
    #[inline]
    pub(crate) fn slots_for(self, key: &[u8]) -> Checked<(usize, usize)> {
        match key.get(self.prefix_bytes()..) {
            Some(rest) => self.slots_of_head(0, rest),
            None => Ok((0, 0)),
        }
    }

    /// The entry of `key` in a leaf, if it is in one of the slots that [`Node::slots_for`] names.
    #[inline]
    pub(crate) fn find_among(
        self,
        (mut low, mut high): (usize, usize),
        key: &[u8],
        keys: &impl LongKeys,
    ) -> Checked<Option<LeafCell<'a>>> {
        while low < high {
            let middle = usize::midpoint(low, high);
            let cell = self.entry(middle)?;
            let stored = Separator { inline: cell.inline, long: cell.long() };
            match compare(self.tree(), stored, key, keys)? {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(cell)),
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

/// How many of the ascending heads are less than `head`, and how many are equal to it.
///
/// Halving would wait for one cache line after the other and mispredict every other turn. So the last head of
/// every block is looked at, which asks for all lines at once and takes no branch, and then every head of one
/// block. The last block is moved forward to be a whole one.
#[inline]
fn count_heads(heads: &[[u8; KEY_HEAD_BYTES]], head: u32) -> (usize, usize) {
    const BLOCK: usize = 8;
    /// More heads than this, which only large pages have, are halved first.
    const ALL: usize = 256;
    let value = |bytes: &[u8; KEY_HEAD_BYTES]| u32::from_le_bytes(*bytes);
    let less = if heads.len() > ALL {
        heads.partition_point(|h| value(h) < head)
    } else if let Some(last) = heads.len().checked_sub(BLOCK) {
        let ends = heads.as_chunks::<BLOCK>().0.iter().map(|block| &block[BLOCK - 1]);
        let blocks: usize = ends.map(|end| usize::from(value(end) < head)).sum();
        let from = last.min(blocks * BLOCK);
        let block = heads[from..].first_chunk::<BLOCK>().expect("the last block begins at `last`");
        from + block.iter().map(|h| u32::from(value(h) < head)).sum::<u32>() as usize
    } else {
        heads.iter().map(|h| usize::from(value(h) < head)).sum()
    };
    (less, heads[less..].iter().take_while(|h| value(h) == head).count())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_right_however_many_there_are() {
        for count in (0..300_u32).step_by(7) {
            // Ascending, each value up to three times, some beyond the sign bit.
            let values: Vec<u32> = (0..count).map(|n| (n / 3) * 20_000_000).collect();
            let heads: Vec<_> = values.iter().map(|v| v.to_le_bytes()).collect();
            for sought in values.iter().flat_map(|&v| [v, v + 1]).chain([0, u32::MAX]) {
                let less = values.iter().filter(|&&v| v < sought).count();
                let equal = values.iter().filter(|&&v| v == sought).count();
                assert_eq!(count_heads(&heads, sought), (less, equal));
            }
        }
    }
}
