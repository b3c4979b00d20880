//! Red-black trees of nodes that are named by their addresses.
//!
//! Idea: every path from the topmost node down has the same number of black nodes, and no red node has a red child, so none
//! is more than twice as long as another. Programs see the shape (`bpf_rbtree_left`), so it is what Linux's lib/rbtree.c comes
//! to: a new node is red, a removed node with two children is replaced by its successor. 0 is no node, and black.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::object::Node;

/// All nodes of all trees and lists.
type Nodes = BTreeMap<u64, Node>;

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A tree while it is changed.
pub(super) struct Tree<'n> {
    pub(super) nodes: &'n mut Nodes,
    pub(super) top: u64,
}

pub(super) fn child(nodes: &Nodes, at: u64, side: Side) -> u64 {
    let Some(node) = nodes.get(&at) else { return 0 };
    match side {
        Side::Left => node.left,
        Side::Right => node.right,
    }
}

/// The leftmost node below and at `at`.
pub(super) fn first(nodes: &Nodes, mut at: u64) -> u64 {
    loop {
        match child(nodes, at, Side::Left) {
            0 => return at,
            left => at = left,
        }
    }
}

/// The nodes below and at `top`, each before those below it.
pub(super) fn all(nodes: &Nodes, top: u64, out: &mut Vec<u64>) {
    let mut left = alloc::vec![top];
    while let Some(at) = left.pop().filter(|at| *at != 0) {
        out.push(at);
        let below = [child(nodes, at, Side::Right), child(nodes, at, Side::Left)];
        left.extend(below.into_iter().filter(|b| *b != 0));
    }
}

impl Tree<'_> {
    fn child(&self, at: u64, side: Side) -> u64 {
        child(self.nodes, at, side)
    }

    fn parent(&self, at: u64) -> u64 {
        self.nodes.get(&at).map_or(0, |n| n.parent)
    }

    fn is_red(&self, at: u64) -> bool {
        self.nodes.get(&at).is_some_and(|n| n.red)
    }

    fn set_red(&mut self, at: u64, red: bool) {
        if let Some(node) = self.nodes.get_mut(&at) {
            node.red = red;
        }
    }

    /// Makes `below` the child of `at`, of 0 the topmost.
    fn attach(&mut self, at: u64, side: Side, below: u64) {
        match self.nodes.get_mut(&at) {
            Some(node) => match side {
                Side::Left => node.left = below,
                Side::Right => node.right = below,
            },
            None => self.top = below,
        }
        if let Some(node) = self.nodes.get_mut(&below) {
            node.parent = at;
        }
    }

    /// Which child of its parent a node is.
    fn side(&self, at: u64) -> Side {
        if self.child(self.parent(at), Side::Left) == at { Side::Left } else { Side::Right }
    }

    /// Puts `below` in the place of `at`.
    fn replace(&mut self, at: u64, below: u64) {
        let (parent, side) = (self.parent(at), self.side(at));
        self.attach(parent, side, below);
    }

    /// Lets a node sink to one side; its other child takes its place.
    fn rotate(&mut self, at: u64, to: Side) {
        let up = self.child(at, to.other());
        let inner = self.child(up, to);
        self.replace(at, up);
        self.attach(at, to.other(), inner);
        self.attach(up, to, at);
    }

    /// Adds a node as a child that `parent` does not have yet; with `parent` 0 as the only one.
    pub(super) fn link(&mut self, node: u64, parent: u64, side: Side) {
        self.attach(parent, side, node);
        self.set_red(node, true);
        let mut at = node;
        while self.is_red(self.parent(at)) {
            let mut parent = self.parent(at);
            let grand = self.parent(parent);
            let side = self.side(parent);
            let uncle = self.child(grand, side.other());
            if self.is_red(uncle) {
                self.set_red(parent, false);
                self.set_red(uncle, false);
                self.set_red(grand, true);
                at = grand;
                continue;
            }
            if self.child(parent, side.other()) == at {
                self.rotate(parent, side);
                parent = at;
            }
            self.set_red(parent, false);
            self.set_red(grand, true);
            self.rotate(grand, side.other());
            break;
        }
        self.set_red(self.top, false);
    }

    /// Takes a node out.
    pub(super) fn unlink(&mut self, node: u64) {
        let (left, right) = (self.child(node, Side::Left), self.child(node, Side::Right));
        // Where a black node is missing: the parent, and which child of it.
        let (short, side, was_red);
        if left == 0 || right == 0 {
            (short, side, was_red) = (self.parent(node), self.side(node), self.is_red(node));
            self.replace(node, if left == 0 { right } else { left });
        } else {
            let next = first(self.nodes, right);
            was_red = self.is_red(next);
            if next == right {
                (short, side) = (next, Side::Right);
            } else {
                (short, side) = (self.parent(next), Side::Left);
                let below = self.child(next, Side::Right);
                self.attach(short, Side::Left, below);
                self.attach(next, Side::Right, right);
            }
            self.replace(node, next);
            self.attach(next, Side::Left, left);
            let red = self.is_red(node);
            self.set_red(next, red);
        }
        if !was_red {
            self.mend(short, side);
        }
    }

    /// One black node too few below `parent` on one side.
    fn mend(&mut self, mut parent: u64, mut side: Side) {
        loop {
            let at = if parent == 0 { self.top } else { self.child(parent, side) };
            if parent == 0 || self.is_red(at) {
                return self.set_red(at, false);
            }
            let mut sibling = self.child(parent, side.other());
            if self.is_red(sibling) {
                self.set_red(sibling, false);
                self.set_red(parent, true);
                self.rotate(parent, side);
                sibling = self.child(parent, side.other());
            }
            let (near, far) = (self.child(sibling, side), self.child(sibling, side.other()));
            if !self.is_red(near) && !self.is_red(far) {
                self.set_red(sibling, true);
                side = self.side(parent);
                if self.is_red(parent) {
                    return self.set_red(parent, false);
                }
                parent = self.parent(parent);
                continue;
            }
            if !self.is_red(far) {
                self.set_red(near, false);
                self.set_red(sibling, true);
                self.rotate(sibling, side.other());
                sibling = self.child(parent, side.other());
            }
            let red = self.is_red(parent);
            self.set_red(sibling, red);
            self.set_red(parent, false);
            let far = self.child(sibling, side.other());
            self.set_red(far, false);
            return self.rotate(parent, side);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Black nodes on the way down; checks order of parents and colours.
    fn blacks(nodes: &Nodes, at: u64, parent: u64) -> usize {
        let Some(node) = nodes.get(&at) else { return 1 };
        assert_eq!(node.parent, parent, "{at}");
        let below = [node.left, node.right].map(|b| blacks(nodes, b, at));
        assert_eq!(below[0], below[1], "below {at}");
        for b in [node.left, node.right] {
            assert!(!(node.red && nodes.get(&b).is_some_and(|b| b.red)), "{at} and {b} are red");
        }
        below[0] + usize::from(!node.red)
    }

    fn ordered(nodes: &Nodes, at: u64, out: &mut Vec<u64>) {
        if let Some(node) = nodes.get(&at) {
            ordered(nodes, node.left, out);
            out.push(at);
            ordered(nodes, node.right, out);
        }
    }

    #[test]
    fn trees_stay_ordered_and_balanced() {
        let mut nodes = Nodes::new();
        let mut top = 0;
        let mut there = alloc::collections::BTreeSet::new();
        let mut seed = 1u64;
        for round in 0..20_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let node = 1 + seed % 200;
            if there.remove(&node) {
                let mut tree = Tree { nodes: &mut nodes, top };
                tree.unlink(node);
                top = tree.top;
                nodes.remove(&node);
            } else {
                let (mut parent, mut side, mut at) = (0, Side::Left, top);
                while at != 0 {
                    side = if node < at { Side::Left } else { Side::Right };
                    (parent, at) = (at, child(&nodes, at, side));
                }
                nodes.insert(node, Node::default());
                let mut tree = Tree { nodes: &mut nodes, top };
                tree.link(node, parent, side);
                top = tree.top;
                there.insert(node);
            }
            assert!(!nodes.get(&top).is_some_and(|n| n.red), "the topmost is black");
            blacks(&nodes, top, 0);
            let mut order = Vec::new();
            ordered(&nodes, top, &mut order);
            assert!(order.iter().eq(there.iter()), "round {round}");
            let mut every = Vec::new();
            all(&nodes, top, &mut every);
            every.sort_unstable();
            assert_eq!(every, order);
        }
    }
}
