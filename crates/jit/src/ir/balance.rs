//! Long sums become short ones, and some products sums.
//!
//! `((s + a) + b) + c`, where `s` comes from the round before, waits for `s` three times; `s + ((a + b) + c)` once. The same holds
//! of `^`, `&` and `|`. A product by 3, 5, 9 or another number beside a power of two is a shift and a sum, which take fewer
//! cycles.

use super::{Bin, Function, Op, Ty, Val};

/// Fewest operands that are worth it.
const LONG: usize = 4;
/// Most operands.
const MOST: usize = 64;

/// Balances a function's sums.
pub fn balance(f: &mut Function) {
    let uses = f.uses();
    for b in f.order() {
        let params = f.block(b).params.clone();
        let insts = f.block(b).insts.clone();
        let mut out = Vec::with_capacity(insts.len());
        for v in insts {
            if !product(f, v, &mut out) {
                sum(f, &params, v, &uses, &mut out);
            }
            out.push(v);
        }
        f.blocks[b.0 as usize].insts = out;
    }
}

/// Makes a shift and a sum of a product.
fn product(f: &mut Function, v: Val, out: &mut Vec<Val>) -> bool {
    let node = f.node(v).clone();
    let Op::Bin(Bin::Mul, x, c) = node.op else { return false };
    let Some(c) = f.constant(c) else { return false };
    let (bin, by) = match c {
        3 | 5 | 9 => (Bin::Add, (c - 1).trailing_zeros()),
        c if c > 9 && (c - 1).is_power_of_two() => (Bin::Add, (c - 1).trailing_zeros()),
        c if c > 3 && c < 1 << 62 && (c + 1).is_power_of_two() && node.ty == Ty::I64 => {
            (Bin::Sub, (c + 1).trailing_zeros())
        }
        _ => return false,
    };
    let by = f.add_constant(by.into(), node.ty, node.pc);
    let shifted = f.add(Op::Bin(Bin::Shl, x, by), node.ty, node.pc);
    out.extend([by, shifted]);
    f.nodes[v.0 as usize].op = match bin {
        Bin::Add => Op::Bin(Bin::Add, x, shifted),
        _ => Op::Bin(Bin::Sub, shifted, x),
    };
    true
}

/// Makes a short sum of a long one that ends with `v` and begins with a parameter of the block.
fn sum(f: &mut Function, params: &[Val], v: Val, uses: &[u32], out: &mut Vec<Val>) {
    let node = f.node(v).clone();
    let Op::Bin(bin @ (Bin::Add | Bin::Xor | Bin::And | Bin::Or), ..) = node.op else { return };
    let is_part = |f: &Function, part: Val| {
        let once = uses.get(part.0 as usize) == Some(&1);
        once && matches!(f.node(part).op, Op::Bin(other, ..) if other == bin) && f.ty(part) == node.ty
    };
    // From the end to the beginning: the second operands.
    let mut leaves = Vec::new();
    let mut at = v;
    let first = loop {
        let Op::Bin(_, a, b) = f.node(at).op else { return };
        leaves.push(b);
        if leaves.len() > MOST || f.constant(b).is_some() {
            return;
        }
        if !is_part(f, a) {
            break a;
        }
        at = a;
    };
    if leaves.len() + 1 < LONG || !params.contains(&first) || leaves.iter().any(|l| params.contains(l)) {
        return;
    }
    leaves.reverse();
    while leaves.len() > 1 {
        let mut next = Vec::with_capacity(leaves.len().div_ceil(2));
        for pair in leaves.chunks(2) {
            match *pair {
                [a, b] => {
                    let v = f.add(Op::Bin(bin, a, b), node.ty, node.pc);
                    out.push(v);
                    next.push(v);
                }
                _ => next.extend(pair),
            }
        }
        leaves = next;
    }
    f.nodes[v.0 as usize].op = Op::Bin(bin, first, leaves[0]);
}
