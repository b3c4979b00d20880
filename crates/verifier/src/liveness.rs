//! Which registers some continuation may read, by slot: what pruning may ignore.
//!
//! A backward data flow within each subprogram: `live(pc) = uses(pc) ∪ (⋃ live(successors) − defs(pc))`. A
//! pc-relative call reads its arguments and loses them; a callee returns with `r0` read, since its caller
//! may.

use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{CallTarget, Op, Reg, RegSet};

use crate::check::kfunc;
use crate::program::{Program, target};

/// Fills [`Program::live`].
pub(crate) fn compute(program: &mut Program<'_>) {
    let n = program.ops.len();
    let mut live = vec![RegSet::EMPTY; n];
    let effects: Vec<_> = program.ops.iter().map(|op| op.map(|op| (op, effects(program, op)))).collect();
    loop {
        let mut changed = false;
        for pc in (0..n).rev() {
            let Some((op, (uses, defs))) = effects[pc] else { continue };
            let after = next_slots(program, pc, op).fold(RegSet::EMPTY, |set, to| set.union(live[to]));
            let before = after.without(defs).union(uses);
            if before != live[pc] {
                live[pc] = before;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    program.live = live;
}

/// Where an instruction goes on within its function.
pub(crate) fn next_slots(program: &Program<'_>, pc: usize, op: Op) -> impl Iterator<Item = usize> {
    let next = Some(program.next(pc));
    let slots = match op {
        Op::Exit => [None, None],
        Op::Jump { off, .. } => [target(pc, off), None],
        Op::JumpIf { off, .. } | Op::MayGoto { off } => [next, target(pc, off.into())],
        _ => [next, None],
    };
    let n = program.ops.len();
    slots.into_iter().flatten().filter(move |&s| s < n)
}

/// The registers that an instruction reads, and those that it loses or writes.
pub(crate) fn effects(program: &Program<'_>, op: Op) -> (RegSet, RegSet) {
    match op {
        Op::Call(CallTarget::Helper(id)) => {
            let args = program.env.helper_of(program.row, id).map_or(5, |h| h.args.iter().flatten().count());
            ((1..=args as u8).map(Reg).collect(), op.defs())
        }
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx }) => {
            let proto = kfunc::proto(program, btf_id, btf_idx);
            (kfunc::registers(proto.as_deref()), op.defs())
        }
        _ => (op.uses(), op.defs()),
    }
}
