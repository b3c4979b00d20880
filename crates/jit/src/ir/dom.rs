//! Dominators: which blocks every way to a block passes.
//!
//! By Cooper, Harvey and Kennedy, *A Simple, Fast Dominance Algorithm*: in reverse postorder each block's immediate
//! dominator is where the chains of its predecessors meet, until nothing changes. Numbers of a walk over the tree then
//! answer questions at once.

use super::{Block, Function};

/// What has not been reached.
const NEVER: u32 = u32::MAX;

/// The tree of dominators of a function at one time.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// The blocks that can be reached, in reverse postorder.
    order: Vec<Block>,
    /// By block, its place in `order`.
    place: Vec<u32>,
    /// By place, that of the immediate dominator; the entry's is its own.
    parent: Vec<u32>,
    /// By place, when a walk over the tree enters and leaves.
    span: Vec<(u32, u32)>,
}

impl Dominators {
    /// Those of a function.
    pub fn of(f: &Function) -> Self {
        let order = f.order();
        let mut place = vec![NEVER; f.blocks.len()];
        for (i, b) in order.iter().enumerate() {
            place[b.0 as usize] = i as u32;
        }
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); order.len()];
        for (i, b) in order.iter().enumerate() {
            for edge in f.block(*b).term.edges() {
                before[place[edge.to.0 as usize] as usize].push(i as u32);
            }
        }
        let mut parent = vec![NEVER; order.len()];
        parent[0] = 0;
        let meet = |parent: &[u32], mut a: u32, mut b: u32| {
            while a != b {
                while a > b {
                    a = parent[a as usize];
                }
                while b > a {
                    b = parent[b as usize];
                }
            }
            a
        };
        let mut changed = true;
        while core::mem::take(&mut changed) {
            for i in 1..order.len() {
                let known = before[i].iter().copied().filter(|p| parent[*p as usize] != NEVER);
                let new = known.reduce(|a, b| meet(&parent, a, b)).unwrap_or(NEVER);
                changed |= core::mem::replace(&mut parent[i], new) != new;
            }
        }
        let span = spans(&parent);
        Self { order, place, parent, span }
    }

    /// The blocks that can be reached, in reverse postorder.
    pub fn order(&self) -> &[Block] {
        &self.order
    }

    /// Whether the block can be reached.
    pub fn reaches(&self, b: Block) -> bool {
        self.place[b.0 as usize] != NEVER
    }

    /// The closest block that all ways to a block pass; none of the entry, and of what cannot be reached.
    pub fn parent(&self, b: Block) -> Option<Block> {
        let place = self.place[b.0 as usize];
        (place != NEVER && place != 0).then(|| self.order[self.parent[place as usize] as usize])
    }

    /// Whether all ways to `b` pass `a`, which each block does itself. What cannot be reached is dominated by all.
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        let (a, b) = (self.place[a.0 as usize], self.place[b.0 as usize]);
        if b == NEVER {
            return true;
        }
        if a == NEVER {
            return false;
        }
        let ((from, to), (at, _)) = (self.span[a as usize], self.span[b as usize]);
        (from..to).contains(&at)
    }
}

/// When a walk over a tree enters and leaves each node; parents come before their children.
fn spans(parent: &[u32]) -> Vec<(u32, u32)> {
    let mut size = vec![1u32; parent.len()];
    for i in (1..parent.len()).rev() {
        size[parent[i] as usize] += size[i];
    }
    // The children of a node lie behind it, one behind the other.
    let mut free = vec![1u32; parent.len()];
    let mut span = vec![(0, size[0]); parent.len()];
    for i in 1..parent.len() {
        let p = parent[i] as usize;
        let from = span[p].0 + free[p];
        free[p] += size[i];
        span[i] = (from, from + size[i]);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Module;

    fn function(edges: &[&[u32]]) -> Function {
        let mut text = String::from("function 0 \"f\" slot 0 {\n");
        for (i, to) in edges.iter().enumerate() {
            let entry = "block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):\n";
            text += &if i == 0 { entry.to_string() } else { format!("block{i}:\n") };
            text += &match to {
                [] => "return v0\n".to_string(),
                [a] => format!("jump block{a}\n"),
                to => format!("branch eq v0, v1 -> block{}, block{}\n", to[0], to[1]),
            };
        }
        Module::parse(&(text + "}")).expect("text").functions.remove(0)
    }

    /// Whether no way from the entry to `b` goes round `a`.
    fn by_search(f: &Function, a: Block, b: Block) -> bool {
        let mut seen = vec![false; f.blocks.len()];
        let mut open = vec![Block(0)];
        while let Some(at) = open.pop() {
            if at != a && !core::mem::replace(&mut seen[at.0 as usize], true) {
                open.extend(f.block(at).term.edges().map(|e| e.to));
            }
        }
        !seen[b.0 as usize]
    }

    fn agree(f: &Function) {
        let d = Dominators::of(f);
        for (a, _) in f.blocks() {
            for (b, _) in f.blocks().filter(|(b, _)| d.reaches(*b)) {
                assert_eq!(d.dominates(a, b), by_search(f, a, b), "{a} {b}\n{f}");
            }
        }
        for (b, _) in f.blocks().filter(|(b, _)| d.reaches(*b) && b.0 != 0) {
            let parent = d.parent(b).expect("has one");
            assert!(parent != b && d.dominates(parent, b));
        }
    }

    #[test]
    fn shapes() {
        agree(&function(&[&[1, 2], &[3], &[3], &[]]));
        agree(&function(&[&[1, 2], &[2], &[1, 3], &[]]));
        agree(&function(&[&[1], &[2, 5], &[3, 4], &[2], &[1], &[]]));
        agree(&function(&[&[1], &[1, 2], &[], &[2]]));
    }

    #[test]
    fn any_graph_agrees_with_a_search() {
        let mut seed = 1u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..300 {
            let n = 2 + random(9);
            let edges: Vec<Vec<u32>> =
                (0..n).map(|_| (0..random(3)).map(|_| 1 + random(n - 1) as u32).collect()).collect();
            agree(&function(&edges.iter().map(|e| &e[..]).collect::<Vec<_>>()));
        }
    }
}
