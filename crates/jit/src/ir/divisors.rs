//! Divisors that cannot be zero: [`Node::proved`](super::Node::proved).
//!
//! A division by a number that may be zero needs a test. Whether it may is asked of the operations that it comes from, and of the
//! branches that were taken to get here.

use super::dead::predecessors;
use super::dom::Dominators;
use super::{Bin, Block, Cond, Function, Op, Term, Ty, Val};

/// Operations and branches that are looked at for one divisor.
const DEEP: u32 = 16;

/// Marks unsigned divisions whose divisor cannot be zero.
pub fn divisors(f: &mut Function) {
    let divisions: Vec<(Block, Val)> = f
        .blocks()
        .flat_map(|(b, block)| block.insts.iter().map(move |v| (b, *v)))
        .filter(|(_, v)| matches!(f.node(*v).op, Op::Bin(Bin::Udiv | Bin::Urem, ..)))
        .collect();
    if divisions.is_empty() {
        return;
    }
    let entries = predecessors(f).counts();
    let asked = Asked { f, dominators: Dominators::of(f), entries };
    let proved: Vec<Val> = divisions
        .into_iter()
        .filter(|(b, v)| match asked.f.node(*v).op {
            Op::Bin(_, _, by) => asked.range(by, *b, DEEP).0 > 0,
            _ => false,
        })
        .map(|(_, v)| v)
        .collect();
    for v in proved {
        f.nodes[v.0 as usize].proved = true;
    }
}

struct Asked<'f> {
    f: &'f Function,
    dominators: Dominators,
    /// By block: the edges that lead there.
    entries: Vec<usize>,
}

impl Asked<'_> {
    /// The least and the largest number, unsigned, that a value can be in a block.
    fn range(&self, v: Val, b: Block, deep: u32) -> (u64, u64) {
        let most = if self.f.ty(v) == Ty::I32 { u64::from(u32::MAX) } else { u64::MAX };
        let Some(deep) = deep.checked_sub(1) else { return (0, most) };
        let (from, to) = self.computed(v, b, deep, most);
        let (low, high) = self.branches(v, b, most);
        // What both say; where they contradict one another the block is not reached.
        (from.max(low), to.min(high))
    }

    /// What follows from the operation.
    fn computed(&self, v: Val, b: Block, deep: u32, most: u64) -> (u64, u64) {
        match self.f.node(v).op {
            Op::Const(c) => (c, c),
            Op::Zext(x) => self.range(x, b, deep),
            Op::Trunc(x) => match self.range(x, b, deep) {
                (from, to) if to <= u64::from(u32::MAX) => (from, to),
                _ => (0, most),
            },
            Op::Bin(Bin::Add, x, y) => {
                let ((a, b), (c, d)) = (self.range(x, b, deep), self.range(y, b, deep));
                match (a.checked_add(c), b.checked_add(d)) {
                    (Some(from), Some(to)) if to <= most => (from, to),
                    _ => (0, most),
                }
            }
            Op::Bin(Bin::And, x, y) => (0, self.range(x, b, deep).1.min(self.range(y, b, deep).1)),
            Op::Bin(Bin::Or, x, y) => (self.range(x, b, deep).0.max(self.range(y, b, deep).0), most),
            Op::Bin(Bin::Shr, x, n) => match self.f.constant(n) {
                Some(n) => {
                    let n = n % if most == u64::MAX { 64 } else { 32 };
                    let (from, to) = self.range(x, b, deep);
                    (from >> n, to >> n)
                }
                None => (0, most),
            },
            Op::Select(_, _, _, x, y) => {
                let ((a, c), (d, e)) = (self.range(x, b, deep), self.range(y, b, deep));
                (a.min(d), c.max(e))
            }
            Op::Load { size, .. } => (0, most.min(u64::MAX >> (64 - size.bits()))),
            _ => (0, most),
        }
    }

    /// What follows from branches that every way to a block has taken.
    fn branches(&self, v: Val, b: Block, most: u64) -> (u64, u64) {
        let (mut from, mut to) = (0, most);
        let mut at = b;
        for _ in 0..DEEP {
            let Some(up) = self.dominators.parent(at) else { break };
            if let Term::Branch { cond, a, b: with, then, other } = &self.f.block(up).term
                && self.is_same(*a, v)
                && let Some(c) = self.f.constant(*with)
            {
                // The edge must be the only way in.
                let only = |to: Block| to == at && self.entered_from_one(at);
                let cond = match (only(then.to) && other.to != at, only(other.to) && then.to != at) {
                    (true, _) => Some(*cond),
                    (_, true) => Some(cond.negated()),
                    _ => None,
                };
                let (low, high) = cond.map_or((0, most), |cond| bounds(cond, c, most));
                (from, to) = (from.max(low), to.min(high));
            }
            at = up;
        }
        (from, to)
    }

    /// Whether two values are the same number: the same, or what the same operation gives.
    fn is_same(&self, a: Val, b: Val) -> bool {
        let (x, y) = (&self.f.node(a).op, &self.f.node(b).op);
        a == b || x.is_pure() && x == y && self.f.ty(a) == self.f.ty(b)
    }

    fn entered_from_one(&self, b: Block) -> bool {
        self.entries[b.0 as usize] == 1
    }
}

/// The numbers for which a comparison with a constant holds lie between these.
fn bounds(cond: Cond, c: u64, most: u64) -> (u64, u64) {
    match cond {
        Cond::Eq => (c, c),
        Cond::Ne if c == 0 => (1, most),
        Cond::Ult => (0, c.saturating_sub(1)),
        Cond::Ule => (0, c),
        Cond::Ugt => (c.saturating_add(1), most),
        Cond::Uge => (c, most),
        Cond::Set => (1, most),
        Cond::Ne | Cond::Slt | Cond::Sle | Cond::Sgt | Cond::Sge | Cond::Clear => (0, most),
    }
}
