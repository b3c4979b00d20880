//! The control-flow graph: every instruction can be reached, and where paths may meet.
//!
//! Idea: one depth-first walk from slot 0 in the kernel's order (fall-through first, then the target), calls
//! included. A slot on the walk's stack that is met again closes a loop. What the walk never meets cannot
//! run. On the way, targets are marked as points where exploration compares states.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::{HelperFlags, KfuncFlags, ObjectFn};
use skep_isa::{CallTarget, Imm64, Op};

use crate::Code;
use crate::check::{allocated, kfunc};
use crate::contract;
use crate::kernel::IterStep;
use crate::program::{Points, Program, Store, target};
use crate::structure::{At, at};
use crate::violation::refuse;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    OnStack,
    Done,
}

/// Walks the graph, fills [`Program::points`] and the packet flag of each subprogram.
pub(crate) fn check(program: &mut Program<'_>) -> At<()> {
    let n = program.ops.len();
    let mut marks = vec![Mark::Unseen; n];
    let mut stack: Vec<(usize, Successors)> = Vec::new();
    marks[0] = Mark::OnStack;
    stack.push((0, successors(program, 0)?));
    walk(program, &mut marks, &mut stack)?;
    // Nobody but the kernel calls it.
    let thrown_to = program.exception_callback.map(|subprog| program.subprogs[subprog].start);
    if let Some(start) = thrown_to.filter(|start| marks[*start] == Mark::Unseen) {
        marks[start] = Mark::OnStack;
        stack.push((start, successors(program, start)?));
        walk(program, &mut marks, &mut stack)?;
    }
    for (pc, mark) in marks.iter().enumerate() {
        if *mark == Mark::Unseen && program.ops[pc].is_some() {
            return at(pc, refuse(Code::Unreachable, format!("unreachable insn {pc}")));
        }
    }
    effects(program);
    Ok(())
}

/// Walks on from what is on the stack.
fn walk(program: &mut Program<'_>, marks: &mut [Mark], stack: &mut Vec<(usize, Successors)>) -> At<()> {
    let n = program.ops.len();
    while let Some((pc, next)) = stack.last_mut() {
        let pc = *pc;
        let Some(to) = next.pop() else {
            marks[pc] = Mark::Done;
            stack.pop();
            continue;
        };
        if to >= n {
            return at(pc, refuse(Code::BadJump, format!("jump out of range from insn {pc} to {to}")));
        }
        match marks[to] {
            Mark::Unseen => {
                marks[to] = Mark::OnStack;
                stack.push((to, successors(program, to)?));
            }
            Mark::OnStack if !program.env.privileged() => {
                let refusal = refuse(Code::BackEdge, format!("back-edge from insn {pc} to {to}"));
                return at(pc, refusal);
            }
            Mark::OnStack | Mark::Done => {}
        }
    }
    Ok(())
}

/// Successors still to visit, last first.
pub(crate) struct Successors([usize; 2], u8);

impl Successors {
    pub(crate) fn pop(&mut self) -> Option<usize> {
        self.1 = self.1.checked_sub(1)?;
        Some(self.0[usize::from(self.1)])
    }
}

pub(crate) fn successors(program: &mut Program<'_>, pc: usize) -> At<Successors> {
    let op = program.op(pc);
    let next = program.next(pc);
    let far = |off: i32| target(pc, off).unwrap_or(usize::MAX);
    Ok(match op {
        Op::Exit => Successors([0, 0], 0),
        Op::Jump { off, .. } => {
            meet(program, far(off));
            Successors([far(off), 0], 1)
        }
        Op::JumpIf { off, .. } => {
            program.points[pc].prune = true;
            meet(program, far(off.into()));
            Successors([far(off.into()), next], 2)
        }
        Op::MayGoto { off } => {
            program.points[pc] = Points { prune: true, jump: true, store: Some(Store::MayGoto) };
            meet(program, far(off.into()));
            Successors([far(off.into()), next], 2)
        }
        // `structure` refuses these.
        Op::JumpIndirect { .. } | Op::CallIndirect { .. } => Successors([0, 0], 0),
        Op::Call(CallTarget::Subprog(off)) => {
            program.points[pc].prune = true;
            meet(program, next);
            meet(program, far(off));
            Successors([far(off), next], 2)
        }
        // The address of a function: the graph goes on there too.
        Op::LoadImm64 { value: Imm64::Code(off), .. } => {
            program.points[pc].prune = true;
            meet(program, next);
            meet(program, far(off));
            Successors([far(off), next], 2)
        }
        Op::Call(target) => {
            if calls_back(target) || matches!(allocated::function(program, op), Some((_, ObjectFn::TreeAdd)))
            {
                program.points[pc] = Points { prune: true, jump: true, store: Some(Store::Callback) };
            } else if program.iter_function(op).is_some_and(|f| f.step == IterStep::Next) {
                program.points[pc].prune = true;
                program.points[pc].store = Some(Store::Iterator);
            }
            meet(program, next);
            Successors([next, 0], 1)
        }
        _ => Successors([next, 0], 1),
    })
}

/// Whether a call may run functions of the program before it returns.
fn calls_back(target: CallTarget) -> bool {
    matches!(target, CallTarget::Helper(id) if contract::calls_back(id))
}

fn meet(program: &mut Program<'_>, pc: usize) {
    if let Some(p) = program.points.get_mut(pc) {
        p.prune = true;
        p.jump = true;
    }
}

/// Marks the subprograms that change the packet, or may sleep, themselves or through what they call.
fn effects(program: &mut Program<'_>) {
    let mut calls: Vec<(usize, usize)> = Vec::new();
    for pc in 0..program.ops.len() {
        let caller = program.subprog_of(pc);
        match program.ops[pc] {
            Some(Op::Call(CallTarget::Helper(id))) => {
                let flags = program.env.helper_of(program.row, id).map(|h| h.flags);
                let has = |flag| flags.is_some_and(|f| f.has(flag));
                let changes = has(HelperFlags::INVALIDATES_PACKET) || id == contract::TAIL_CALL;
                program.subprogs[caller].changes_packet |= changes;
                program.subprogs[caller].might_sleep |= has(HelperFlags::MIGHT_SLEEP);
            }
            Some(Op::Call(CallTarget::Kfunc { btf_id, btf_idx })) => {
                // One that the program may not call counts for nothing (`fetch_kfunc_meta`).
                let (kind, attach) = (program.spec.prog_type, program.spec.attach_type);
                let proto = kfunc::proto(program, btf_id, btf_idx);
                let proto = proto.filter(|k| k.row.may_be_called(kind, attach));
                let has = |flag| proto.as_ref().is_some_and(|k| k.row.flags.has(flag));
                program.subprogs[caller].changes_packet |= has(KfuncFlags::CHANGES_PACKET);
                program.subprogs[caller].might_sleep |= has(KfuncFlags::SLEEPABLE);
            }
            Some(Op::Call(CallTarget::Subprog(off)) | Op::LoadImm64 { value: Imm64::Code(off), .. }) => {
                if let Some(callee) = target(pc, off).and_then(|to| program.subprog_at(to)) {
                    calls.push((caller, callee));
                }
            }
            _ => {}
        }
    }
    loop {
        let mut changed = false;
        for &(caller, callee) in &calls {
            let (from, to) = (program.subprogs[callee], &mut program.subprogs[caller]);
            changed |= (from.changes_packet && !to.changes_packet) || (from.might_sleep && !to.might_sleep);
            to.changes_packet |= from.changes_packet;
            to.might_sleep |= from.might_sleep;
        }
        if !changed {
            return;
        }
    }
}
