//! Loops that count: how they compare, and several rounds in one.
//!
//! A loop counts when a test that each round passes compares something that follows from one parameter of its first block, which begins as a
//! constant and goes on by constants. The number of its rounds is found by doing them.
//!
//! - `i + 1 != n` becomes `i + 1 < n` where the counter meets `n` from below: compilers turn the former into a comparison of
//!   `i`, which then has to live on beside `i + 1`.
//! - A small loop whose number of rounds a small number divides is repeated so often in its body, without the tests between.

use std::collections::{HashMap, HashSet};

use super::dead::{Predecessors, predecessors};
use super::dom::Dominators;
use super::eval;
use super::ssa::Repair;
use super::{Block, Cond, Function, Op, Term, Val};

/// Most rounds that are counted.
const ROUNDS: u64 = 1 << 14;
/// Most instructions of a body with all its repetitions.
const BODY: usize = 160;
/// Most instructions of a function that still grows.
const GROWN: usize = 40_000;
/// Most rounds in one.
const REPEATED: u64 = 8;
/// Most rounds of a loop that is no loop afterwards.
const WHOLE: u64 = 16;

/// Improves the loops of a function: how they `compare`, and whether they `repeat` their bodies.
pub fn loops(f: &mut Function, compare: bool, repeat: bool) {
    let mut before = predecessors(f);
    for found in find(f) {
        let size: usize = found.body.iter().map(|b| f.block(*b).insts.len() + 1).sum();
        let most = if repeat && f.nodes.len() < GROWN { (BODY / size.max(1)) as u64 } else { 0 };
        let whole = 2..=WHOLE.min(most);
        if let Some(counted) = counted(f, &found, found.last, &before) {
            if compare
                && counted.ascends
                && let Term::Branch { cond, then, other, .. } = &mut f.blocks[found.last.0 as usize].term
            {
                *cond = Cond::Ult;
                if then.to != found.head {
                    core::mem::swap(then, other);
                }
            }
            let all = Some(counted.rounds).filter(|n| whole.contains(n));
            let part = || (2..=REPEATED.min(most)).rev().find(|n| counted.rounds.is_multiple_of(*n));
            if let Some(times) = all.or_else(part) {
                repeated(f, &found, found.last, times as usize, all.is_some());
                before = predecessors(f);
            }
            continue;
        }
        // Another test that each round passes tells as much, if the loop is to be no loop afterwards.
        let mut tests: Vec<Block> =
            found.body.iter().copied().filter(|b| stays(f, &found, *b).is_some()).collect();
        tests.sort_unstable();
        if tests.is_empty() || whole.is_empty() {
            continue;
        }
        let dominators = Dominators::of(f);
        let passed = tests.into_iter().filter(|b| dominators.dominates(*b, found.last));
        let mut counted = passed.filter_map(|b| Some((b, counted(f, &found, b, &before)?.rounds)));
        if let Some((test, rounds)) = counted.find(|(_, rounds)| whole.contains(rounds)) {
            repeated(f, &found, test, rounds as usize, true);
            before = predecessors(f);
        }
    }
}

/// A loop without loops in it.
struct Loop {
    /// Where it is entered.
    head: Block,
    /// The only block that goes back there.
    last: Block,
    /// All its blocks.
    body: HashSet<Block>,
}

/// The innermost loops with one way back.
fn find(f: &Function) -> Vec<Loop> {
    let order = f.order();
    let mut place = vec![usize::MAX; f.blocks.len()];
    order.iter().enumerate().for_each(|(i, b)| place[b.0 as usize] = i);
    let predecessors = predecessors(f);
    let mut backs: HashMap<Block, Vec<Block>> = HashMap::new();
    for &b in &order {
        for edge in f.block(b).term.edges() {
            if place[edge.to.0 as usize] <= place[b.0 as usize] {
                backs.entry(edge.to).or_default().push(b);
            }
        }
    }
    let mut loops = Vec::new();
    for &head in &order {
        let Some([last]) = backs.get(&head).map(|b| &b[..]) else { continue };
        let mut body = HashSet::from([head]);
        let mut open = vec![*last];
        let mut whole = true;
        while let Some(b) = open.pop() {
            // A block before the head that is no part of it: the loop is entered elsewhere, too.
            whole &= place[b.0 as usize] >= place[head.0 as usize];
            if body.len() > BODY || !whole {
                whole = false;
                break;
            }
            if body.insert(b) {
                let before = predecessors[b.0 as usize].iter().map(|(from, _)| *from);
                open.extend(before.filter(|from| place[from.0 as usize] != usize::MAX));
            }
        }
        let inner = body.iter().any(|b| *b != head && backs.contains_key(b));
        if whole && !inner {
            loops.push(Loop { head, last: *last, body });
        }
    }
    loops
}

/// How a loop counts.
struct Counted {
    /// How often its body runs unless it is left otherwise.
    rounds: u64,
    /// Its last test is `!=` a number that the other operand meets from below.
    ascends: bool,
}

/// How a loop counts by the test at the end of a block that each round passes, if it does.
fn counted(f: &Function, l: &Loop, test: Block, predecessors: &Predecessors) -> Option<Counted> {
    let Term::Branch { cond, a, b, .. } = &f.block(test).term else { return None };
    let stays = stays(f, l, test)?;
    let back = f.block(l.last).term.edges().find(|e| e.to == l.head)?;
    let bound = f.constant(*b)?;
    let mut entries = predecessors[l.head.0 as usize].iter().filter(|(from, _)| !l.body.contains(from));
    let (from, n) = entries.next()?;
    if entries.next().is_some() {
        return None;
    }
    let entry = f.block(*from).term.edges().nth(*n)?;
    let param = leaf(f, *a, &f.block(l.head).params)?;
    let at = f.block(l.head).params.iter().position(|p| *p == param)?;
    let mut now = f.constant(entry.args[at])?;
    let step = back.args[at];
    let cond = if stays { *cond } else { cond.negated() };
    let ty = f.ty(*a);
    let mut rounds = 0;
    let mut below = true;
    let mut before = 0;
    loop {
        rounds += 1;
        let tested = with(f, *a, param, now)?;
        below &= tested <= bound && (rounds == 1 || tested > before);
        before = tested;
        if !eval::holds(cond, ty, tested, bound) {
            let ascends = below && cond == Cond::Ne;
            return Some(Counted { rounds, ascends });
        }
        if rounds == ROUNDS {
            return None;
        }
        now = with(f, step, param, now)?;
    }
}

/// Whether a test's first way stays in the loop, and the other one leaves it; `Some(false)`: the other way round.
fn stays(f: &Function, l: &Loop, test: Block) -> Option<bool> {
    let Term::Branch { then, other, .. } = &f.block(test).term else { return None };
    match (l.body.contains(&then.to), l.body.contains(&other.to)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Operations that are followed from the test back to the parameter.
const DEEP: u32 = 6;

/// The only parameter of the loop that a value follows from, by constants otherwise.
fn leaf(f: &Function, mut v: Val, params: &[Val]) -> Option<Val> {
    for _ in 0..DEEP {
        if params.contains(&v) {
            return Some(v);
        }
        v = match f.node(v).op {
            Op::Trunc(x) | Op::Zext(x) | Op::Sext(_, x) => x,
            Op::Bin(_, x, c) if f.constant(c).is_some() => x,
            _ => return None,
        };
    }
    None
}

/// What a value is when the parameter that it follows from is a number.
fn with(f: &Function, v: Val, param: Val, number: u64) -> Option<u64> {
    fn deep(f: &Function, v: Val, param: Val, number: u64, left: u32) -> Option<u64> {
        if v == param {
            return Some(number);
        }
        let left = left.checked_sub(1)?;
        let node = f.node(v);
        match node.op {
            Op::Const(c) => Some(c),
            Op::Trunc(x) => Some(u64::from(deep(f, x, param, number, left)? as u32)),
            Op::Zext(x) => deep(f, x, param, number, left),
            Op::Sext(size, x) => Some(eval::sext(size, node.ty, deep(f, x, param, number, left)?)),
            Op::Bin(bin, x, c) => {
                Some(eval::bin(bin, node.ty, deep(f, x, param, number, left)?, f.constant(c)?))
            }
            _ => None,
        }
    }
    deep(f, v, param, number, DEEP)
}

/// Repeats a loop's body, so that its test is made once in so many rounds; `all`: there are no more, and no test.
fn repeated(f: &mut Function, l: &Loop, test: Block, times: usize, all: bool) {
    let mut body: Vec<Block> = l.body.iter().copied().collect();
    body.sort_unstable();
    let defined: Vec<(Val, Block)> = body
        .iter()
        .flat_map(|b| {
            let block = f.block(*b);
            block.params.iter().chain(&block.insts).map(|v| (*v, *b))
        })
        .collect();
    let mut defs: HashMap<Val, Vec<(Block, Val)>> =
        defined.iter().map(|(v, home)| (*v, vec![(*home, *v)])).collect();
    let Some(stays) = stays(f, l, test) else { return };
    let originals: Vec<_> = body.iter().map(|b| f.block(*b).clone()).collect();
    // By round: the blocks by their originals.
    let mut rounds: Vec<HashMap<Block, Block>> = vec![body.iter().map(|b| (*b, *b)).collect()];
    for _ in 1..times {
        let first = f.blocks.len() as u32;
        let blocks: HashMap<Block, Block> =
            body.iter().enumerate().map(|(i, b)| (*b, Block(first + i as u32))).collect();
        let mut values: HashMap<Val, Val> = HashMap::new();
        for (v, home) in &defined {
            let node = f.node(*v).clone();
            let copy = f.add(node.op, node.ty, node.pc);
            values.insert(*v, copy);
            if let Some(defs) = defs.get_mut(v) {
                defs.push((blocks[home], copy));
            }
        }
        let value = |v: Val| values.get(&v).copied().unwrap_or(v);
        for (v, _) in &defined {
            let copy = values[v];
            f.nodes[copy.0 as usize].op.map_operands(&mut |o| value(o));
        }
        for original in &originals {
            let mut block = original.clone();
            block.params.iter_mut().chain(&mut block.insts).for_each(|v| *v = value(*v));
            block.term.map_operands(&mut |v| value(v));
            f.blocks.push(block);
        }
        rounds.push(blocks);
    }
    // Each round goes on to the next; the tests between are decided.
    for (n, blocks) in rounds.iter().enumerate() {
        let next = &rounds[(n + 1) % times];
        for b in &body {
            let here = blocks[b].0 as usize;
            for edge in f.blocks[here].term.edges_mut() {
                edge.to = match edge.to {
                    to if to == l.head => next[&to],
                    to => blocks.get(&to).copied().unwrap_or(to),
                };
            }
            if *b == test && (n + 1 < times || all) {
                let goes_on = n + 1 < times;
                let way = f.blocks[here].term.edges().nth(usize::from(stays != goes_on)).cloned();
                if let Some(way) = way {
                    f.blocks[here].term = Term::Jump(way);
                }
            }
        }
    }
    let repair = Repair::new(f, &defined);
    for (v, _) in &defined {
        repair.value(f, *v, &defs[v]);
    }
}
