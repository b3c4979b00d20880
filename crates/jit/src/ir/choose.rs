//! Short ways that meet again become choices between values.
//!
//! ```text
//!   branch c → A, J(y)             x = …
//! A:  x = …                  →     z = select c ? x : y
//!   jump J(x)                      jump J(z)
//! ```
//!
//! A processor that guesses a branch wrong loses more than a few operations cost, and compilers for it do the same. Only
//! operations without effect that take a cycle or so are done for nothing.

use super::dead::predecessors;
use super::{Bin, Block, Edge, Function, Op, Term, Ty, Val};

/// Most operations of both ways.
const FEW: usize = 4;
/// Most values that differ: with more, a guessed branch costs less than what waits for all of them.
const CHOICES: usize = 1;

/// Makes choices of a function's short ways.
pub fn choose(f: &mut Function) {
    let entries = predecessors(f).counts();
    let order = f.order();
    // From the inside out: what has become one block may be a short way itself.
    for b in order.into_iter().rev() {
        while one(f, b, &entries) {}
    }
}

/// Makes a choice of the branch at a block's end, if its ways are short.
fn one(f: &mut Function, b: Block, entries: &[usize]) -> bool {
    let Term::Branch { cond, a, b: with, then, other } = f.block(b).term.clone() else { return false };
    let (x, y) = (way(f, &then, entries), way(f, &other, entries));
    // What a choice before has given: choices would wait for one another, where a guess goes on at once.
    if f.block(b).params.contains(&a) {
        return false;
    }
    // The ways' own ends, or the edges themselves where a way is nothing.
    let ends = |way: &Option<Way>, edge: &Edge| way.as_ref().map_or_else(|| edge.clone(), |w| w.end.clone());
    let meets = |x: &Option<Way>, y: &Option<Way>| {
        let (p, q) = (ends(x, &then), ends(y, &other));
        (p.to == q.to).then_some((p, q))
    };
    let candidates = [(x.clone(), y.clone()), (x, None), (None, y), (None, None)];
    let found = candidates.iter().find_map(|(x, y)| meets(x, y).map(|ends| (x, y, ends)));
    let Some((x, y, (p, q))) = found else { return false };
    let insts: Vec<Val> = [x, y].into_iter().flatten().flat_map(|w| w.insts.iter().copied()).collect();
    let differ = p.args.iter().zip(&q.args).filter(|(x, y)| x != y).count();
    if p.to == b || insts.len() > FEW || differ > CHOICES || differ == 0 {
        return false;
    }
    let pc = f.block(b).term_pc;
    let mut args = Vec::with_capacity(p.args.len());
    let mut chosen = Vec::new();
    for (x, y) in p.args.iter().zip(&q.args) {
        if x == y {
            args.push(*x);
            continue;
        }
        let ty = f.ty(*x);
        let v = f.add(Op::Select(cond, a, with, *x, *y), ty, pc);
        chosen.push(v);
        args.push(v);
    }
    for way in [x, y].into_iter().flatten() {
        let gone = &mut f.blocks[way.block.0 as usize];
        gone.insts.clear();
        gone.term = Term::Unreachable;
    }
    let block = &mut f.blocks[b.0 as usize];
    block.insts.extend(insts);
    block.insts.extend(chosen);
    block.term = Term::Jump(Edge { to: p.to, args });
    true
}

/// A block that is only on the way to another.
#[derive(Clone)]
struct Way {
    block: Block,
    insts: Vec<Val>,
    end: Edge,
}

fn way(f: &Function, edge: &Edge, entries: &[usize]) -> Option<Way> {
    let block = f.block(edge.to);
    let Term::Jump(end) = &block.term else { return None };
    let single = entries[edge.to.0 as usize] == 1 && block.params.is_empty() && end.to != edge.to;
    let light = block.insts.len() <= FEW && block.insts.iter().all(|v| is_cheap(f, *v));
    (single && light).then(|| Way { block: edge.to, insts: block.insts.clone(), end: end.clone() })
}

/// Whether an instruction may be done for nothing.
fn is_cheap(f: &Function, v: Val) -> bool {
    let node = f.node(v);
    match node.op {
        Op::Bin(bin, ..) => match bin {
            Bin::Add | Bin::Sub | Bin::And | Bin::Or | Bin::Xor | Bin::Shl | Bin::Shr | Bin::Sar => true,
            Bin::Mul | Bin::Udiv | Bin::Urem | Bin::Sdiv | Bin::Srem => false,
        },
        Op::Const(_) | Op::Trunc(_) | Op::Zext(_) | Op::Sext(..) | Op::Select(..) | Op::Cmp(..) => {
            node.ty != Ty::None
        }
        _ => false,
    }
}
