//! Valid functions that nobody wrote, for passes to be held against: evaluated before and after, they mean the same.
//!
//! Blocks are filled in order; edges lead forwards, or back to a block that dominates them with a counter, so everything
//! ends. Values are taken from the block and from those that dominate it. Memory is the frame, whose upper 64 bytes
//! are zero at entry, and that of
//! [`world`]; every function but the first gets an address of 8 bytes as `r1`.

//!
//! What passes look for is made on purpose (`idioms`): shifts up and down, masks, chains of constants, sums, slots of
//! which parts are written, divisors that a branch has tested, loops that count in many ways, short ways, blocks that only
//! test what is known already. Most of what a function has computed goes into what it returns.

mod idioms;
mod insts;
mod rng;
pub mod world;

pub use rng::Rng;

use super::{Bin, Block, BlockData, Cond, Edge, Function, Module, Op, Region, Service, Term, Ty, Val};
use insts::TYPES;
use skep_isa::Size;

/// Bytes of a frame that are used.
const USED: i16 = 64;

/// A valid module of one to three functions, by a seed. To be run with [`world`]; 100,000 steps are enough for most.
pub fn module(seed: u64) -> Module {
    let mut rng = Rng::new(seed);
    let functions = 1 + rng.below(3);
    let functions = (0..functions).map(|n| function(&mut rng, n, functions)).collect();
    Module { functions, ctx_bytes: 0 }
}

struct Gen<'r> {
    rng: &'r mut Rng,
    f: Function,
    number: usize,
    functions: usize,
    /// By block, that which immediately dominates it, once it is known.
    parent: Vec<Option<usize>>,
    /// The block that is filled.
    at: usize,
    /// Values that can be used there.
    values: Vec<Val>,
    frame: Val,
    /// Numbers that were used before.
    recent: Vec<u64>,
    /// What was looked up in the block, and may be an address.
    found: Option<Val>,
    kinds: Vec<Kind>,
}

/// What a block is for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Any,
    /// A few operations on a way round a branch.
    Way,
    /// Tests its first parameter.
    Test,
    /// Counts rounds with its first parameter up to a number, in steps.
    Head {
        most: u64,
        step: u64,
    },
}

fn function(rng: &mut Rng, number: usize, functions: usize) -> Function {
    let f = Function {
        name: format!("f{number}"),
        slot: number as u32 * 100,
        piece: false,
        zeroed: USED as u16,
        ..Function::empty()
    };
    let blocks = 1 + rng.below(8);
    let mut g = Gen {
        rng,
        f,
        number,
        functions,
        parent: vec![None; blocks],
        at: 0,
        values: Vec::new(),
        frame: Val(0),
        recent: Vec::new(),
        found: None,
        kinds: vec![Kind::Any; blocks],
    };
    g.run(blocks);
    g.f
}

impl Gen<'_> {
    fn run(&mut self, blocks: usize) {
        for b in 0..blocks {
            self.kinds[b] = self.kind(b, blocks);
            let least = match self.kinds[b] {
                Kind::Test | Kind::Head { .. } => 1,
                Kind::Any => usize::from(b > 1 && self.kinds[b - 1] == Kind::Way),
                Kind::Way => 0,
            };
            let count = match self.kinds[b] {
                _ if b == 0 => 5,
                Kind::Way => 0,
                _ => self.rng.below(4).max(least),
            };
            let mut params = Vec::new();
            for i in 0..count {
                // The first one may count rounds.
                let ty = if b == 0 || i == 0 { Ty::I64 } else { self.rng.of(&TYPES) };
                params.push(self.f.add(Op::Param, ty, self.pc(b)));
            }
            let term_pc = self.pc(b) + 9;
            self.f.blocks.push(BlockData { params, insts: Vec::new(), term: Term::Unreachable, term_pc });
        }
        for b in 0..blocks {
            if b > 0 && !self.settle(b) {
                continue;
            }
            self.at = b;
            self.found = None;
            self.values = self.dominating(b);
            if b == 0 {
                self.frame = self.emit(Op::Frame, Ty::I64);
            }
            self.guarded();
            match self.kinds[b] {
                Kind::Way | Kind::Test => (0..self.rng.below(4)).for_each(|_| self.cheap()),
                Kind::Any | Kind::Head { .. } => (0..1 + self.rng.below(9)).for_each(|_| self.inst()),
            }
            if self.rng.one_in(8) {
                let (base, value) = (self.emit(Op::Const(world::MAP), Ty::I64), self.digest());
                let (size, off, region) = (Size::DW, 8 * self.rng.below(8) as i32, Region::Map);
                self.emit(Op::Store { size, base, off, region, value }, Ty::None);
            }
            self.f.blocks[b].term = self.term(blocks);
        }
    }

    fn kind(&mut self, b: usize, blocks: usize) -> Kind {
        if b == 0 || b + 2 >= blocks || self.kinds[b - 1] != Kind::Any {
            return Kind::Any;
        }
        match self.rng.below(8) {
            0 => Kind::Way,
            1 | 2 => Kind::Test,
            3 => {
                let step = 1 + self.rng.below(3) as u64;
                Kind::Head { most: step * (1 + self.rng.below(9) as u64), step }
            }
            _ => Kind::Any,
        }
    }

    /// Uses what the branch before the block has tested: divides by it, or goes to where it points.
    fn guarded(&mut self) {
        let at = Block(self.at as u32);
        let Some(parent) = self.parent[self.at] else { return };
        let Term::Branch { cond, a, b, then, other } = self.f.blocks[parent].term.clone() else { return };
        let ways = self.f.blocks.iter().flat_map(|b| b.term.edges()).filter(|e| e.to == at).count();
        if ways != 1 {
            return;
        }
        let zero = self.f.constant(b) == Some(0);
        let not_null = zero && (cond == Cond::Ne && then.to == at || cond == Cond::Eq && other.to == at);
        let looked_up = match &self.f.node(a).op {
            Op::Service { service: Service::Lookup, args, .. } => self.f.constant(args[0]),
            _ => None,
        };
        if not_null && looked_up.and_then(world::array).is_some() {
            let (size, off, region) = (Size::W, 4 * self.rng.below(2) as i32, Region::Map);
            self.give(Op::Load { size, base: a, off, region }, Ty::I64);
            let value = self.val(Ty::I64);
            self.emit(Op::Store { size: Size::H, base: a, off, region, value }, Ty::None);
        } else if self.rng.one_in(2) {
            let ty = self.f.ty(a);
            let (op, x) = (self.rng.of(&[Bin::Udiv, Bin::Urem]), self.val(ty));
            // The same value, or what the same operation gives.
            let again = match self.f.node(a).op.clone() {
                op @ Op::Bin(..) if self.rng.one_in(2) => self.emit(op, ty),
                _ => a,
            };
            self.give(Op::Bin(op, x, again), ty);
        }
    }

    fn pc(&self, b: usize) -> u32 {
        self.f.slot + 10 * b as u32
    }

    /// Finds what dominates a block all whose ways from before are there. `false`: there are none.
    fn settle(&mut self, b: usize) -> bool {
        let leads = |p: &usize| self.f.blocks[*p].term.edges().any(|e| e.to.0 as usize == b);
        let mut meet = None;
        for p in (0..b).filter(leads) {
            meet = Some(meet.map_or(p, |mut a| {
                let mut b = p;
                while a != b {
                    let larger = if a > b { &mut a } else { &mut b };
                    *larger = self.parent[*larger].unwrap_or(0);
                }
                a
            }));
        }
        self.parent[b] = meet;
        meet.is_some()
    }

    /// Values of a block's parameters and of blocks that dominate it.
    fn dominating(&self, b: usize) -> Vec<Val> {
        let mut values = self.f.blocks[b].params.clone();
        let mut at = self.parent[b];
        while let Some(p) = at {
            values.extend(&self.f.blocks[p].params);
            values.extend(self.f.blocks[p].insts.iter().filter(|v| self.f.ty(**v) != Ty::None));
            at = self.parent[p];
        }
        // Addresses are no numbers: where frames lie is nobody's affair.
        let is_address =
            |v: Val| v == self.frame || matches!(self.f.node(v).op, Op::Bin(_, a, _) if a == self.frame);
        values.retain(|v| b == 0 || !is_address(*v));
        if self.number > 0 {
            values.retain(|v| *v != self.f.blocks[0].params[0]);
        }
        values
    }

    fn edge(&mut self, to: usize) -> Edge {
        let types: Vec<Ty> = self.f.blocks[to].params.iter().map(|p| self.f.ty(*p)).collect();
        let mut args: Vec<Val> = types.into_iter().map(|ty| self.val(ty)).collect();
        if self.kinds[to] == Kind::Test {
            match self.rng.below(4) {
                0 | 1 => args[0] = self.known(),
                2 => args[0] = self.inside(),
                _ => {}
            }
        }
        Edge { to: Block(to as u32), args }
    }

    /// A number that tests look for.
    fn known(&mut self) -> Val {
        let number = self.rng.of(&[0, 0, 1, 2, 5, u64::MAX]);
        self.emit(Op::Const(number), Ty::I64)
    }

    fn term(&mut self, blocks: usize) -> Term {
        let next = self.at + 1;
        if next == blocks || self.rng.one_in(14) {
            return Term::Return(self.digest());
        }
        if self.kinds[self.at] == Kind::Way {
            return Term::Jump(self.way_on(next));
        }
        if let Kind::Head { most, .. } = self.kinds[self.at] {
            return self.count(most, next, blocks);
        }
        if self.rng.one_in(3)
            && let Some(term) = self.round(next)
        {
            return term;
        }
        let far = |g: &mut Self| next + g.rng.below((blocks - next).min(3));
        if self.rng.one_in(5) {
            let to = far(self);
            return Term::Jump(self.edge(to));
        }
        let found = self.found.filter(|_| !self.rng.one_in(3));
        let (cond, a, b) = match found {
            _ if self.kinds[self.at] == Kind::Test => {
                (self.rng.of(&insts::CONDS), self.f.blocks[self.at].params[0], self.known())
            }
            Some(found) => (self.rng.of(&[Cond::Eq, Cond::Ne]), found, self.emit(Op::Const(0), Ty::I64)),
            None => {
                let ty = self.rng.of(&TYPES);
                self.comparison(ty)
            }
        };
        let short = next + 1 < blocks && self.kinds[next] == Kind::Way && !self.rng.one_in(4);
        let (then, other) = if short { (next, next + 1) } else { (far(self), far(self)) };
        let (then, other) = (self.edge(then), self.edge(other));
        match self.rng.one_in(2) {
            true => Term::Branch { cond, a, b, then, other },
            false => Term::Branch { cond, a, b, then: other, other: then },
        }
    }

    /// The end of a short way: another value than the way round it gives.
    fn way_on(&mut self, next: usize) -> Edge {
        let mut edge = self.edge(next);
        let round = self.f.blocks[self.at - 1].term.edges().find(|e| e.to == edge.to);
        let alone = self.parent[self.at] == Some(self.at - 1);
        if let Some(args) = round.map(|e| e.args.clone()).filter(|a| alone && !a.is_empty()) {
            let at = self.rng.below(args.len());
            edge.args = args;
            edge.args[at] = self.val(self.f.ty(edge.args[at]));
        }
        edge
    }

    /// The test at a loop's beginning.
    fn count(&mut self, most: u64, next: usize, blocks: usize) -> Term {
        let counter = self.f.blocks[self.at].params[0];
        let (cond, number) = self.rng.of(&[(Cond::Uge, 0), (Cond::Eq, 0), (Cond::Ugt, 1), (Cond::Sge, 0)]);
        let b = self.emit(Op::Const(most.saturating_sub(number)), Ty::I64);
        let end = (next + 1 + self.rng.below(2)).min(blocks - 1);
        let (then, other) = (self.edge(end), self.edge(next));
        match self.rng.one_in(2) {
            true => Term::Branch { cond, a: counter, b, then, other },
            false => Term::Branch { cond: cond.negated(), a: counter, b, then: other, other: then },
        }
    }

    /// Goes back to a block that dominates this one, a few times.
    fn round(&mut self, next: usize) -> Option<Term> {
        let mut heads = Vec::new();
        let mut at = Some(self.at);
        while let Some(b) = at.filter(|b| *b > 0) {
            heads.extend((!self.f.blocks[b].params.is_empty()).then_some(b));
            at = self.parent[b];
        }
        if heads.is_empty() {
            return None;
        }
        let head = self.rng.of(&heads);
        let counter = self.f.blocks[head].params[0];
        if let Kind::Head { step, .. } = self.kinds[head] {
            // The test stands at the beginning, where it begins as zero.
            if self.begins_as(head, 0) {
                let mut edge = self.edge(head);
                edge.args[0] = self.stepped(counter, Bin::Add, step);
                return Some(Term::Jump(edge));
            }
        }
        let step = 1 + self.rng.below(3) as u64;
        let most = step * (1 + self.rng.below(12) as u64);
        // How it goes on, where it begins, and what it is compared with.
        let (bin, step, first, cond, most) = match self.rng.below(8) {
            0 => (Bin::Add, step, 0, Cond::Ne, most),
            1 => (Bin::Add, step, 7, Cond::Ne, most + 7),
            2 => (Bin::Add, step.wrapping_neg(), most, Cond::Ne, 0),
            3 => (Bin::Sub, step, most, self.rng.of(&[Cond::Sgt, Cond::Ugt]), 0),
            4 => (Bin::Shl, 1, 3, Cond::Ule, most << 8),
            5 => (Bin::Shr, step, 0xffff_ffff, Cond::Ugt, most),
            6 => (Bin::Add, step, most.wrapping_neg(), self.rng.of(&[Cond::Slt, Cond::Ne]), 0),
            _ => (Bin::Add, step, 0, self.rng.of(&[Cond::Ult, Cond::Ule, Cond::Slt]), most),
        };
        if !self.begins_as(head, first) {
            let up = self.stepped(counter, Bin::Add, 1);
            return Some(self.back(head, next, (Cond::Ult, up, most.min(40)), up));
        }
        let up = self.stepped(counter, bin, step);
        // The counter before or after the step, or its low half.
        let tested = match self.rng.below(6) {
            0 if cond != Cond::Ne => counter,
            1 => self.emit(Op::Trunc(up), Ty::I32),
            _ => up,
        };
        Some(self.back(head, next, (cond, tested, most), up))
    }

    fn stepped(&mut self, counter: Val, bin: Bin, step: u64) -> Val {
        let step = self.emit(Op::Const(step), Ty::I64);
        self.emit(Op::Bin(bin, counter, step), Ty::I64)
    }

    fn back(&mut self, head: usize, next: usize, (cond, a, most): (Cond, Val, u64), up: Val) -> Term {
        let ty = self.f.ty(a);
        let most = if ty == Ty::I32 { u64::from(most as u32) } else { most };
        let b = self.emit(Op::Const(most), ty);
        let mut then = self.edge(head);
        then.args[0] = up;
        let other = self.edge(next);
        match self.rng.one_in(4) {
            true => Term::Branch { cond: cond.negated(), a, b, then: other, other: then },
            false => Term::Branch { cond, a, b, then, other },
        }
    }

    /// Lets the first parameter of a block begin as a number on all ways from before; `false` when somebody goes back there
    /// already.
    fn begins_as(&mut self, head: usize, number: u64) -> bool {
        let leads = |block: &BlockData| block.term.edges().any(|e| e.to.0 as usize == head);
        if self.f.blocks[head..].iter().any(leads) {
            return false;
        }
        for p in 0..head {
            if !leads(&self.f.blocks[p]) {
                continue;
            }
            let first = self.f.add(Op::Const(number), Ty::I64, self.pc(p));
            self.f.blocks[p].insts.push(first);
            let edges = self.f.blocks[p].term.edges_mut().filter(|e| e.to.0 as usize == head);
            edges.for_each(|e| e.args[0] = first);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Func;
    use crate::ir::eval::{Stop, run};

    #[test]
    fn modules_are_valid_end_and_are_read_back() {
        let (mut ends, mut loops) = (0, 0);
        for seed in 0..400 {
            let mut m = module(seed);
            m.check().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{m}"));
            let text = m.to_string();
            let again = Module::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{m}"));
            assert_eq!(again.to_string(), text, "seed {seed}");
            let r0 = |m: &Module| run(m, &mut world::world(), Func(0), [1, 2, 3, 4, 5], 100_000);
            let before = r0(&m);
            assert!(matches!(before, Ok(_) | Err(Stop::Steps)), "seed {seed}: {before:?}\n{m}");
            ends += u32::from(before.is_ok());
            loops += u32::from(text.contains("branch ult") || text.contains("branch ne"));
            for f in &mut m.functions {
                f.drop_same_params();
                f.compact();
            }
            m.check().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{m}"));
            assert_eq!(Module::parse(&m.to_string()).as_ref(), Ok(&m), "seed {seed}");
            if before.is_ok() {
                assert_eq!(r0(&m), before, "seed {seed}\n{text}\nafter:\n{m}");
            }
        }
        assert!(ends > 350 && loops > 50, "{ends} ended, {loops} have loops");
    }
}
