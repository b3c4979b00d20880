//! The stack of whole call chains, known once every path was walked.
//!
//! A frame counts rounded up to 16 bytes. Where the program type gives functions stacks of their own, a
//! function that uses 64 bytes or more gets one, unless the program runs tail calls.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::AttachType;
use skep_isa::{CallTarget, Imm64, Op};

use crate::program::{Program, target};
use crate::structure::{At, at};
use crate::violation::{Explain, refuse, unsupported};
use crate::{Code, limits};

/// Functions that use less than this run on the caller's stack (`BPF_PRIV_STACK_MIN_SIZE`).
const PRIVATE_FROM: u32 = 64;

struct Walk<'p, 'a> {
    p: &'p Program<'a>,
    depths: &'p [u32],
    private: bool,
    /// Calls of each subprogram: instruction and callee.
    calls: Vec<Vec<(usize, usize)>>,
    /// Largest stack already seen below a function, by function and frame.
    seen: Vec<[Option<u32>; limits::FRAMES]>,
    /// Functions that timers and work queues call, and those that these call: they have no stacks of their own.
    plain: Vec<bool>,
}

/// Checks every call chain against the limits. `later`: the functions that timers and work queues call; each begins a
/// chain.
/// `called_back`: those that anything calls back: nothing may be thrown there.
pub(crate) fn check(p: &Program<'_>, depths: &[u32], later: &[bool], called_back: &[bool]) -> At<()> {
    let mut calls = vec![Vec::new(); p.subprogs.len()];
    for pc in 0..p.ops.len() {
        // Whose address is taken counts as called there: it may be called back.
        if let Some(op @ (Op::Call(CallTarget::Subprog(off)) | Op::LoadImm64 { value: Imm64::Code(off), .. })) =
            p.ops[pc]
            && let Some(callee) = target(pc, off).and_then(|to| p.subprog_at(to))
        {
            let address = matches!(op, Op::LoadImm64 { .. });
            if p.exception_callback == Some(callee) {
                let words = format!("insn {pc} cannot call exception cb directly");
                return at(
                    pc,
                    refuse(Code::BadArgument, words).explain(
                        "a function that only the kernel calls, when the program throws",
                        "the program calls it",
                        "call a function of its own that does the same",
                    ),
                );
            }
            if address && later[callee] && p.subprogs[callee].has_tail_call {
                return at(pc, unsupported("a tail call in a function that a timer calls"));
            }
            if !(address && later[callee]) {
                calls[p.subprog_of(pc)].push((pc, callee));
            }
        }
    }
    let private = p.row.private_stack
        && !p.extends
        && p.spec.attach_type != AttachType::TRACE_ITER
        && !p.subprogs.iter().any(|s| s.has_tail_call);
    let seen = vec![[None; limits::FRAMES]; p.subprogs.len()];
    let plain = vec![false; p.subprogs.len()];
    let mut walk = Walk { p, depths, private, calls, seen, plain };
    for subprog in (0..p.subprogs.len()).rev().filter(|s| later[*s]) {
        walk.function(subprog, 0, 0, true)?;
    }
    if let Some(callback) = p.exception_callback {
        walk.seen.fill([None; limits::FRAMES]);
        walk.function(callback, 0, 0, true)?;
    }
    walk.seen.fill([None; limits::FRAMES]);
    walk.function(0, 0, 0, false)?;
    nothing_thrown(&walk, called_back)
}

/// Nothing is thrown in a function that is called back, or in one that it calls: who called it back would be left, too.
fn nothing_thrown(walk: &Walk<'_, '_>, called_back: &[bool]) -> At<()> {
    let p = walk.p;
    let mut inside: Vec<bool> = (0..p.subprogs.len())
        .map(|subprog| called_back[subprog] || p.exception_callback == Some(subprog))
        .collect();
    let mut waiting: Vec<usize> = (0..inside.len()).filter(|subprog| inside[*subprog]).collect();
    while let Some(subprog) = waiting.pop() {
        let callees = walk.calls[subprog].iter().map(|(_, callee)| *callee);
        for callee in callees.filter(|callee| !core::mem::replace(&mut inside[*callee], true)) {
            waiting.push(callee);
        }
    }
    for (pc, op) in p.ops.iter().enumerate() {
        let subprog = p.subprog_of(pc);
        if op.is_some_and(|op| inside[subprog] && p.throws(op)) {
            let words =
                format!("bpf_throw kfunc (insn {pc}) cannot be called from callback subprog {subprog}");
            return at(
                pc,
                refuse(Code::BadArgument, words).explain(
                    "no exception in what is called back",
                    "a helper, or the kernel, calls this function back",
                    "note the wish on the stack, stop the loop, and throw behind it",
                ),
            );
        }
    }
    Ok(())
}

impl Walk<'_, '_> {
    /// A function that is called in a frame, with `below` bytes of its callers' stack under it.
    fn function(&mut self, subprog: usize, frame: usize, below: u32, plain: bool) -> At<()> {
        if self.seen[subprog][frame].is_some_and(|seen| seen >= below) {
            return Ok(());
        }
        self.seen[subprog][frame] = Some(below);
        let start = self.p.subprogs[subprog].start;
        if subprog > 0 && self.p.subprogs[subprog].has_tail_call && below >= limits::TAIL_CALL_STACK {
            let words = format!(
                "tail_calls are not allowed when call stack of previous frames is {below} bytes. Too large"
            );
            return at(start, refuse(Code::StackTooDeep, words));
        }
        self.plain[subprog] |= plain;
        let own = self.depths[subprog].next_multiple_of(16);
        let private = self.private && !self.plain[subprog] && own >= PRIVATE_FROM;
        let total = if private { below } else { below + own };
        if total > limits::STACK || own > limits::STACK {
            let words = match private {
                true => format!("stack size of subprog {subprog} is {own}. Too large"),
                false => format!("combined stack size of {} calls is {total}. Too large", frame + 1),
            };
            return at(
                start,
                refuse(Code::StackTooDeep, words).explain(
                    format!("at most {} bytes over the call chain", limits::STACK),
                    format!("{total} bytes in {} functions", frame + 1),
                    "keep large buffers in a per-CPU array map",
                ),
            );
        }
        for (pc, callee) in self.calls[subprog].clone() {
            if frame + 1 >= limits::FRAMES {
                let words = format!("the call stack of {} frames is too deep !", frame + 1);
                return at(pc, refuse(Code::CallDepth, words));
            }
            self.function(callee, frame + 1, total, plain)?;
        }
        Ok(())
    }
}
