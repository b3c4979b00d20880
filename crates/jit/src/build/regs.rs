//! What registers hold while a block is translated.

use skep_isa::{Operand, Reg};

use super::Builder;
use crate::ir::{Op, Ty, Val};

/// A register: all 64 bits as a value, or the lower 32, or both. With the lower alone the upper are zero; with neither
/// nothing is known, and nobody reads it.
#[derive(Clone, Copy, Debug, Default)]
struct Content {
    wide: Option<Val>,
    low: Option<Val>,
}

/// The contents of `r0` to `r9`.
#[derive(Clone, Debug, Default)]
pub(super) struct Regs([Content; 10]);

impl Regs {
    /// The register holds an `I64`.
    pub(super) fn set(&mut self, reg: Reg, v: Val) {
        if let Some(content) = self.0.get_mut(reg.index()) {
            *content = Content { wide: Some(v), low: None };
        }
    }

    /// It holds an `I32` and zeros above.
    pub(super) fn set_low(&mut self, reg: Reg, v: Val) {
        if let Some(content) = self.0.get_mut(reg.index()) {
            *content = Content { wide: None, low: Some(v) };
        }
    }

    /// It holds what another one does.
    pub(super) fn copy(&mut self, to: Reg, from: Reg) {
        let content = self.0.get(from.index()).copied().unwrap_or_default();
        if let Some(to) = self.0.get_mut(to.index()) {
            *to = content;
        }
    }

    /// `r1` to `r5` hold nothing.
    pub(super) fn lose_arguments(&mut self) {
        self.0[1..6].fill(Content::default());
    }

    /// A value of which the low bytes are the register's, if there is one, without an instruction.
    pub(super) fn any(&self, reg: Reg) -> Option<Val> {
        let content = self.0.get(reg.index())?;
        content.wide.or(content.low)
    }

    /// Its lower half, if it is known as one.
    pub(super) fn half(&self, reg: Reg) -> Option<Val> {
        self.0.get(reg.index())?.low
    }
}

impl Builder<'_> {
    /// A constant of 64 bits.
    pub(super) fn constant(&mut self, value: u64) -> Val {
        self.emit(Op::Const(value), Ty::I64)
    }

    /// A constant of 32 bits.
    pub(super) fn constant_low(&mut self, value: u32) -> Val {
        self.emit(Op::Const(value.into()), Ty::I32)
    }

    /// All of a register.
    pub(super) fn wide(&mut self, reg: Reg) -> Val {
        let Some(&Content { wide, low }) = self.regs.0.get(reg.index()) else {
            return match self.frame {
                Some(frame) => frame,
                None => self.constant(0),
            };
        };
        let v = match (wide, low) {
            (Some(v), _) => return v,
            (None, Some(v)) => match self.f.constant(v) {
                Some(c) => self.constant(c),
                None => self.emit(Op::Zext(v), Ty::I64),
            },
            (None, None) => self.constant(0),
        };
        self.regs.0[reg.index()].wide = Some(v);
        v
    }

    /// The lower half of a register.
    pub(super) fn low(&mut self, reg: Reg) -> Val {
        if let Some(v) = self.regs.half(reg) {
            return v;
        }
        let wide = self.wide(reg);
        let v = match self.f.node(wide).op {
            Op::Zext(v) => v,
            Op::Const(c) => self.constant_low(c as u32),
            _ => self.emit(Op::Trunc(wide), Ty::I32),
        };
        if let Some(content) = self.regs.0.get_mut(reg.index()) {
            content.low = Some(v);
        }
        v
    }

    /// A second operand as an `I64`.
    pub(super) fn wide_operand(&mut self, src: Operand) -> Val {
        match src {
            Operand::Reg(reg) => self.wide(reg),
            Operand::Imm(imm) => self.constant(i64::from(imm) as u64),
        }
    }

    /// A second operand as an `I32`.
    pub(super) fn low_operand(&mut self, src: Operand) -> Val {
        match src {
            Operand::Reg(reg) => self.low(reg),
            Operand::Imm(imm) => self.constant_low(imm as u32),
        }
    }
}
