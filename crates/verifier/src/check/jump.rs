//! Conditional jumps: who may compare what.

use alloc::format;

use skep_isa::{JumpOp, Operand, Reg, RegSet, Width};

use super::{Facts, leak, leaks, readable};
use crate::program::Program;
use crate::state::State;
use crate::transfer::jump;
use crate::violation::Check;

pub(super) fn conditional(
    p: &Program<'_>,
    s: &State,
    width: Width,
    op: JumpOp,
    dst: Reg,
    src: Operand,
) -> Check<Facts> {
    readable(s, dst)?;
    if let Operand::Reg(src) = src {
        readable(s, src)?;
        let packets = s.reg(dst).kind.is_packet_any() && s.reg(src).kind.is_packet_any();
        if !packets && leaks(p, s, src) {
            return leak(s, src, format!("R{} pointer comparison prohibited", src.0));
        }
    }
    let outcome = jump::outcome(s, width, op, dst, src);
    if outcome.taken.is_some() {
        let mut precise = RegSet::EMPTY;
        if s.reg(dst).is_scalar() {
            precise = precise.with(dst);
        }
        if let Operand::Reg(src) = src
            && s.reg(src).is_scalar()
        {
            precise = precise.with(src);
        }
        return Ok(Facts { precise, outcome, ..Facts::default() });
    }
    let null_check = jump::is_null_check(s, width, op, dst, src);
    if !null_check && !jump::is_packet_check(s, width, op, dst, src) && leaks(p, s, dst) {
        return leak(s, dst, format!("R{} pointer comparison prohibited", dst.0));
    }
    Ok(Facts { outcome, ..Facts::default() })
}
