//! Ranges in a balanced tree, found by a key inside them.
//!
//! An AVL tree ordered by range, in which every node also knows the range below it that reaches farthest (an *interval
//! tree*: Cormen, Leiserson, Rivest, Stein, *Introduction to Algorithms*, §14.3). A look-up leaves out whatever ends
//! before its key and whatever begins after it. Watchers of the same range share a node.
//!
//! The balance is kept by heights and not by chance: clients choose the ranges, and must not be able to make the tree
//! deep, since the walks here recurse. With 2^32 nodes it is at most 46 high.

use std::cmp::Ordering;

use super::range::{Until, WatchRange};
use super::slab::Key;

/// No node.
const NIL: u32 = u32::MAX;

struct Node {
    range: WatchRange,
    watchers: Vec<Key>,
    left: u32,
    right: u32,
    /// Of the tree below and with this node: a leaf has 1.
    height: u8,
    /// The node in this tree whose range reaches farthest.
    farthest: u32,
}

/// Watchers by range.
pub(super) struct IntervalTree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
}

impl IntervalTree {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NIL }
    }

    /// The list of watchers of `range`, which is made if there is none.
    pub(super) fn list(&mut self, range: &WatchRange) -> &mut Vec<Key> {
        let node = match self.find(range) {
            NIL => {
                let new = self.allocate(range.clone());
                self.root = self.insert_below(self.root, new);
                new
            }
            node => node,
        };
        &mut self.nodes[node as usize].watchers
    }

    /// Forgets `range` if its list is empty.
    pub(super) fn prune(&mut self, range: &WatchRange) {
        let node = self.find(range);
        if node != NIL && self.nodes[node as usize].watchers.is_empty() {
            self.root = self.remove_below(self.root, range);
            let gone = &mut self.nodes[node as usize];
            gone.watchers = Vec::new();
            gone.range = WatchRange { from: [].into(), until: Until::First };
            self.free.push(node);
        }
    }

    /// Calls `visit` with the watchers of each range that contains `key`.
    pub(super) fn visit(&self, key: &[u8], visit: &mut impl FnMut(&[Key])) {
        self.visit_below(self.root, key, visit);
    }

    fn visit_below(&self, at: u32, key: &[u8], visit: &mut impl FnMut(&[Key])) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        let farthest = &self.nodes[node.farthest as usize].range;
        if !(key < &*farthest.from || farthest.until.reaches(&farthest.from, key)) {
            return;
        }
        self.visit_below(node.left, key, visit);
        if key >= &*node.range.from {
            if node.range.until.reaches(&node.range.from, key) {
                visit(&node.watchers);
            }
            self.visit_below(node.right, key, visit);
        }
    }

    fn find(&self, range: &WatchRange) -> u32 {
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            at = match range.cmp(&node.range) {
                Ordering::Less => node.left,
                Ordering::Equal => return at,
                Ordering::Greater => node.right,
            };
        }
        NIL
    }

    fn allocate(&mut self, range: WatchRange) -> u32 {
        let node = Node { range, watchers: Vec::new(), left: NIL, right: NIL, height: 1, farthest: NIL };
        let at = if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            at
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 ranges fit in memory")
        };
        self.nodes[at as usize].farthest = at;
        at
    }

    /// Puts a node into the tree at `at`; returns the root of the tree afterwards. So do the functions below.
    fn insert_below(&mut self, at: u32, new: u32) -> u32 {
        if at == NIL {
            return new;
        }
        if self.nodes[new as usize].range < self.nodes[at as usize].range {
            let left = self.insert_below(self.nodes[at as usize].left, new);
            self.nodes[at as usize].left = left;
        } else {
            let right = self.insert_below(self.nodes[at as usize].right, new);
            self.nodes[at as usize].right = right;
        }
        self.balance(at)
    }

    /// Unlinks the node of `range`, which is there.
    fn remove_below(&mut self, at: u32, range: &WatchRange) -> u32 {
        let Node { left, right, .. } = self.nodes[at as usize];
        match range.cmp(&self.nodes[at as usize].range) {
            Ordering::Less => self.nodes[at as usize].left = self.remove_below(left, range),
            Ordering::Greater => self.nodes[at as usize].right = self.remove_below(right, range),
            Ordering::Equal if left == NIL => return right,
            Ordering::Equal if right == NIL => return left,
            Ordering::Equal => {
                let (right, next) = self.take_first(right);
                self.nodes[next as usize].left = left;
                self.nodes[next as usize].right = right;
                return self.balance(next);
            }
        }
        self.balance(at)
    }

    /// Unlinks the first node of the tree at `at`; returns the root afterwards and that node.
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let Node { left, right, .. } = self.nodes[at as usize];
        if left == NIL {
            return (right, at);
        }
        let (left, first) = self.take_first(left);
        self.nodes[at as usize].left = left;
        (self.balance(at), first)
    }

    /// Makes the heights of the subtrees of `at` differ by one at most, given that they differ by two at most.
    fn balance(&mut self, at: u32) -> u32 {
        let Node { left, right, .. } = self.nodes[at as usize];
        if self.height(left) > self.height(right) + 1 {
            let Node { left: outer, right: inner, .. } = self.nodes[left as usize];
            if self.height(outer) < self.height(inner) {
                self.nodes[at as usize].left = self.rotate_left(left);
            }
            return self.rotate_right(at);
        }
        if self.height(right) > self.height(left) + 1 {
            let Node { left: inner, right: outer, .. } = self.nodes[right as usize];
            if self.height(outer) < self.height(inner) {
                self.nodes[at as usize].right = self.rotate_right(right);
            }
            return self.rotate_left(at);
        }
        self.refresh(at);
        at
    }

    fn rotate_left(&mut self, at: u32) -> u32 {
        let top = self.nodes[at as usize].right;
        self.nodes[at as usize].right = self.nodes[top as usize].left;
        self.nodes[top as usize].left = at;
        self.refresh(at);
        self.refresh(top);
        top
    }

    fn rotate_right(&mut self, at: u32) -> u32 {
        let top = self.nodes[at as usize].left;
        self.nodes[at as usize].left = self.nodes[top as usize].right;
        self.nodes[top as usize].right = at;
        self.refresh(at);
        self.refresh(top);
        top
    }

    fn height(&self, at: u32) -> u8 {
        self.nodes.get(at as usize).map_or(0, |node| node.height)
    }

    /// Computes what `at` knows of the tree below it.
    fn refresh(&mut self, at: u32) {
        let Node { left, right, .. } = self.nodes[at as usize];
        let mut farthest = at;
        for below in [left, right] {
            if let Some(node) = self.nodes.get(below as usize)
                && self.reaches_farther(node.farthest, farthest)
            {
                farthest = node.farthest;
            }
        }
        let height = 1 + self.height(left).max(self.height(right));
        let node = &mut self.nodes[at as usize];
        node.height = height;
        node.farthest = farthest;
    }

    fn reaches_farther(&self, a: u32, b: u32) -> bool {
        let end = |at: u32| match &self.nodes[at as usize].range {
            WatchRange { until: Until::Open, .. } => None,
            WatchRange { until: Until::Before(end), .. } => Some(&**end),
            // Ranges of one key stand in another map; here they would end just behind their key.
            WatchRange { from, until: Until::First } => Some(&**from),
        };
        match (end(a), end(b)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(a), Some(b)) => a > b,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::watch::slab::Slab;

    impl IntervalTree {
        /// Checks the structure; returns height and number of nodes.
        fn check(&self, at: u32) -> (u8, usize) {
            let Some(node) = self.nodes.get(at as usize) else { return (0, 0) };
            let (left, right) = (self.check(node.left), self.check(node.right));
            assert!(left.0.abs_diff(right.0) <= 1, "balance");
            assert_eq!(node.height, 1 + left.0.max(right.0));
            for below in [node.left, node.right] {
                if let Some(child) = self.nodes.get(below as usize) {
                    assert!(!self.reaches_farther(child.farthest, node.farthest), "farthest");
                    assert_eq!(child.range < node.range, below == node.left, "order");
                }
            }
            (node.height, 1 + left.1 + right.1)
        }

        fn found(&self, key: &[u8]) -> BTreeSet<Key> {
            let mut found = BTreeSet::new();
            self.visit(key, &mut |watchers| {
                for watcher in watchers {
                    assert!(found.insert(*watcher), "visited twice");
                }
            });
            found
        }
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0u8..6, 1..3)
    }

    fn ranges() -> impl Strategy<Value = WatchRange> {
        (bytes(), prop_oneof![4 => bytes(), 1 => Just(vec![0])])
            .prop_filter_map("empty", |(from, end)| WatchRange::of_request(&from, &end).ok())
    }

    proptest! {
        /// The tree finds what a look at every range finds, and stays balanced.
        #[test]
        fn finds_what_a_list_finds(
            steps in prop::collection::vec((ranges(), any::<bool>(), any::<prop::sample::Index>()), 1..200),
            keys in prop::collection::vec(bytes(), 20),
        ) {
            let mut tree = IntervalTree::new();
            let mut keys_of_watchers = Slab::new();
            let mut list: Vec<(WatchRange, Key)> = Vec::new();
            for (range, remove, which) in steps {
                if remove && !list.is_empty() {
                    let (range, watcher) = list.swap_remove(which.index(list.len()));
                    tree.list(&range).retain(|other| *other != watcher);
                    tree.prune(&range);
                } else {
                    let watcher = keys_of_watchers.insert(());
                    tree.list(&range).push(watcher);
                    list.push((range, watcher));
                }
                let ranges: BTreeSet<&WatchRange> = list.iter().map(|(range, _)| range).collect();
                prop_assert_eq!(tree.check(tree.root).1, ranges.len());
            }
            for key in keys {
                let expected =
                    list.iter().filter(|(range, _)| range.contains(&key)).map(|(_, watcher)| *watcher).collect();
                prop_assert_eq!(tree.found(&key), expected);
            }
        }
    }

    #[test]
    fn ascending_ranges_make_no_deep_tree() {
        let mut tree = IntervalTree::new();
        let range = |n: u32| WatchRange::of_request(&n.to_be_bytes(), &(n + 1).to_be_bytes()).unwrap();
        for n in 1..=10_000 {
            tree.list(&range(n)).push(Key::MIN);
        }
        let (height, nodes) = tree.check(tree.root);
        assert_eq!(nodes, 10_000);
        assert!(height <= 19, "{height}");
        assert_eq!(tree.found(&5000u32.to_be_bytes()).len(), 1);
        for n in 1..=10_000 {
            tree.list(&range(n)).clear();
            tree.prune(&range(n));
        }
        assert_eq!(tree.check(tree.root), (0, 0));
    }
}
