//! What the interpreter's accumulator holds.
//!
//! The interpreter keeps the value that an instruction writes to a register a moment longer, beside the register:
//! an instruction that needs it next takes it from there, and need not wait until it has gone to memory and come
//! back. Which register that is at an instruction must be the same on every way to it, so it is nothing where
//! jumps, calls, calls back and returns lead. Whoever changes an instruction's body in the interpreter keeps this true: what
//! is `Some` here has set the accumulator, and what passes it on has not touched it.

use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{CallTarget, Imm64, Op, Reg};

/// For each slot the register whose value the accumulator has when the instruction there begins, if that is known.
/// `ops` holds the instructions at their first slots.
pub(crate) fn held(ops: &[Option<Op>]) -> Vec<Option<Reg>> {
    let mut held = vec![None; ops.len()];
    let mut reached = vec![false; ops.len()];
    for (pc, op) in ops.iter().enumerate() {
        let target = match op {
            Some(Op::Jump { off, .. } | Op::Call(CallTarget::Subprog(off))) => Some(*off),
            Some(Op::JumpIf { off, .. } | Op::MayGoto { off }) => Some(i32::from(*off)),
            Some(Op::LoadImm64 { value: Imm64::Code(off), .. }) => Some(*off),
            _ => None,
        };
        let target = target.and_then(|off| usize::try_from(pc as i64 + 1 + i64::from(off)).ok());
        if let Some(slot) = target.and_then(|to| reached.get_mut(to)) {
            *slot = true;
        }
    }
    for pc in 1..ops.len() {
        if reached[pc] {
            continue;
        }
        held[pc] = match (&ops[pc - 1], pc.checked_sub(2).and_then(|i| ops[i].as_ref())) {
            (Some(op), _) => after(op, held[pc - 1]),
            (None, Some(op @ Op::LoadImm64 { .. })) => after(op, None),
            (None, _) => None,
        };
    }
    held
}

/// What is held behind an instruction before which `before` was.
fn after(op: &Op, before: Option<Reg>) -> Option<Reg> {
    match *op {
        Op::Alu { dst, .. }
        | Op::Neg { dst, .. }
        | Op::MovSx { dst, .. }
        | Op::Swap { dst, .. }
        | Op::LoadImm64 { dst, .. }
        | Op::Load { dst, .. } => Some(dst),
        Op::Store { .. } | Op::JumpIf { .. } | Op::MayGoto { .. } => before,
        _ => None,
    }
}
