//! Instructions at random.

use skep_isa::{AtomicOp, Size};

use super::world::{MAP, content};
use super::{Gen, USED};
use crate::ir::{Bin, Cond, FrameBytes, FrameUse, Func, Op, Region, Service, Ty, Val};

pub(super) const BINS: [Bin; 13] = [
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
pub(super) const CONDS: [Cond; 12] = [
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
pub(super) const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];
pub(super) const TYPES: [Ty; 2] = [Ty::I32, Ty::I64];
const ATOMICS: [AtomicOp; 6] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Xor { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Or { fetch: false },
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];

impl Gen<'_> {
    pub(super) fn emit(&mut self, op: Op, ty: Ty) -> Val {
        let pc = self.pc(self.at) + self.f.blocks[self.at].insts.len() as u32 % 9;
        let v = self.f.add(op, ty, pc);
        self.f.blocks[self.at].insts.push(v);
        v
    }

    pub(super) fn give(&mut self, op: Op, ty: Ty) {
        let v = self.emit(op, ty);
        self.values.push(v);
    }

    /// A value of a type: mostly one that there is.
    pub(super) fn val(&mut self, ty: Ty) -> Val {
        let all: Vec<Val> = self.values.iter().copied().filter(|v| self.f.ty(*v) == ty).collect();
        if all.is_empty() || self.rng.one_in(6) {
            let number = self.near();
            return self.constant(number, ty);
        }
        // The newest most of all.
        let newest = all.len() - 1 - self.rng.below(all.len().min(6));
        if self.rng.one_in(3) { self.rng.of(&all) } else { all[newest] }
    }

    /// A place for a size: base, offset, region.
    pub(super) fn place(&mut self, size: Size) -> (Val, i32, Region) {
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
    pub(super) fn pointer(&mut self) -> (Val, FrameUse) {
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

    pub(super) fn inst(&mut self) {
        let ty = self.rng.of(&TYPES);
        match self.rng.below(30) {
            20.. => self.idiom(ty),
            0..=4 => {
                let (op, a) = (self.rng.of(&BINS), self.val(ty));
                let b = match self.rng.below(8) {
                    0 => a,
                    1..=4 => self.operand_of(op, ty),
                    _ => self.val(ty),
                };
                let (a, b) = if self.rng.one_in(12) { (b, a) } else { (a, b) };
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
                let (cond, a, b) = self.comparison(ty);
                let to = self.rng.of(&TYPES);
                self.give(Op::Cmp(cond, a, b), to);
            }
            10 => {
                let (cond, a, b) = self.comparison(ty);
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

    /// Operands of a comparison: often a number and one beside others, or what has zeros above.
    pub(super) fn comparison(&mut self, ty: Ty) -> (Cond, Val, Val) {
        let zeros = ty == Ty::I64 && self.rng.one_in(3);
        let extended = |g: &mut Self| {
            let low = g.val(Ty::I32);
            g.emit(Op::Zext(low), Ty::I64)
        };
        let (cond, a) = (self.rng.of(&CONDS), if zeros { extended(self) } else { self.val(ty) });
        let b = match self.rng.below(8) {
            0 => a,
            1..=3 => {
                let number = self.near();
                self.constant(number, ty)
            }
            4 => {
                let number = self.rng.of(&[0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, u64::MAX]);
                self.constant(number, ty)
            }
            _ if zeros => extended(self),
            _ => self.val(ty),
        };
        if self.rng.one_in(3) { (cond, b, a) } else { (cond, a, b) }
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
                let number = self.rng.below(3);
                let map = self.emit(Op::Const(content(number)), Ty::I64);
                if number < 2 {
                    // A key that is there, mostly.
                    let (key, three) = (self.val(Ty::I32), self.emit(Op::Const(3), Ty::I32));
                    let key = if self.rng.one_in(6) {
                        key
                    } else {
                        self.emit(Op::Bin(Bin::And, key, three), Ty::I32)
                    };
                    let (size, region) = (Size::W, Region::Any);
                    self.emit(Op::Store { size, base: pointer, off: 0, region, value: key }, Ty::None);
                    self.found = Some(Val(self.f.nodes.len() as u32));
                }
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
}
