//! Arithmetic (RFC 9669 §4.1, §4.2), and casts between address spaces (kernel/bpf/arena.c, Linux 6.18).

use skep_isa::{AluOp, Endian, Operand, Reg, Size, SwapKind, Width};

use super::{Builder, Unsupported};
use crate::ir::{Bin, Cond, Op, Ty, Val};

/// The arithmetic of an operation; none of a move.
fn arithmetic(op: AluOp) -> Option<Bin> {
    Some(match op {
        AluOp::Add => Bin::Add,
        AluOp::Sub => Bin::Sub,
        AluOp::Mul => Bin::Mul,
        AluOp::Div => Bin::Udiv,
        AluOp::Sdiv => Bin::Sdiv,
        AluOp::Or => Bin::Or,
        AluOp::And => Bin::And,
        AluOp::Lsh => Bin::Shl,
        AluOp::Rsh => Bin::Shr,
        AluOp::Mod => Bin::Urem,
        AluOp::Smod => Bin::Srem,
        AluOp::Xor => Bin::Xor,
        AluOp::Arsh => Bin::Sar,
        AluOp::Mov => return None,
    })
}

impl Builder<'_> {
    pub(super) fn alu(&mut self, op: AluOp, width: Width, dst: Reg, src: Operand) {
        match (arithmetic(op), width, src) {
            (Some(op), Width::W64, _) => {
                let (a, b) = (self.wide(dst), self.wide_operand(src));
                let v = self.emit(Op::Bin(op, a, b), Ty::I64);
                self.regs.set(dst, v);
            }
            (Some(op), Width::W32, _) => {
                let (a, b) = (self.low(dst), self.low_operand(src));
                let v = self.emit(Op::Bin(op, a, b), Ty::I32);
                self.regs.set_low(dst, v);
            }
            (None, Width::W64, Operand::Reg(src)) if src != Reg::FP => self.regs.copy(dst, src),
            (None, Width::W64, _) => {
                let v = self.wide_operand(src);
                self.regs.set(dst, v);
            }
            (None, Width::W32, _) => {
                let v = self.low_operand(src);
                self.regs.set_low(dst, v);
            }
        }
    }

    pub(super) fn neg(&mut self, width: Width, dst: Reg) {
        match width {
            Width::W64 => {
                let a = self.wide(dst);
                let zero = self.constant(0);
                let v = self.emit(Op::Bin(Bin::Sub, zero, a), Ty::I64);
                self.regs.set(dst, v);
            }
            Width::W32 => {
                let a = self.low(dst);
                let zero = self.constant_low(0);
                let v = self.emit(Op::Bin(Bin::Sub, zero, a), Ty::I32);
                self.regs.set_low(dst, v);
            }
        }
    }

    pub(super) fn movsx(&mut self, width: Width, from: Size, dst: Reg, src: Reg) {
        match width {
            Width::W64 => {
                let v = self.sign_extended(from, src);
                self.regs.set(dst, v);
            }
            Width::W32 => {
                let a = self.low(src);
                let v = self.emit(Op::Sext(from, a), Ty::I32);
                self.regs.set_low(dst, v);
            }
        }
    }

    /// The low bytes of a register with their sign, of whichever half is at hand.
    fn sign_extended(&mut self, from: Size, src: Reg) -> Val {
        let a = match self.regs.half(src).filter(|_| from <= Size::W) {
            Some(low) => low,
            None => self.wide(src),
        };
        self.emit(Op::Sext(from, a), Ty::I64)
    }

    pub(super) fn swap(&mut self, kind: SwapKind, size: Size, dst: Reg) {
        let swaps = match kind {
            SwapKind::Bswap => true,
            SwapKind::Le => Endian::NATIVE == Endian::Big,
            SwapKind::Be => Endian::NATIVE == Endian::Little,
        };
        if size == Size::DW {
            if swaps {
                let a = self.wide(dst);
                let v = self.emit(Op::Swap(size, a), Ty::I64);
                self.regs.set(dst, v);
            }
            return;
        }
        let a = self.low(dst);
        let v = match (swaps, size) {
            (true, _) => self.emit(Op::Swap(size, a), Ty::I32),
            (false, Size::W | Size::DW) => a,
            (false, Size::B | Size::H) => {
                let mask = self.constant_low((1 << size.bits()) - 1);
                self.emit(Op::Bin(Bin::And, a, mask), Ty::I32)
            }
        };
        self.regs.set_low(dst, v);
    }

    /// Address space 0 has the lower halves of 1's addresses; the way back puts the arena's upper half before all but NULL.
    pub(super) fn cast(&mut self, (dst, src): (Reg, Reg), spaces: (u16, u16)) -> Result<(), Unsupported> {
        let Some(arena) = self.p.binding.arena() else {
            return self.unsupported("a cast between address spaces without an arena");
        };
        match spaces {
            (0, 1) => self.alu(AluOp::Mov, Width::W32, dst, Operand::Reg(src)),
            (1, 0) => {
                let low = self.low(src);
                let upper = arena.to_host(1) & !u64::from(u32::MAX);
                if upper == 0 {
                    self.regs.set_low(dst, low);
                    return Ok(());
                }
                let (upper, null) = (self.constant(upper), self.constant(0));
                let zero = self.constant_low(0);
                let wide = self.emit(Op::Zext(low), Ty::I64);
                let addr = self.emit(Op::Bin(Bin::Or, wide, upper), Ty::I64);
                let v = self.emit(Op::Select(Cond::Eq, low, zero, null, addr), Ty::I64);
                self.regs.set(dst, v);
            }
            (to, from) => {
                return self.unsupported(format!("a cast from address space {from} to {to}"));
            }
        }
        Ok(())
    }

    /// `(i32)(src + imm)`, as the 64-bit offset of a legacy packet load.
    pub(super) fn indirect_offset(&mut self, src: Reg, imm: i32) -> Val {
        let (a, b) = (self.low(src), self.constant_low(imm as u32));
        let sum = self.emit(Op::Bin(Bin::Add, a, b), Ty::I32);
        self.emit(Op::Sext(Size::W, sum), Ty::I64)
    }
}
