//! What unprivileged pointer arithmetic owes because processors speculate.
//!
//! Linux masks the number that is added, by a limit known when the program is verified. So each addition must
//! have one limit on all paths, and its pointer must be of a kind that has one (Linux 6.18,
//! `sanitize_ptr_alu`).

use alloc::format;
use alloc::string::String;

use skep_isa::{AluOp, Operand, Reg};

use crate::Code;
use crate::limits;
use crate::program::Program;
use crate::state::{self, Kind, State};
use crate::transfer::pointer;
use crate::violation::{Check, Explain, refuse};

/// How an addition or subtraction is masked; must be the same on all paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masking {
    /// Both operands are numbers: not at all.
    Numbers,
    /// A pointer moves.
    Pointer { negative: bool, constant: bool, pointer_is_dst: bool, limit: u32 },
}

const SUFFIX: &str = "pointer arithmetic with it prohibited for !root";

/// The masking of `dst op= src`, which was found legal otherwise.
pub(super) fn masking(
    p: &Program<'_>,
    s: &State,
    op: AluOp,
    dst: Reg,
    src: Operand,
) -> Check<Option<Masking>> {
    let (true, false, Operand::Reg(src)) = (matches!(op, AluOp::Add | AluOp::Sub), p.may_leak(), src) else {
        return Ok(None);
    };
    let (ptr, number) = match (s.reg(dst).is_pointer(), s.reg(src).is_pointer()) {
        (true, false) => (dst, src),
        (false, true) => (src, dst),
        _ => return Ok(Some(Masking::Numbers)),
    };
    let by = s.reg(number).val;
    let (constant, negative) = (by.is_const(), by.smin() < 0);
    if !constant && negative != (by.smax() < 0) {
        return refused(format!("R{} has unknown scalar with mixed signed bounds, {SUFFIX}", number.0));
    }
    let minus = op == AluOp::Sub;
    let to_left = minus != negative;
    let after = pointer::moved(s.reg(ptr), &by, minus, 0);
    let verb = if minus { "sub" } else { "add" };
    let limit = |reg: &state::Reg| match room(p, reg, to_left) {
        None => refused(format!("R{} has pointer with unsupported alu operation, {SUFFIX}", ptr.0)),
        Some((at, most)) if at >= most => {
            refused(format!("R{} tried to {verb} beyond pointer bounds, {SUFFIX}", dst.0))
        }
        Some((at, _)) => Ok(at),
    };
    let limit = limit(s.reg(ptr))?.abs_diff(limit(&after)?);
    Ok(Some(Masking::Pointer { negative, constant, pointer_is_dst: ptr == dst, limit }))
}

/// How far into its object a pointer is, and how far it may be.
fn room(p: &Program<'_>, reg: &state::Reg, to_left: bool) -> Option<(u32, u32)> {
    match reg.kind {
        Kind::Stack { .. } => {
            let at = (reg.val.tnum().value() as i64).wrapping_add(reg.off.into()).wrapping_neg();
            Some((at as u32, limits::STACK + u32::from(to_left)))
        }
        Kind::MapValue(map) => {
            let var = if to_left { reg.val.smin() } else { reg.val.umax() as i64 };
            Some((var.wrapping_add(reg.off.into()) as u32, p.map(map).value_size))
        }
        _ => None,
    }
}

/// A refusal of an addition that would have to be masked in two ways.
pub(crate) fn differs(op: AluOp, dst: Reg) -> Check<()> {
    let verb = if op == AluOp::Sub { "sub" } else { "add" };
    refused(format!("R{} tried to {verb} from different maps, paths or scalars, {SUFFIX}", dst.0))
}

fn refused<T>(words: String) -> Check<T> {
    refuse(Code::BadPointerArithmetic, words).explain(
        "an addition that can be masked against speculation: one kind of pointer, one bound, on all paths",
        "this one cannot",
        "add in each branch by itself, bound the number by a mask, or load with CAP_PERFMON",
    )
}
