//! Entry points for bytes that nobody vouches for: each takes anything and must come back, with an answer or an error.
//!
//! The fuzz targets (`engine/fuzz`) feed them, and so do the tests at the end with a few thousand inputs in every
//! ordinary run. What they reach is not part of the crate's interface, so this module is there for them alone. Whole
//! files go through the public interface and need nothing of this.
#![allow(clippy::unwrap_used)]

use crate::mvcc::fuzz::rows_come_back;
use crate::page::{Checked, Fault, LongKeys, META_BYTES, Meta, MetaSlot, Node, RunRef};

/// Long keys are not there, or all the same.
struct NoRuns<'a>(Option<&'a [u8]>);

impl LongKeys for NoRuns<'_> {
    fn long_key(&self, _tree: u8, run: &RunRef) -> Checked<&[u8]> {
        self.0.ok_or_else(|| Fault::page(run.page, "there are no runs here"))
    }
}

/// The page decoder: everything that can be asked of a leaf or a branch, sound or not. The page is as long as the
/// input, cut to the largest possible page.
pub fn page(bytes: &[u8]) {
    let Some(size) = [512, 4096, 65536].into_iter().rfind(|&size| size <= bytes.len()) else {
        return;
    };
    let (page, rest) = bytes.split_at(size);
    let node = Node::of(page).unwrap();
    let sound = node.validate().is_ok();
    let _ = node.expect(node.tree(), node.level(), node.number());
    let used = node.used();
    assert!(!sound || used.is_ok_and(|used| used <= size), "a sound page knows what it holds");
    for slot in (0..node.count() + 2).take(4000) {
        let answers = [
            node.entry(slot).map(|cell| cell.size).is_ok(),
            node.cell(slot).is_ok(),
            node.inline_key(slot).is_ok(),
            node.head(slot).is_ok(),
        ];
        let _ = (node.child(slot), node.separator(slot).map(|s| s.inline.len()));
        let inside = slot < node.count();
        assert!(inside || answers == [false; 4], "there is nothing behind the last slot");
        let kept = if node.is_leaf() { &answers[..] } else { &answers[1..] };
        assert!(!(sound && inside) || kept.iter().all(|ok| *ok), "a sound page gives all that it has");
    }
    let key = &rest[..rest.len().min(80)];
    for runs in [NoRuns(None), NoRuns(Some(key)), NoRuns(Some(b"zzzzzzzz"))] {
        for key in [&b""[..], b"k", key, &page[page.len() - 40..], &[0xff; 70]] {
            if let Ok((slot, _)) = node.lower_bound(key, &runs) {
                assert!(slot <= node.count().max(1), "a slot is a slot");
            }
            if node.is_leaf() {
                if let Ok(slots) = node.slots_for(key) {
                    let found = node.find_among(slots, key, &runs);
                    assert!(slots.1 <= node.count() && (!sound || found.is_ok() || runs.0.is_none()));
                }
            } else if sound && let Ok(slot) = node.child_for(key, &runs) {
                assert!(slot < node.count(), "a child is a child");
            }
        }
    }
}

/// The decoder of meta pages, with the checksum as it comes and with a right one.
pub fn meta(bytes: &[u8]) {
    let _ = Meta::decode(bytes);
    let mut page = bytes.to_vec();
    page.resize(META_BYTES, 0);
    page[..8].copy_from_slice(b"HOLDFAST");
    let sum = crate::page::checksum(&page[..META_BYTES - 8]);
    page[META_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    if let MetaSlot::Valid(meta) = Meta::decode(&page) {
        let again = Meta::decode(&meta.encode());
        assert_eq!(again, MetaSlot::Valid(meta), "what is read can be written");
    }
}

/// The decoders of the store's rows: what can be read comes back when it is written.
pub fn rows(bytes: &[u8]) {
    rows_come_back(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::{Cell, Child, PageBuf};

    /// A leaf or a branch with some cells in it.
    fn sound_page(leaf: bool, size: usize, cells: usize) -> Vec<u8> {
        let mut page = PageBuf::empty(vec![0; size].into_boxed_slice(), 1, u8::from(!leaf));
        for n in 0..cells {
            let key = format!("/registry/{n:04}").into_bytes();
            let long = RunRef { page: 9, checksum: 1, txn: 2, key_bytes: 300, value_bytes: 0 };
            let appended = if leaf && n % 5 == 4 {
                let run = RunRef { value_bytes: 5000, key_bytes: key.len() as u32, ..long };
                page.append(&Cell { fixed: &Cell::entry_in_run(&key, &run, 7), key: &key, value: &[] })
            } else if leaf {
                page.append(&Cell { fixed: &Cell::entry(&key, &[1; 9]), key: &key, value: &[1; 9] })
            } else {
                let child = Child { page: 20 + n as u64, checksum: 3, count: 4, stamp: 5 };
                let key = if n == 0 { &[][..] } else { &key };
                let long = (n % 4 == 3).then_some(&long);
                page.append(&Cell { fixed: &Cell::child(&child, key, long), key, value: &[] })
            };
            if !appended {
                break;
            }
        }
        page.settle().unwrap();
        page.set_place(8, 3);
        page.into_bytes().into_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        #[test]
        fn a_page_that_was_sound(
            leaf: bool,
            large: bool,
            cells in 1_usize..60,
            changes in prop::collection::vec((any::<u16>(), any::<u8>(), 0_u8..4), 0..5),
            rest in prop::collection::vec(any::<u8>(), 0..90),
        ) {
            let mut bytes = sound_page(leaf, if large { 4096 } else { 512 }, cells);
            if changes.is_empty() {
                Node::of(&bytes).unwrap().validate().unwrap();
            }
            for (at, value, part) in changes {
                // Headers and slots are where damage does most.
                let range = [32, 120, bytes.len(), bytes.len()][part as usize];
                bytes[at as usize % range] = value;
            }
            bytes.extend(rest);
            page(&bytes);
        }

        #[test]
        fn any_page(mut bytes in prop::collection::vec(any::<u8>(), 512..600), leaf: bool) {
            bytes[0] = 3 - u8::from(leaf);
            page(&bytes);
        }

        #[test]
        fn any_meta_page(bytes in prop::collection::vec(any::<u8>(), 0..600), trees in 0_u8..70) {
            let mut bytes = bytes;
            bytes.resize(4096, 0);
            bytes[8..16].copy_from_slice(&[1, 0, 0, 0, 0, 16, 0, 0]);
            bytes[48..52].copy_from_slice(&[trees, 0, 0, 0]);
            meta(&bytes);
        }

        #[test]
        fn any_row(bytes: Vec<u8>) {
            rows(&bytes);
        }
    }
}
