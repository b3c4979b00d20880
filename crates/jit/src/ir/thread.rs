//! Ways that decide a later branch go where it goes.
//!
//! A block that only compares one of its parameters with a constant, and is entered with a constant, or with an address that
//! cannot be NULL, is passed by: the edge leads to where the branch would. So the test behind a lookup that was put in line
//! costs nothing, and a loop's first test neither.

use super::dead::{Predecessors, predecessors};
use super::eval;
use super::ssa::Repair;
use super::{Bin, Block, BlockData, Cond, Edge, Function, Op, Term, Val};

/// Most instructions without effect that a way copies to pass a block by.
const FEW: usize = 6;

/// Leads edges past branches that they decide. Values of passed blocks that others use get parameters.
pub fn thread(f: &mut Function) {
    let mut before = None;
    for b in f.order() {
        if b.0 != 0 && tested(f, b).is_some() && pass_by(f, b, before.get_or_insert_with(|| predecessors(f)))
        {
            before = None;
        }
    }
}

/// The branch at a block's end, if it compares a parameter with a constant: which parameter, how, with what.
fn tested(f: &Function, b: Block) -> Option<(usize, Cond, Val)> {
    let block = f.block(b);
    let Term::Branch { cond, a, b: with, .. } = &block.term else { return None };
    f.constant(*with)?;
    let at = block.params.iter().position(|p| p == a)?;
    Some((at, *cond, *with))
}

/// Whether a value is an address that is not NULL: a constant address and an offset that does not wrap around.
fn is_address(f: &Function, v: Val) -> bool {
    const LOW: u64 = 1 << 16;
    const HIGH: u64 = 1 << 62;
    match f.node(v).op {
        Op::Const(c) => c != 0,
        Op::Bin(Bin::Add, a, b) => {
            let base = |c: Option<u64>| c.is_some_and(|c| (LOW..HIGH).contains(&c));
            let small = |v: Val| at_most(f, v, 3).is_some_and(|most| most < HIGH);
            base(f.constant(a)) && small(b) || base(f.constant(b)) && small(a)
        }
        _ => false,
    }
}

/// The largest number that a value can be, looking at as many operations; `None` when it may be any.
fn at_most(f: &Function, v: Val, deep: u32) -> Option<u64> {
    let deep = deep.checked_sub(1)?;
    match f.node(v).op {
        Op::Const(c) => Some(c),
        Op::Zext(_) => Some(u32::MAX.into()),
        Op::Bin(Bin::Mul, a, b) => at_most(f, a, deep)?.checked_mul(at_most(f, b, deep)?),
        Op::Bin(Bin::Add, a, b) => at_most(f, a, deep)?.checked_add(at_most(f, b, deep)?),
        Op::Bin(Bin::Shl, a, b) => {
            let by = u32::try_from(f.constant(b)? % 64).ok()?;
            at_most(f, a, deep)?.checked_mul(1u64.checked_shl(by)?)
        }
        Op::Bin(Bin::And, _, b) => f.constant(b),
        Op::Cell(super::Cell::Vcpu) => Some(u32::MAX.into()),
        _ => None,
    }
}

/// Leads the edges that decide a block's branch past it. Whether there were any.
fn pass_by(f: &mut Function, b: Block, before: &Predecessors) -> bool {
    let Some((param, cond, with)) = tested(f, b) else { return false };
    if !is_light(f, b) {
        return false;
    }
    let ty = f.ty(with);
    let constant = f.constant(with).unwrap_or_default();
    let decides = |f: &Function, arg: Val| match f.constant(arg) {
        Some(c) => Some(eval::holds(cond, ty, c, constant)),
        None if constant == 0 && is_address(f, arg) => match cond {
            Cond::Eq | Cond::Ule | Cond::Set => Some(false),
            // No bit of anything is one of 0.
            Cond::Ne | Cond::Ugt | Cond::Clear => Some(true),
            _ => None,
        },
        None => None,
    };
    let edges: Vec<(Block, usize, bool)> = before[b.0 as usize]
        .iter()
        .filter(|(from, _)| *from != b)
        .filter_map(|&(from, n)| {
            let edge = f.block(from).term.edges().nth(n)?;
            Some((from, n, decides(f, edge.args[param])?))
        })
        .collect();
    if edges.is_empty() {
        return false;
    }
    let block = f.block(b);
    let defined: Vec<Val> = block.params.iter().chain(&block.insts).copied().collect();
    let mut defs: Vec<Vec<(Block, Val)>> = defined.iter().map(|v| vec![(b, *v)]).collect();
    for (from, n, holds) in edges {
        if let Some((new, copies)) = lead(f, (from, n), b, holds) {
            defs.iter_mut().zip(copies).for_each(|(defs, copy)| defs.push((new, copy)));
        }
    }
    let values: Vec<(Val, Block)> = defined.iter().map(|v| (*v, b)).collect();
    let repair = Repair::new(f, &values);
    for (v, defs) in defined.iter().zip(&defs) {
        repair.value(f, *v, defs);
    }
    true
}

fn is_light(f: &Function, b: Block) -> bool {
    let insts = &f.block(b).insts;
    insts.len() <= FEW && insts.iter().all(|v| f.node(*v).op.is_pure())
}

/// Leads an edge to a block to where its branch goes, over a new block with copies of its instructions; gives that, and what
/// stands there for the block's parameters and instructions.
fn lead(f: &mut Function, (from, n): (Block, usize), b: Block, holds: bool) -> Option<(Block, Vec<Val>)> {
    let edge = f.block(from).term.edges().nth(n)?.clone();
    let block = f.block(b).clone();
    let target = block.term.edges().nth(usize::from(!holds))?.clone();
    // A value of the passed block that goes round to it is the one from before, not the copy: the new block is given it.
    let (mut params, mut given) = (Vec::new(), Vec::new());
    let mut to: Vec<(Val, Val)> = Vec::with_capacity(block.params.len() + block.insts.len());
    for (param, arg) in block.params.iter().zip(&edge.args) {
        let mut now = *arg;
        if block.params.contains(arg) || block.insts.contains(arg) {
            now = f.add(Op::Param, f.ty(*param), f.node(*param).pc);
            params.push(now);
            given.push(*arg);
        }
        to.push((*param, now));
    }
    let now = |to: &[(Val, Val)], v: Val| to.iter().find(|t| t.0 == v).map_or(v, |t| t.1);
    let mut copied = Vec::new();
    for v in &block.insts {
        let mut node = f.node(*v).clone();
        node.op.map_operands(&mut |o| now(&to, o));
        let copy = f.add(node.op, node.ty, node.pc);
        to.push((*v, copy));
        copied.push(copy);
    }
    let args = target.args.iter().map(|a| now(&to, *a)).collect();
    let edge = Edge { to: target.to, args };
    // What was copied stands in a block of its own: the one before may have another way on.
    let between = BlockData { params, insts: copied, term: Term::Jump(edge), term_pc: block.term_pc };
    let new = Block(f.blocks.len() as u32);
    f.blocks.push(between);
    if let Some(edge) = f.blocks[from.0 as usize].term.edges_mut().nth(n) {
        *edge = Edge { to: new, args: given };
    }
    Some((new, to.into_iter().map(|t| t.1).collect()))
}
