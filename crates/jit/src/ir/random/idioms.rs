//! Shapes that passes look for.

use skep_isa::Size;

use super::Gen;
use super::insts::{BINS, SIZES, TYPES};
use super::world::MAP;
use crate::ir::{Bin, Op, Region, Ty, Val};

/// Operations that a short way may have.
const CHEAP: [Bin; 8] = [Bin::Add, Bin::Sub, Bin::And, Bin::Or, Bin::Xor, Bin::Shl, Bin::Shr, Bin::Sar];

impl Gen<'_> {
    /// A number, often one beside those that were used before.
    pub(super) fn near(&mut self) -> u64 {
        if !self.recent.is_empty() && self.rng.one_in(3) {
            let beside = self.rng.of(&[0, 1, u64::MAX]);
            return self.rng.of(&self.recent).wrapping_add(beside);
        }
        let number = self.rng.number();
        self.recent.push(number);
        number
    }

    pub(super) fn constant(&mut self, number: u64, ty: Ty) -> Val {
        let number = if ty == Ty::I32 { u64::from(number as u32) } else { number };
        let v = self.emit(Op::Const(number), ty);
        self.values.push(v);
        v
    }

    /// A constant as the second operand of an operation.
    pub(super) fn operand_of(&mut self, op: Bin, ty: Ty) -> Val {
        let number = match op {
            Bin::Shl | Bin::Shr | Bin::Sar => self.shift(),
            Bin::Udiv | Bin::Urem | Bin::Sdiv | Bin::Srem if !self.rng.one_in(3) => {
                self.rng.of(&[0, 1, 2, 3, 7, 10, 16, 255, 256, 1 << 31, 1 << 32, 1 << 63, u64::MAX])
            }
            Bin::Mul if !self.rng.one_in(3) => self.rng.of(&[
                0,
                1,
                2,
                3,
                5,
                7,
                8,
                9,
                15,
                17,
                31,
                (1 << 20) + 1,
                (1 << 31) - 1,
                (1 << 32) + 1,
                (1 << 62) - 1,
                (1 << 63) + 1,
                u64::MAX,
            ]),
            _ => self.near(),
        };
        self.constant(number, ty)
    }

    fn shift(&mut self) -> u64 {
        match self.rng.below(3) {
            0 => self.rng.below(70) as u64,
            _ => self.rng.of(&[0, 1, 7, 8, 16, 24, 31, 32, 33, 48, 56, 63, 64]),
        }
    }

    fn bin(&mut self, op: Bin, a: Val, b: Val, ty: Ty) -> Val {
        let v = self.emit(Op::Bin(op, a, b), ty);
        self.values.push(v);
        v
    }

    /// An operation without effect that takes a cycle.
    pub(super) fn cheap(&mut self) {
        let ty = self.rng.of(&TYPES);
        let (op, a) = (self.rng.of(&CHEAP), self.val(ty));
        let b = if self.rng.one_in(2) { self.operand_of(op, ty) } else { self.val(ty) };
        self.bin(op, a, b, ty);
    }

    /// An address that is a constant and a small number: 8 bytes that may be accessed.
    pub(super) fn inside(&mut self) -> Val {
        let (base, x) = (self.emit(Op::Const(MAP), Ty::I64), self.val(Ty::I64));
        let mask = self.emit(Op::Const(3), Ty::I64);
        let small = self.emit(Op::Bin(Bin::And, x, mask), Ty::I64);
        let (by, eight) = (self.emit(Op::Const(3), Ty::I64), self.emit(Op::Const(8), Ty::I64));
        let off = match self.rng.one_in(2) {
            true => self.emit(Op::Bin(Bin::Shl, small, by), Ty::I64),
            false => self.emit(Op::Bin(Bin::Mul, small, eight), Ty::I64),
        };
        // What is added may stand anywhere in the sum.
        let more = 8 * self.rng.below(4) as u64;
        let more = self.emit(Op::Const(more), Ty::I64);
        match self.rng.below(3) {
            0 => self.emit(Op::Bin(Bin::Add, base, off), Ty::I64),
            1 => {
                let sum = self.emit(Op::Bin(Bin::Add, off, more), Ty::I64);
                self.emit(Op::Bin(Bin::Add, sum, base), Ty::I64)
            }
            _ => {
                let sum = self.emit(Op::Bin(Bin::Add, base, more), Ty::I64);
                self.emit(Op::Bin(Bin::Add, sum, off), Ty::I64)
            }
        }
    }

    /// Several instructions that belong together.
    pub(super) fn idiom(&mut self, ty: Ty) {
        match self.rng.below(9) {
            0 => self.up_and_down(ty),
            1 | 2 => self.chain(ty),
            3 => self.narrow(),
            4 => self.signs(ty),
            5 => {
                let (base, size, region) = (self.inside(), self.rng.of(&SIZES), Region::Map);
                let value = self.val(Ty::I64);
                let off = 4 * self.rng.below(2) as i32;
                let off = off.min(8 - size.bytes() as i32);
                self.give(Op::Load { size, base, off, region }, Ty::I64);
                self.emit(Op::Store { size, base, off, region, value }, Ty::None);
            }
            6 => self.parts(),
            7 => self.sum(ty),
            _ => self.divided(ty),
        }
    }

    /// A shift up and another down, by as much or nearly.
    fn up_and_down(&mut self, ty: Ty) {
        let (x, by) = (self.val(ty), self.shift());
        let back = if self.rng.one_in(4) { self.shift() } else { by };
        let (by, back) = (self.constant(by, ty), self.constant(back, ty));
        let up = self.bin(Bin::Shl, x, by, ty);
        let down = self.rng.of(&[Bin::Shr, Bin::Sar, Bin::Shl]);
        self.bin(down, up, back, ty);
    }

    /// Operations by constants one behind the other, mostly the same.
    fn chain(&mut self, ty: Ty) {
        let mut op = self.rng.of(&BINS);
        let mut v = self.val(ty);
        for _ in 0..2 + self.rng.below(2) {
            let by = self.operand_of(op, ty);
            v = self.bin(op, v, by, ty);
            if self.rng.one_in(4) {
                op = self.rng.of(&BINS);
            }
        }
    }

    /// An operation of 64 bits on what has zeros or signs above, and its low half.
    fn narrow(&mut self) {
        let (op, a, b) = (self.rng.of(&BINS), self.val(Ty::I32), self.val(Ty::I32));
        let signs = self.rng.one_in(3);
        let a = self.emit(if signs { Op::Sext(Size::W, a) } else { Op::Zext(a) }, Ty::I64);
        let shifts = matches!(op, Bin::Shl | Bin::Shr | Bin::Sar);
        let b = match self.rng.below(3) {
            0 => self.operand_of(op, Ty::I64),
            1 if shifts => {
                let by = self.rng.below(40) as u64;
                self.constant(by, Ty::I64)
            }
            1 => self.emit(Op::Sext(Size::W, b), Ty::I64),
            _ => self.emit(Op::Zext(b), Ty::I64),
        };
        let (a, b) = if self.rng.one_in(4) { (b, a) } else { (a, b) };
        let v = self.bin(op, a, b, Ty::I64);
        if self.rng.one_in(2) {
            self.give(Op::Trunc(v), Ty::I32);
        }
    }

    /// Extensions of what was extended or cut.
    fn signs(&mut self, ty: Ty) {
        let sizes = &SIZES[..3];
        let (a, b) = (self.rng.of(sizes), self.rng.of(sizes));
        let x = self.val(Ty::I32);
        let wide = match self.rng.below(3) {
            0 => self.emit(Op::Zext(x), Ty::I64),
            1 => self.emit(Op::Sext(a, x), Ty::I64),
            _ => self.val(Ty::I64),
        };
        match self.rng.below(3) {
            0 => self.give(Op::Sext(b, wide), Ty::I64),
            1 => self.give(Op::Trunc(wide), Ty::I32),
            _ => {
                let low = self.emit(Op::Sext(a, x), Ty::I32);
                self.give(Op::Sext(b, low), ty);
            }
        }
    }

    /// Eight bytes of the frame, written and read in parts of different sizes.
    fn parts(&mut self) {
        let at = -8 * (1 + self.rng.below(8) as i32);
        for _ in 0..2 + self.rng.below(3) {
            let (size, ty, region) = (self.rng.of(&SIZES), Ty::I64, Region::Frame);
            let n = size.bytes();
            let off = at + (self.rng.below(8 / n) * n) as i32;
            if self.rng.one_in(3) {
                self.give(Op::Load { size, base: self.frame, off, region }, ty);
            } else {
                let value = self.val(ty);
                self.emit(Op::Store { size, base: self.frame, off, region, value }, Ty::None);
            }
        }
        let size = self.rng.of(&SIZES);
        let off = at + (self.rng.below(8 / size.bytes()) * size.bytes()) as i32;
        self.give(Op::Load { size, base: self.frame, off, region: Region::Frame }, Ty::I64);
    }

    /// A long sum that begins with a parameter of the block.
    fn sum(&mut self, ty: Ty) {
        let op = self.rng.of(&[Bin::Add, Bin::Xor, Bin::And, Bin::Or]);
        let params = &self.f.blocks[self.at].params;
        let Some(mut v) = params.iter().copied().find(|p| self.f.ty(*p) == ty) else { return };
        if self.number > 0 && self.at == 0 {
            return;
        }
        let leaves: Vec<Val> = (0..3 + self.rng.below(3))
            .map(|_| {
                let (a, by) = (self.val(ty), self.near());
                let by = self.constant(by, ty);
                self.emit(Op::Bin(Bin::Xor, a, by), ty)
            })
            .collect();
        for leaf in leaves {
            v = self.emit(Op::Bin(op, v, leaf), ty);
        }
        self.values.push(v);
    }

    /// A division by what looks as if it were never zero; not all of it is.
    fn divided(&mut self, ty: Ty) {
        let (x, d) = (self.val(ty), self.val(ty));
        let small = self.rng.of(&[0, 1, 3, 8]);
        let n = self.constant(small, ty);
        let zeros = self.emit(Op::Const(if ty == Ty::I32 { 24 } else { 40 }), ty);
        let by = match self.rng.below(5) {
            0 => self.emit(Op::Bin(Bin::Or, d, n), ty),
            1 => {
                let low = self.emit(Op::Bin(Bin::Shr, d, zeros), ty);
                self.emit(Op::Bin(Bin::Add, low, n), ty)
            }
            2 => self.emit(Op::Bin(Bin::Add, d, n), ty),
            3 => self.emit(Op::Bin(Bin::And, d, n), ty),
            _ => {
                let (cond, a, b) = self.comparison(ty);
                self.emit(Op::Select(cond, a, b, n, d), ty)
            }
        };
        let op = self.rng.of(&[Bin::Udiv, Bin::Urem, Bin::Sdiv, Bin::Srem]);
        self.bin(op, x, by, ty);
    }

    /// A number that depends on most of what there is, or only on the newest.
    pub(super) fn digest(&mut self) -> Val {
        let mut sum = self.val(Ty::I64);
        if self.rng.one_in(5) {
            return sum;
        }
        let odd = self.emit(Op::Const(0x9e37_79b1), Ty::I64);
        let all = self.values.clone();
        let newest = all.iter().rev().take(10).copied();
        let others: Vec<Val> = (0..4).map(|_| self.rng.of(&all)).collect();
        for v in newest.chain(others) {
            let v = if self.f.ty(v) == Ty::I32 { self.emit(Op::Zext(v), Ty::I64) } else { v };
            let product = self.emit(Op::Bin(Bin::Mul, sum, odd), Ty::I64);
            sum = self.emit(Op::Bin(Bin::Xor, product, v), Ty::I64);
        }
        sum
    }
}
