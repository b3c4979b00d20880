//! Arithmetic and moves.
//!
//! Where Linux 6.18 computes nothing (division, shifts by an unknown amount), neither do we,
//! although the domain could: verdicts are to be the same.

use skep_isa::{AluOp, Operand, Reg as R, Size, SwapKind, Width};

use super::{Fresh, pointer};
use crate::check::alu;
use crate::domain::{BinOp, Bits, Scalar};
use crate::program::Program;
use crate::state::{Delta, Kind, Reg, State, low32};

fn bits(width: Width) -> Bits {
    match width {
        Width::W32 => Bits::B32,
        Width::W64 => Bits::B64,
    }
}

pub(super) fn neg(s: &mut State, width: Width, dst: R) {
    let old = if s.reg(dst).is_scalar() { s.reg(dst).val } else { Scalar::UNKNOWN };
    s.set(dst, Reg::scalar(old.neg(bits(width))));
}

/// Keeps what is known of the bits. Of an address nothing is.
pub(super) fn swap(s: &mut State, kind: SwapKind, size: Size, dst: R) {
    let old = if s.reg(dst).is_scalar() { s.reg(dst).val } else { Scalar::UNKNOWN };
    let big_endian = cfg!(target_endian = "big");
    let val = match kind {
        SwapKind::Le => old.to_le(size.bits(), big_endian),
        SwapKind::Be => old.to_be(size.bits(), big_endian),
        SwapKind::Bswap => old.bswap(size.bits()),
    };
    s.set(dst, Reg::scalar(val));
}

/// Gives a number an id, so that its copies are refined with it. Constants need none.
pub(super) fn link(reg: &mut Reg, fresh: &mut Fresh) {
    if !reg.is_scalar() || reg.val.is_const() {
        return;
    }
    if reg.delta.is_some() {
        reg.unlink();
    }
    if reg.id == 0 {
        reg.id = fresh.id();
    }
}

pub(super) fn movsx(s: &mut State, width: Width, from: Size, dst: R, src: R, fresh: &mut Fresh) {
    let value = s.reg(src).clone();
    if !value.is_scalar() {
        let unknown = Scalar::UNKNOWN.movsx(bits(width), from.bits());
        return s.set(dst, Reg::scalar(unknown));
    }
    // Below the sign bit nothing changes, so the copy stays a copy.
    let same = value.val.umax() < 1 << (from.bits() - 1);
    if same {
        link(s.reg_mut(src), fresh);
    }
    let mut out = s.reg(src).clone();
    if !same {
        out.unlink();
    }
    out.val = out.val.movsx(bits(width), from.bits());
    s.set(dst, out);
}

pub(super) fn binary(
    p: &Program<'_>,
    s: &mut State,
    width: Width,
    op: AluOp,
    dst: R,
    src: Operand,
    fresh: &mut Fresh,
) {
    let Some(op) = scalar_op(op) else {
        return mov(s, width, dst, src, fresh);
    };
    if alu::of_arena(s, dst, src) {
        return s.set(dst, Reg::pointer(Kind::Arena));
    }
    let value = match src {
        Operand::Reg(r) => s.reg(r).clone(),
        Operand::Imm(i) => Reg::scalar(Scalar::known(i64::from(i) as u64)),
    };
    let old = s.reg(dst).clone();
    let out = match (old.is_pointer(), value.is_pointer()) {
        (false, false) => scalars(p, width, op, &old, &value),
        // Whatever is done to it, loads look first (`adjust_ptr_min_max_vals`).
        (true, false) if old.kind == Kind::Probed && width == Width::W64 => old,
        (true, false) | (false, true) if width == Width::W64 && matches!(op, BinOp::Add | BinOp::Sub) => {
            let (ptr, by) = if old.is_pointer() { (&old, &value) } else { (&value, &old) };
            pointer::moved(ptr, &by.val, op == BinOp::Sub, fresh.id())
        }
        // What is left is a difference of pointers, or of their low halves.
        _ => Reg::scalar(match width {
            Width::W64 => Scalar::UNKNOWN,
            Width::W32 => Scalar::UNKNOWN.truncate(32),
        }),
    };
    s.set(dst, out);
}

fn mov(s: &mut State, width: Width, dst: R, src: Operand, fresh: &mut Fresh) {
    let out = match (src, width) {
        (Operand::Imm(i), Width::W64) => Reg::scalar(Scalar::known(i64::from(i) as u64)),
        (Operand::Imm(i), Width::W32) => Reg::scalar(Scalar::known(u64::from(i as u32))),
        (Operand::Reg(src), Width::W64) => {
            link(s.reg_mut(src), fresh);
            s.reg(src).clone()
        }
        (Operand::Reg(src), Width::W32) if s.reg(src).is_scalar() => {
            let same = s.reg(src).width() <= 32;
            if same {
                link(s.reg_mut(src), fresh);
            }
            let mut out = s.reg(src).clone();
            out.val = low32(&out);
            if !same {
                out.unlink();
            }
            out
        }
        (Operand::Reg(src), Width::W32) => Reg::scalar(low32(s.reg(src))),
    };
    s.set(dst, out);
}

fn scalars(p: &Program<'_>, width: Width, op: BinOp, old: &Reg, by: &Reg) -> Reg {
    // Of all 64 bits, even for 32-bit operations: that is what Linux forgets.
    let unknown = Scalar::UNKNOWN;
    let bit_count = if width == Width::W32 { 32 } else { 64 };
    let by_const = match width {
        Width::W64 => by.val.as_const(),
        Width::W32 => by.val.as_const32().map(u64::from),
    };
    let val = match op {
        BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor => {
            old.val.binary(op, bits(width), &by.val)
        }
        BinOp::Lsh | BinOp::Rsh | BinOp::Arsh if by_const.is_some_and(|n| n < bit_count) => {
            old.val.binary(op, bits(width), &by.val)
        }
        BinOp::Lsh | BinOp::Rsh | BinOp::Arsh => unknown,
        BinOp::Div | BinOp::Mod | BinOp::Sdiv | BinOp::Smod => unknown,
    };
    let mut out = Reg::scalar(val);
    // A copy plus a constant stays related: the distance is remembered, once.
    if p.env.privileged()
        && old.id != 0
        && old.delta.is_none()
        && let Some(by) = step(op, width, by)
    {
        out.id = old.id;
        out.delta = Some(Delta { by, narrow: width == Width::W32 });
    }
    out
}

/// What an addition or subtraction of a constant adds.
fn step(op: BinOp, width: Width, by: &Reg) -> Option<i32> {
    let n = match width {
        Width::W64 => i32::try_from(by.val.as_const()? as i64).ok()?,
        Width::W32 => by.val.as_const32()? as i32,
    };
    match op {
        BinOp::Add => Some(n),
        BinOp::Sub => n.checked_neg(),
        BinOp::Mul
        | BinOp::And
        | BinOp::Or
        | BinOp::Xor
        | BinOp::Lsh
        | BinOp::Rsh
        | BinOp::Arsh
        | BinOp::Div
        | BinOp::Mod
        | BinOp::Sdiv
        | BinOp::Smod => None,
    }
}

fn scalar_op(op: AluOp) -> Option<BinOp> {
    Some(match op {
        AluOp::Add => BinOp::Add,
        AluOp::Sub => BinOp::Sub,
        AluOp::Mul => BinOp::Mul,
        AluOp::Div => BinOp::Div,
        AluOp::Sdiv => BinOp::Sdiv,
        AluOp::Or => BinOp::Or,
        AluOp::And => BinOp::And,
        AluOp::Lsh => BinOp::Lsh,
        AluOp::Rsh => BinOp::Rsh,
        AluOp::Mod => BinOp::Mod,
        AluOp::Smod => BinOp::Smod,
        AluOp::Xor => BinOp::Xor,
        AluOp::Arsh => BinOp::Arsh,
        AluOp::Mov => return None,
    })
}
