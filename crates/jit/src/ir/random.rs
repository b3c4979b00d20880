//! Valid functions that nobody wrote, for passes to be held against: evaluated before and after, they mean the same.
//!
//! Blocks are filled in order; edges lead forwards, or back to a block that dominates them with a counter, so everything
//! ends. Values are taken from the block and from those that dominate it. Memory is the frame, whose upper 64 bytes
//! are zero at entry, and [`MAP`]; every function but the first gets an address of 8 bytes as `r1`.

use std::collections::BTreeMap;

use skep_isa::{AtomicOp, Size};

use super::eval::{Plain, Stop, World};
use super::{
    Bin, Block, BlockData, Cond, Edge, FrameBytes, FrameUse, Func, Function, Module, Op, Region, Service,
    Term, Ty, Val,
};

/// Address of 64 bytes that are no frame.
pub const MAP: u64 = 0x5000_0000;
/// Bytes of a frame that are used.
const USED: i16 = 64;

/// A world in which [`module`]s run: frames, the map's bytes, and services that read and write what they are given.
pub fn world() -> Plain {
    let mut world = Plain::new(0x7000_0000);
    world.memory.extend(BTreeMap::from([(MAP, vec![7; USED as usize])]));
    world.services = service;
    world
}

/// `helper 0(p)` adds to 8 bytes at `p`, `helper 1(a, b)` mixes numbers, `lookup` reads 4 bytes, `call_back_next` leaves
/// arguments.
fn service(world: &mut Plain, service: Service, args: &[u64], left: &mut [u64; 5]) -> Result<u64, Stop> {
    world.count += 1;
    match service {
        Service::Helper { index: 0 } => {
            let old = world.load(args[0], Size::DW)?;
            world.store(args[0], Size::DW, old.rotate_left(9) ^ world.count)?;
            Ok(old)
        }
        Service::Helper { .. } => Ok(args.iter().fold(world.count, |a, b| a.rotate_left(7) ^ b)),
        Service::Lookup => Ok(world.load(args[1], Size::W)?.wrapping_mul(3)),
        Service::CallBackNext => {
            *left = [args[0], world.count, 2, 3, 4];
            Ok(args[0] & 1)
        }
        _ => Err(Stop::Service(format!("there is no `{service}`"))),
    }
}

/// A source of numbers.
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below another.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number that something may turn on.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(10) as u64,
            1 => (self.below(10) as u64).wrapping_neg(),
            2 => self.of(&[
                0x7f,
                0x80,
                0xff,
                0xffff,
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                1 << 63,
                u64::MAX >> 1,
            ]),
            _ => (self.below(1 << 32) as u64) << 32 | self.below(1 << 32) as u64,
        }
    }
}

/// A valid module of one to three functions, by a seed. To be run with [`world`]; 100,000 steps are enough for most.
pub fn module(seed: u64) -> Module {
    let mut rng = Rng::new(seed);
    let functions = 1 + rng.below(3);
    let functions = (0..functions).map(|n| function(&mut rng, n, functions)).collect();
    Module { functions, ctx_bytes: 0 }
}

const BINS: [Bin; 13] = [
    Bin::Add,
    Bin::Sub,
    Bin::Mul,
    Bin::And,
    Bin::Or,
    Bin::Xor,
    Bin::Shl,
    Bin::Shr,
    Bin::Sar,
    Bin::Udiv,
    Bin::Urem,
    Bin::Sdiv,
    Bin::Srem,
];
const CONDS: [Cond; 12] = [
    Cond::Eq,
    Cond::Ne,
    Cond::Ult,
    Cond::Ule,
    Cond::Ugt,
    Cond::Uge,
    Cond::Slt,
    Cond::Sle,
    Cond::Sgt,
    Cond::Sge,
    Cond::Set,
    Cond::Clear,
];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];
const TYPES: [Ty; 2] = [Ty::I32, Ty::I64];
const ATOMICS: [AtomicOp; 6] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Xor { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Or { fetch: false },
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];

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
}

fn function(rng: &mut Rng, number: usize, functions: usize) -> Function {
    let f = Function {
        name: format!("f{number}"),
        slot: number as u32 * 100,
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
    };
    g.run(blocks);
    g.f
}

impl Gen<'_> {
    fn run(&mut self, blocks: usize) {
        for b in 0..blocks {
            let count = if b == 0 { 5 } else { self.rng.below(4) };
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
            self.values = self.dominating(b);
            if b == 0 {
                self.frame = self.emit(Op::Frame, Ty::I64);
            }
            for _ in 0..1 + self.rng.below(10) {
                self.inst();
            }
            self.f.blocks[b].term = self.term(blocks);
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

    fn emit(&mut self, op: Op, ty: Ty) -> Val {
        let pc = self.pc(self.at) + self.f.blocks[self.at].insts.len() as u32 % 9;
        let v = self.f.add(op, ty, pc);
        self.f.blocks[self.at].insts.push(v);
        v
    }

    fn give(&mut self, op: Op, ty: Ty) {
        let v = self.emit(op, ty);
        self.values.push(v);
    }

    /// A value of a type: mostly one that there is.
    fn val(&mut self, ty: Ty) -> Val {
        let all: Vec<Val> = self.values.iter().copied().filter(|v| self.f.ty(*v) == ty).collect();
        if all.is_empty() || self.rng.one_in(6) {
            let number = self.rng.number();
            let number = if ty == Ty::I32 { u64::from(number as u32) } else { number };
            let v = self.emit(Op::Const(number), ty);
            self.values.push(v);
            return v;
        }
        // The newest most of all.
        let newest = all.len() - 1 - self.rng.below(all.len().min(6));
        if self.rng.one_in(3) { self.rng.of(&all) } else { all[newest] }
    }

    /// A place for a size: base, offset, region.
    fn place(&mut self, size: Size) -> (Val, i32, Region) {
        let n = size.bytes();
        let aligned = (self.rng.below(USED as usize / n) * n) as i32;
        match self.rng.below(8) {
            0 => {
                let base = self.emit(Op::Const(MAP), Ty::I64);
                (base, aligned, Region::Map)
            }
            1 if self.number > 0 => {
                (self.f.blocks[0].params[0], (self.rng.below(8 / n) * n) as i32, Region::Any)
            }
            2 => {
                let moved = self.rng.below(4) as i32 * 8;
                let number = self.emit(Op::Const((i64::from(moved) - i64::from(USED)) as u64), Ty::I64);
                let base = self.emit(Op::Bin(Bin::Add, self.frame, number), Ty::I64);
                (base, (aligned - moved).max(0), Region::Frame)
            }
            _ => (self.frame, aligned - i32::from(USED), Region::Frame),
        }
    }

    /// An address of 8 bytes, and what of the frame it is.
    fn pointer(&mut self) -> (Val, FrameUse) {
        match self.rng.below(4) {
            0 => (self.emit(Op::Const(MAP + 8), Ty::I64), FrameUse::Bytes([].into())),
            1 if self.number > 0 => (self.f.blocks[0].params[0], FrameUse::Bytes([].into())),
            _ => {
                let off = -8 * (1 + self.rng.below(USED as usize / 8) as i16);
                let number = self.emit(Op::Const(i64::from(off) as u64), Ty::I64);
                let at = self.emit(Op::Bin(Bin::Add, self.frame, number), Ty::I64);
                let bytes = FrameBytes { from: off, to: off + 8 };
                let all = self.rng.one_in(4);
                (at, if all { FrameUse::All } else { FrameUse::Bytes([bytes].into()) })
            }
        }
    }

    fn inst(&mut self) {
        let ty = self.rng.of(&TYPES);
        match self.rng.below(20) {
            0..=4 => {
                let (op, a, b) = (self.rng.of(&BINS), self.val(ty), self.val(ty));
                self.give(Op::Bin(op, a, b), ty);
            }
            5 => {
                let a = self.val(Ty::I64);
                self.give(Op::Trunc(a), Ty::I32);
            }
            6 => {
                let a = self.val(Ty::I32);
                self.give(Op::Zext(a), Ty::I64);
            }
            7 => {
                let from = if ty == Ty::I32 { Ty::I32 } else { self.rng.of(&TYPES) };
                let size = self.rng.of(&SIZES[..if from == Ty::I32 { 3 } else { 4 }]);
                let a = self.val(from);
                self.give(Op::Sext(size, a), ty);
            }
            8 => {
                let size = self.rng.of(&SIZES[..if ty == Ty::I32 { 3 } else { 4 }]);
                let a = self.val(ty);
                self.give(Op::Swap(size, a), ty);
            }
            9 => {
                let (cond, a, b) = (self.rng.of(&CONDS), self.val(ty), self.val(ty));
                let to = self.rng.of(&TYPES);
                self.give(Op::Cmp(cond, a, b), to);
            }
            10 => {
                let (cond, a, b) = (self.rng.of(&CONDS), self.val(ty), self.val(ty));
                let to = self.rng.of(&TYPES);
                let (x, y) = (self.val(to), self.val(to));
                self.give(Op::Select(cond, a, b, x, y), to);
            }
            11..=13 => {
                let size = self.rng.of(&SIZES[..if ty == Ty::I32 { 3 } else { 4 }]);
                let (base, off, region) = self.place(size);
                match self.rng.one_in(6) {
                    true => self.give(Op::LoadAcquire { size, base, off, region }, ty),
                    false => self.give(Op::Load { size, base, off, region }, ty),
                }
            }
            14..=16 => {
                let size = self.rng.of(&SIZES[..if ty == Ty::I32 { 3 } else { 4 }]);
                let (base, off, region) = self.place(size);
                let value = self.val(ty);
                let op = match self.rng.one_in(6) {
                    true => Op::StoreRelease { size, base, off, region, value },
                    false => Op::Store { size, base, off, region, value },
                };
                self.emit(op, Ty::None);
            }
            17 => self.atomic(ty),
            18 => self.service(),
            _ => self.call(),
        }
    }

    fn atomic(&mut self, ty: Ty) {
        let op = self.rng.of(&ATOMICS);
        let size = if ty == Ty::I32 { Size::W } else { Size::DW };
        let (base, off, region) = self.place(size);
        let value = self.val(ty);
        let expected = if op == AtomicOp::Cmpxchg { self.val(ty) } else { value };
        let op_node = Op::Atomic { op, size, base, off, region, value, expected };
        if op.fetches() {
            self.give(op_node, ty);
        } else {
            self.emit(op_node, Ty::None);
        }
    }

    fn service(&mut self) {
        let (pointer, frame) = self.pointer();
        let none = FrameUse::Bytes([].into());
        let op = match self.rng.below(4) {
            0 => Op::Service { service: Service::Helper { index: 0 }, args: [pointer].into(), frame },
            1 => {
                let args = [self.val(Ty::I64), self.val(Ty::I64)].into();
                Op::Service { service: Service::Helper { index: 1 }, args, frame: none }
            }
            2 => {
                let map = self.emit(Op::Const(0xffff_9000_0000_0000), Ty::I64);
                Op::Service { service: Service::Lookup, args: [map, pointer].into(), frame }
            }
            _ => {
                let a = self.val(Ty::I64);
                self.give(
                    Op::Service { service: Service::CallBackNext, args: [a].into(), frame: none },
                    Ty::I64,
                );
                let n = self.rng.below(3) as u8;
                Op::Arg(n)
            }
        };
        self.give(op, Ty::I64);
    }

    fn call(&mut self) {
        if self.number + 1 == self.functions {
            return;
        }
        let func = Func((self.number + 1 + self.rng.below(self.functions - self.number - 1)) as u32);
        let (pointer, frame) = self.pointer();
        let mut args = [1, 2, 3, 4, 5].map(|_| self.val(Ty::I64));
        args[0] = pointer;
        self.give(Op::Call { func, args: Box::new(args), frame }, Ty::I64);
    }

    fn edge(&mut self, to: usize) -> Edge {
        let types: Vec<Ty> = self.f.blocks[to].params.iter().map(|p| self.f.ty(*p)).collect();
        let args = types.into_iter().map(|ty| self.val(ty)).collect();
        Edge { to: Block(to as u32), args }
    }

    fn term(&mut self, blocks: usize) -> Term {
        let next = self.at + 1;
        if next == blocks || self.rng.one_in(12) {
            return Term::Return(self.val(Ty::I64));
        }
        if self.rng.one_in(4)
            && let Some(term) = self.round(next)
        {
            return term;
        }
        let far = |g: &mut Self| next + g.rng.below((blocks - next).min(3));
        match self.rng.below(4) {
            0 => {
                let to = far(self);
                Term::Jump(self.edge(to))
            }
            _ => {
                let ty = self.rng.of(&TYPES);
                let (cond, a, b) = (self.rng.of(&CONDS), self.val(ty), self.val(ty));
                let (then, other) = (far(self), far(self));
                let (then, other) = (self.edge(then), self.edge(other));
                Term::Branch { cond, a, b, then, other }
            }
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
        let step = 1 + self.rng.below(3) as u64;
        let most = step * (1 + self.rng.below(12) as u64);
        let cond = if self.rng.one_in(2) && self.begins_as_zero(head) { Cond::Ne } else { Cond::Ult };
        let [step, most] = [step, most].map(|n| self.emit(Op::Const(n), Ty::I64));
        let up = self.emit(Op::Bin(Bin::Add, counter, step), Ty::I64);
        let mut then = self.edge(head);
        then.args[0] = up;
        let other = self.edge(next);
        Some(Term::Branch { cond, a: up, b: most, then, other })
    }

    /// Lets the first parameter of a block begin as 0 on all ways from before; `false` when somebody goes back there already.
    fn begins_as_zero(&mut self, head: usize) -> bool {
        let leads = |block: &BlockData| block.term.edges().any(|e| e.to.0 as usize == head);
        if self.f.blocks[head..].iter().any(leads) {
            return false;
        }
        for p in 0..head {
            if !leads(&self.f.blocks[p]) {
                continue;
            }
            let zero = self.f.add(Op::Const(0), Ty::I64, self.pc(p));
            self.f.blocks[p].insts.push(zero);
            let edges = self.f.blocks[p].term.edges_mut().filter(|e| e.to.0 as usize == head);
            edges.for_each(|e| e.args[0] = zero);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::eval::run;

    #[test]
    fn modules_are_valid_end_and_are_read_back() {
        let (mut ends, mut loops) = (0, 0);
        for seed in 0..400 {
            let mut m = module(seed);
            m.check().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{m}"));
            let text = m.to_string();
            let again = Module::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{m}"));
            assert_eq!(again.to_string(), text, "seed {seed}");
            let r0 = |m: &Module| run(m, &mut world(), Func(0), [1, 2, 3, 4, 5], 100_000);
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
