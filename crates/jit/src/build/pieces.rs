//! A large function in pieces, so that what it takes to compile grows no faster than the function.
//!
//! A piece is a range of blocks in the order of their translation. It becomes a function of the module by itself
//! ([`Function::piece`](crate::ir::Function)), which works in the same frame; the function that others call only leads to the
//! first one. Where a way leaves a piece, the registers that are live there are handed on through memory, with the number of
//! the entry; stack slots stay in memory. Cuts are where the fewest ways cross.
//!
//! ```text
//! f(r1):      leave 1 (1: r1, 10: 0)
//! piece 1:    kept 10 → which entry;  entry 0: r1 = kept 1 …;  leave 2 (0: r0, 6: r6, 10: 0)
//! piece 2:    …
//! ```

use std::ops::Range;

use skep_isa::Reg;

use super::Builder;
use super::cfg::Cfg;
use super::regs::Regs;
use crate::ir::{Block, BlockData, Cond, Edge, Func, Function, KEPT, Op, Term, Ty};

/// The number of what says by which of its entries a piece is entered.
const ENTRY: u8 = KEPT as u8 - 1;

/// How a function is cut.
pub(super) struct Pieces {
    /// In order.
    all: Vec<Piece>,
    /// The first one's number in the module.
    first: u32,
}

/// Blocks that stand behind one another in the order of translation.
struct Piece {
    /// Their places.
    places: Range<usize>,
    /// Places of the blocks that ways from outside lead to, ascending.
    entries: Vec<usize>,
}

impl Pieces {
    /// Cuts a function, if it weighs more than `most` instructions.
    ///
    /// `first`: number of the first piece in the module.
    pub(super) fn new(cfg: &Cfg, most: usize, first: usize) -> Option<Self> {
        // A budget of `may_goto` is a call's.
        if !cfg.is_larger(most) || cfg.has_may_goto {
            return None;
        }
        let mut all: Vec<Piece> = Vec::new();
        let cost = crossings(cfg);
        let mut from = 0;
        while from < cfg.order.len() {
            let to = end(cfg, &cost, from, most);
            all.push(Piece { places: from..to, entries: Vec::new() });
            from = to;
        }
        let mut pieces = Self { all, first: first as u32 };
        let mut entered = vec![false; cfg.order.len()];
        entered[0] = true;
        for (from, block) in cfg.order.iter().enumerate() {
            let places = &pieces.all[pieces.at(from)].places;
            for to in cfg.blocks[*block].ways.iter().map(|way| cfg.place[way.to]) {
                entered[to] |= !places.contains(&to);
            }
        }
        for piece in &mut pieces.all {
            piece.entries = piece.places.clone().filter(|place| entered[*place]).collect();
        }
        Some(pieces)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn places(&self, piece: usize) -> Range<usize> {
        self.all[piece].places.clone()
    }

    /// The piece that a place is in.
    fn at(&self, place: usize) -> usize {
        self.all.partition_point(|p| p.places.end <= place)
    }
}

/// By place, how many ways lead over the cut before it, or back.
fn crossings(cfg: &Cfg) -> Vec<i32> {
    let mut cost = vec![0; cfg.order.len() + 1];
    for (from, block) in cfg.order.iter().enumerate() {
        for to in cfg.blocks[*block].ways.iter().map(|way| cfg.place[way.to]) {
            cost[from.min(to) + 1] += 1;
            cost[from.max(to) + 1] -= 1;
        }
    }
    let mut sum = 0;
    for here in &mut cost {
        sum += *here;
        *here = sum;
    }
    cost
}

/// Where a piece ends that begins at a place: with a weight of `most` or less, and at least half of that, if there is a
/// block that ends there.
fn end(cfg: &Cfg, cost: &[i32], from: usize, most: usize) -> usize {
    let (mut size, mut best) = (0, None::<usize>);
    for place in from..cfg.order.len() {
        let block = &cfg.blocks[cfg.order[place]];
        if size + block.weight() > most && place > from {
            return best.unwrap_or(place);
        }
        size += block.weight();
        let cut = place + 1;
        if size * 2 >= most && best.is_none_or(|best| cost[cut] <= cost[best]) {
            best = Some(cut);
        }
    }
    cfg.order.len()
}

impl Builder<'_> {
    /// The function that others call: it leads to the first piece.
    pub(super) fn shell(mut self) -> Function {
        let entry = self.block();
        for reg in 1..=5 {
            let v = self.param(entry, Ty::I64);
            self.regs.set(Reg(reg), v);
        }
        let term = self.leave(0);
        self.end(term);
        self.f
    }

    /// Begins a piece: each of its entries takes over the registers that are live there.
    pub(super) fn enter(&mut self, piece: usize) {
        let cfg = self.cfg;
        let Some(pieces) = self.pieces else { return };
        let entries = &pieces.all[piece].entries;
        let number = (entries.len() > 1).then(|| self.emit(Op::Kept(ENTRY), Ty::I64));
        let mut open = vec![(self.at, 0..entries.len())];
        while let Some((at, range)) = open.pop() {
            self.at = at;
            if let (true, Some(number)) = (range.len() > 1, number) {
                let middle = range.start + range.len() / 2;
                let with = self.constant(middle as u64);
                let (low, high) = (self.block(), self.block());
                open.extend([(low, range.start..middle), (high, middle..range.end)]);
                let [then, other] = [low, high].map(|to| Edge { to, args: Vec::new() });
                self.end(Term::Branch { cond: Cond::Ult, a: number, b: with, then, other });
                continue;
            }
            let block = cfg.order[entries[range.start]];
            self.regs = Regs::default();
            for reg in cfg.live(block) {
                let v = self.emit(Op::Kept(reg.0), Ty::I64);
                self.regs.set(reg, v);
            }
            let edge = self.edge(block);
            self.end(Term::Jump(edge));
        }
    }

    /// The way to a block of another piece, over a block that leaves this one.
    pub(super) fn edge_out(&mut self, b: usize) -> Edge {
        let (term, term_pc) = (self.leave(b), self.pc as u32);
        let to = Block(self.f.blocks.len() as u32);
        self.f.blocks.push(BlockData { params: Vec::new(), insts: Vec::new(), term, term_pc });
        Edge { to, args: Vec::new() }
    }

    /// Leaves for a block, with what is live there of what registers hold now.
    fn leave(&mut self, b: usize) -> Term {
        let (cfg, pieces) = (self.cfg, self.pieces.expect("only what is cut is left"));
        let place = cfg.place[b];
        let at = pieces.at(place);
        let entries = &pieces.all[at].entries;
        let mut kept: Vec<_> = cfg.live(b).map(|reg| (reg.0, self.wide(reg))).collect();
        if entries.len() > 1 {
            let entry = entries.binary_search(&place).expect("an entry: it is entered here");
            kept.push((ENTRY, self.constant(entry as u64)));
        }
        Term::Leave { to: Func(pieces.first + at as u32), kept }
    }
}
