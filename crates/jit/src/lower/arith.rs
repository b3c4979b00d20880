//! Arithmetic and comparisons.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, BlockArg, InstBuilder, types};
use skep_isa::Size;

use super::body::{Body, int_of, type_of};
use crate::ir::{Bin, Cond, Ty, Val};

impl Body<'_> {
    /// An operation on two values of a type; `proved`: it is an unsigned division, and `b` not zero.
    pub(super) fn bin(&mut self, bin: Bin, (a, b): (Val, Val), ty: Ty, proved: bool) -> clif::Value {
        let (x, y) = (self.value(a), self.value(b));
        let ins = self.cur.ins();
        match bin {
            Bin::Add => ins.iadd(x, y),
            Bin::Sub => ins.isub(x, y),
            Bin::Mul => ins.imul(x, y),
            Bin::And => ins.band(x, y),
            Bin::Or => ins.bor(x, y),
            Bin::Xor => ins.bxor(x, y),
            // The generator masks counts as eBPF does.
            Bin::Shl => ins.ishl(x, y),
            Bin::Shr => ins.ushr(x, y),
            Bin::Sar => ins.sshr(x, y),
            Bin::Udiv | Bin::Urem if proved => self.machine_divide(bin, x, y),
            Bin::Udiv | Bin::Urem | Bin::Sdiv | Bin::Srem => {
                let divisor = self.function.constant(b);
                self.divide(bin, x, y, divisor, ty)
            }
        }
    }

    /// A division, whose operands nothing is known of but a constant divisor.
    fn divide(
        &mut self,
        bin: Bin,
        x: clif::Value,
        y: clif::Value,
        divisor: Option<u64>,
        ty: Ty,
    ) -> clif::Value {
        let signed = matches!(bin, Bin::Sdiv | Bin::Srem);
        // Divisors that the machine's instruction does not take: 0, and with a sign also -1, since a quotient may not fit.
        let special = |c: u64| {
            let c = if ty == Ty::I32 { i64::from(c as i32) } else { c as i64 };
            c == 0 || signed && c == -1
        };
        match divisor {
            Some(c) if !special(c) => self.machine_divide(bin, x, y),
            Some(_) => self.special_divide(bin, x, y),
            None => {
                let (by_machine, done) = (self.new_block(), self.new_block());
                let result = self.cur.func.dfg.append_block_param(done, type_of(ty));
                let special = self.special_divide(bin, x, y);
                let ordinary = if signed {
                    let one = self.cur.ins().iconst(type_of(ty), 1);
                    let next = self.cur.ins().iadd(y, one);
                    self.cur.ins().icmp(IntCC::UnsignedGreaterThan, next, one)
                } else {
                    y
                };
                self.cur.ins().brif(ordinary, by_machine, &[], done, &[BlockArg::Value(special)]);
                self.begin(by_machine);
                let quotient = self.machine_divide(bin, x, y);
                self.cur.ins().jump(done, &[BlockArg::Value(quotient)]);
                self.begin(done);
                result
            }
        }
    }

    fn machine_divide(&mut self, bin: Bin, x: clif::Value, y: clif::Value) -> clif::Value {
        let ins = self.cur.ins();
        match bin {
            Bin::Udiv => ins.udiv(x, y),
            Bin::Urem => ins.urem(x, y),
            Bin::Sdiv => ins.sdiv(x, y),
            Bin::Srem => ins.srem(x, y),
            Bin::Add
            | Bin::Sub
            | Bin::Mul
            | Bin::And
            | Bin::Or
            | Bin::Xor
            | Bin::Shl
            | Bin::Shr
            | Bin::Sar => unreachable!("no division"),
        }
    }

    /// The result for a divisor of 0 or, with a sign, -1.
    fn special_divide(&mut self, bin: Bin, x: clif::Value, y: clif::Value) -> clif::Value {
        let ty = self.cur.func.dfg.value_type(x);
        match bin {
            Bin::Urem => x,
            // x * 0 = 0, x * -1 = -x.
            Bin::Sdiv => self.cur.ins().imul(x, y),
            // x & !0 = x, x & !-1 = 0.
            Bin::Srem => {
                let not = self.cur.ins().bnot(y);
                self.cur.ins().band(x, not)
            }
            Bin::Udiv
            | Bin::Add
            | Bin::Sub
            | Bin::Mul
            | Bin::And
            | Bin::Or
            | Bin::Xor
            | Bin::Shl
            | Bin::Shr
            | Bin::Sar => self.cur.ins().iconst(ty, 0),
        }
    }

    /// Sign extension of the low bytes.
    pub(super) fn sext(&mut self, size: Size, a: Val, ty: Ty) -> clif::Value {
        let value = self.value(a);
        let (have, from, to) = (self.cur.func.dfg.value_type(value), int_of(size), type_of(ty));
        let low = if have.bits() > from.bits() { self.cur.ins().ireduce(from, value) } else { value };
        if from.bits() >= to.bits() { value } else { self.cur.ins().sextend(to, low) }
    }

    /// Low bytes in the other order, zeros above.
    pub(super) fn swap(&mut self, size: Size, a: Val, ty: Ty) -> clif::Value {
        let value = self.value(a);
        let (have, from, to) = (self.cur.func.dfg.value_type(value), int_of(size), type_of(ty));
        if size == Size::B {
            let low = self.cur.ins().ireduce(types::I8, value);
            return self.cur.ins().uextend(to, low);
        }
        let low = if have.bits() > from.bits() { self.cur.ins().ireduce(from, value) } else { value };
        let swapped = self.cur.ins().bswap(low);
        if from.bits() >= to.bits() { swapped } else { self.cur.ins().uextend(to, swapped) }
    }

    /// Whether a comparison holds, as a flag.
    pub(super) fn held(&mut self, cond: Cond, a: Val, b: Val) -> clif::Value {
        let (x, y) = (self.value(a), self.value(b));
        let code = match cond {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Ult => IntCC::UnsignedLessThan,
            Cond::Ule => IntCC::UnsignedLessThanOrEqual,
            Cond::Ugt => IntCC::UnsignedGreaterThan,
            Cond::Uge => IntCC::UnsignedGreaterThanOrEqual,
            Cond::Slt => IntCC::SignedLessThan,
            Cond::Sle => IntCC::SignedLessThanOrEqual,
            Cond::Sgt => IntCC::SignedGreaterThan,
            Cond::Sge => IntCC::SignedGreaterThanOrEqual,
            Cond::Set | Cond::Clear => {
                let both = self.cur.ins().band(x, y);
                let ty = self.cur.func.dfg.value_type(x);
                let zero = self.cur.ins().iconst(ty, 0);
                let code = if cond == Cond::Set { IntCC::NotEqual } else { IntCC::Equal };
                return self.cur.ins().icmp(code, both, zero);
            }
        };
        self.cur.ins().icmp(code, x, y)
    }
}
