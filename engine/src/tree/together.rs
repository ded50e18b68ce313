//! Looking up many keys together.
//!
//! A look-up waits for memory twice at each level: for the front of the page, and then for the cell that the front
//! names. One alone can do no better, because each step follows from the one before. But several can wait together: a
//! group goes down the tree in step. At each level all of them search their page and ask for the cell they found; then
//! all of them read their cell and ask for the page below; and only then does anybody look at it.

use super::read::{ENTRY_LINES, TreeView};
use crate::error::EngineError;
use crate::page::{Checked, Fault, Node};

/// So many misses are about what a core can have on the way at once; twice as many measured no better.
const GROUP: usize = 16;

impl<'a> TreeView<'a> {
    /// Gives the value of each key to `found`, with the key's place among `keys`, in their order.
    pub(super) fn get_each<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        mut found: impl FnMut(usize, Option<&'a [u8]>),
    ) -> Result<(), EngineError> {
        let mut values = [None; GROUP];
        for (n, group) in keys.chunks(GROUP).enumerate() {
            self.get_group(group, &mut values)
                .map_err(|(i, fault)| self.explain(group[i].as_ref(), fault))?;
            for (i, value) in values[..group.len()].iter().enumerate() {
                found(n * GROUP + i, *value);
            }
        }
        Ok(())
    }

    /// Looks up at most [`GROUP`] keys. A fault comes with the place of the key that met it.
    fn get_group<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        values: &mut [Option<&'a [u8]>; GROUP],
    ) -> Result<(), (usize, Fault)> {
        let Some((top, level)) = self.top().map_err(|fault| (0, fault))? else {
            values.fill(None);
            return Ok(());
        };
        let (mut nodes, mut slots) = ([top; GROUP], [0; GROUP]);
        for level in (1..=level).rev() {
            for (i, key) in keys.iter().enumerate() {
                let slot = nodes[i].child_for(key.as_ref(), &self.reader).map_err(|fault| (i, fault))?;
                nodes[i].prefetch_cell(slot, 1);
                slots[i] = slot;
            }
            for i in 0..keys.len() {
                let page = nodes[i].child_page(slots[i]).map_err(|fault| (i, fault))?;
                self.reader.prefetch(page, level - 1);
            }
            for i in 0..keys.len() {
                nodes[i] = self.descend(nodes[i], level, slots[i]).map_err(|fault| (i, fault))?;
            }
        }
        self.find_in_leaves(keys, &nodes, values)
    }

    fn find_in_leaves<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        leaves: &[Node<'a>; GROUP],
        values: &mut [Option<&'a [u8]>; GROUP],
    ) -> Result<(), (usize, Fault)> {
        let mut slots = [(0, 0); GROUP];
        for (i, key) in keys.iter().enumerate() {
            slots[i] = leaves[i].slots_for(key.as_ref()).map_err(|fault| (i, fault))?;
            if slots[i].0 < slots[i].1 {
                leaves[i].prefetch_cell(slots[i].0, ENTRY_LINES);
            }
        }
        for (i, key) in keys.iter().enumerate() {
            values[i] = self.value_among(leaves[i], slots[i], key.as_ref()).map_err(|fault| (i, fault))?;
        }
        Ok(())
    }

    fn value_among(&self, leaf: Node<'a>, slots: (usize, usize), key: &[u8]) -> Checked<Option<&'a [u8]>> {
        match leaf.find_among(slots, key, &self.reader)? {
            Some(cell) => self.value(&cell).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::GROUP;
    use crate::file::MemFile;
    use crate::tree::{Db, DbOptions, TreeId, TreeRead, TreeSpec};

    static SPECS: &[TreeSpec] = &[TreeSpec { name: "one", stamp: |_, _| 0 }];
    const ONE: TreeId = TreeId(0);

    fn open(page_size: u32) -> Db {
        let options = DbOptions { page_size, reserve_bytes: 1 << 26, ..DbOptions::default() };
        Db::open(Arc::new(MemFile::new()), SPECS, options).unwrap()
    }

    /// Keys of all lengths, some longer than what a cell holds.
    fn key(n: u32) -> Vec<u8> {
        let mut key = format!("{:05}", n.wrapping_mul(7919) % 50_021).into_bytes();
        key.resize(5 + if n.is_multiple_of(17) { 200 } else { n as usize % 11 }, b'k');
        key
    }

    fn check(root: &impl TreeRead, keys: &[Vec<u8>]) {
        let mut given = 0;
        root.get_each(ONE, keys, |i, value| {
            assert_eq!(i, given, "in the order of the keys");
            assert_eq!(value, root.get(ONE, &keys[i]).unwrap());
            given += 1;
        })
        .unwrap();
        assert_eq!(given, keys.len());
    }

    #[test]
    fn it_finds_what_single_look_ups_find() {
        let db = open(512);
        check(&db.snapshot(), &[key(1), key(2)]);
        let mut txn = db.write();
        for n in (0..3000).filter(|n| n % 3 != 0) {
            txn.put(ONE, &key(n), &vec![n as u8; n as usize % 300]).unwrap();
        }
        // Some keys are there and some are not; every length of the last group.
        let keys: Vec<Vec<u8>> = (0..3000).map(key).collect();
        for count in 0..=2 * GROUP + 1 {
            check(&txn, &keys[count * 40..count * 41]);
        }
        check(&txn, &keys);
        txn.publish().unwrap();
        check(&db.snapshot(), &keys);
    }
}
