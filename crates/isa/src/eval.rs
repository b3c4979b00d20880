//! What ALU, swap, compare and atomic operations compute (RFC 9669 §4, §5.3).
//!
//! Values are 64-bit register contents; 32-bit operations look at the low half only and zero the high half.
//! Interpreter, constant folding and the tests of native code all ask here.

use crate::{AluOp, AtomicOp, Endian, JumpOp, Size, SwapKind, Width};

/// `a op b`. Defined for all operands: division by zero gives 0, the remainder of it `a`; shift counts are
/// taken modulo the width; the smallest number divided by -1 is itself, with remainder 0.
#[inline(always)]
pub const fn alu(op: AluOp, width: Width, a: u64, b: u64) -> u64 {
    match width {
        Width::W32 => alu32(op, a as u32, b as u32) as u64,
        Width::W64 => alu64(op, a, b),
    }
}

#[inline(always)]
const fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => match b {
            0 => 0,
            _ => a / b,
        },
        AluOp::Sdiv => match b {
            0 => 0,
            _ => (a as i32).wrapping_div(b as i32) as u32,
        },
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Mod => match b {
            0 => a,
            _ => a % b,
        },
        AluOp::Smod => match b {
            0 => a,
            _ => (a as i32).wrapping_rem(b as i32) as u32,
        },
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (a as i32).wrapping_shr(b) as u32,
    }
}

#[inline(always)]
const fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => match b {
            0 => 0,
            _ => a / b,
        },
        AluOp::Sdiv => match b {
            0 => 0,
            _ => (a as i64).wrapping_div(b as i64) as u64,
        },
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Mod => match b {
            0 => a,
            _ => a % b,
        },
        AluOp::Smod => match b {
            0 => a,
            _ => (a as i64).wrapping_rem(b as i64) as u64,
        },
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
    }
}

/// `-a`
#[inline(always)]
pub const fn neg(width: Width, a: u64) -> u64 {
    alu(AluOp::Sub, width, 0, a)
}

/// The low `from` bits of `a`, sign-extended to `width`.
#[inline(always)]
pub const fn movsx(width: Width, from: Size, a: u64) -> u64 {
    let wide = sign_extend(from, a);
    match width {
        Width::W32 => wide as u32 as u64,
        Width::W64 => wide,
    }
}

/// The low `from` bits of `a`, sign-extended to 64 bits.
#[inline(always)]
pub const fn sign_extend(from: Size, a: u64) -> u64 {
    match from {
        Size::B => a as i8 as u64,
        Size::H => a as i16 as u64,
        Size::W => a as i32 as u64,
        Size::DW => a,
    }
}

/// The low `size` bits of `a`, zero-extended.
#[inline(always)]
pub const fn zero_extend(size: Size, a: u64) -> u64 {
    match size {
        Size::B => a as u8 as u64,
        Size::H => a as u16 as u64,
        Size::W => a as u32 as u64,
        Size::DW => a,
    }
}

/// Byte swap on a machine of byte order `endian`: the low `size` bits of `a`, swapped if the order asked for
/// is the other one, zero-extended.
#[inline(always)]
pub const fn swap(kind: SwapKind, size: Size, endian: Endian, a: u64) -> u64 {
    let swaps = match (kind, endian) {
        (SwapKind::Bswap, _) | (SwapKind::Le, Endian::Big) | (SwapKind::Be, Endian::Little) => true,
        (SwapKind::Le, Endian::Little) | (SwapKind::Be, Endian::Big) => false,
    };
    match (size, swaps) {
        (Size::H, true) => (a as u16).swap_bytes() as u64,
        (Size::W, true) => (a as u32).swap_bytes() as u64,
        (Size::DW, true) => a.swap_bytes(),
        (Size::B, _) | (_, false) => zero_extend(size, a),
    }
}

/// Whether the comparison holds.
#[inline(always)]
pub const fn jump(op: JumpOp, width: Width, a: u64, b: u64) -> bool {
    let (ua, ub, sa, sb) = match width {
        Width::W32 => (a as u32 as u64, b as u32 as u64, a as i32 as i64, b as i32 as i64),
        Width::W64 => (a, b, a as i64, b as i64),
    };
    match op {
        JumpOp::Eq => ua == ub,
        JumpOp::Ne => ua != ub,
        JumpOp::Set => ua & ub != 0,
        JumpOp::Gt => ua > ub,
        JumpOp::Ge => ua >= ub,
        JumpOp::Lt => ua < ub,
        JumpOp::Le => ua <= ub,
        JumpOp::Sgt => sa > sb,
        JumpOp::Sge => sa >= sb,
        JumpOp::Slt => sa < sb,
        JumpOp::Sle => sa <= sb,
    }
}

/// Result of an atomic operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atomic {
    /// New memory content, zero-extended.
    pub new: u64,
    /// What the register of the operation (`src`, or `r0` for cmpxchg) receives; `None` where nothing is returned.
    pub returned: Option<u64>,
}

/// One atomic operation on memory that holds `old`. 32-bit operations use the low halves; what they return is
/// zero-extended.
pub const fn atomic(op: AtomicOp, size: Size, old: u64, src: u64, r0: u64) -> Atomic {
    let (old, src, r0) = (zero_extend(size, old), zero_extend(size, src), zero_extend(size, r0));
    let (new, fetch) = match op {
        AtomicOp::Add { fetch } => (old.wrapping_add(src), fetch),
        AtomicOp::Or { fetch } => (old | src, fetch),
        AtomicOp::And { fetch } => (old & src, fetch),
        AtomicOp::Xor { fetch } => (old ^ src, fetch),
        AtomicOp::Xchg => (src, true),
        AtomicOp::Cmpxchg => (if old == r0 { src } else { old }, true),
    };
    Atomic { new: zero_extend(size, new), returned: if fetch { Some(old) } else { None } }
}
