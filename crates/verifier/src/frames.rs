//! Functions' stack frames: what is touched from elsewhere, and what may be read before it is written.
//!
//! The latter needs no states: which bytes a function has surely written at an instruction follows forwards,
//!
//! ```text
//! written(pc) = ⋂ (written(before) ∪ what before stores at r10)
//! ```
//!
//! over the ways that paths have taken, and what may be read is what loads at `r10` read and what was noted of all others.
//! A read of what is not surely written is one of what is unwritten. States would say more of calls that write, but not of
//! paths that were cut short: whoever may read what was never written is not told from one who has written it.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{CallTarget, Op, Reg, Size};

use crate::program::{Extent, Program, target};
use crate::{FrameBytes, InsnFacts, Subprog};

/// A program, and what its paths have shown.
pub(crate) struct Frames<'p, 'a> {
    pub(crate) p: &'p Program<'a>,
    pub(crate) insns: &'p [InsnFacts],
    /// By instruction, what it touches of its function's frame other than at `r10`.
    pub(crate) touched: &'p BTreeMap<usize, FrameBytes>,
    /// By function, what may be touched by accesses to other memory.
    pub(crate) escaped: &'p [FrameBytes],
}

impl Frames<'_, '_> {
    /// The program's functions.
    pub(crate) fn subprogs(&self, depths: &[u32]) -> Vec<Subprog> {
        let calls_out = self.calls_out();
        let of = |i: usize, s: &Extent| Subprog {
            start: s.start,
            end: s.end,
            stack_depth: depths[i],
            has_tail_call: s.has_tail_call,
            shared: self.touched.range(s.start..s.end).fold(FrameBytes::NONE, |all, (_, b)| all.or(*b)),
            escaped: self.escaped[i],
            unwritten: self.unwritten(s, depths[i]),
            global: s.global,
            calls_out: calls_out[i],
        };
        self.p.subprogs.iter().enumerate().map(|(i, s)| of(i, s)).collect()
    }

    /// Where an instruction goes on within its function, on any path.
    fn next(&self, pc: usize, op: Op) -> [Option<usize>; 2] {
        let next = Some(self.p.next(pc));
        match op {
            Op::Exit => [None, None],
            Op::Jump { off, .. } => [target(pc, off), None],
            Op::JumpIf { off, .. } | Op::MayGoto { off } => {
                let facts = &self.insns[pc];
                [next.filter(|_| facts.falls), target(pc, off.into()).filter(|_| facts.taken)]
            }
            _ => [next, None],
        }
    }

    /// The reached instructions of a function.
    fn reached(&self, s: &Extent) -> impl Iterator<Item = (usize, Op)> {
        let ops = self.p.ops[s.start..s.end].iter().zip(s.start..);
        ops.filter_map(|(op, pc)| Some((pc, (*op)?))).filter(|(pc, _)| self.insns[*pc].reached)
    }

    /// Bytes at the upper end of a frame that may be read before they are written.
    fn unwritten(&self, s: &Extent, depth: u32) -> u32 {
        if !self.p.may_leak() || depth == 0 {
            return 0;
        }
        let mut targets: Vec<_> = self
            .reached(s)
            .filter(|(_, op)| matches!(op, Op::Jump { .. } | Op::JumpIf { .. } | Op::MayGoto { .. }))
            .flat_map(|(pc, op)| self.next(pc, op).into_iter().flatten().filter(move |to| *to != pc + 1))
            .collect();
        targets.sort_unstable();
        targets.dedup();
        let mut written = vec![FrameBytes::ALL; targets.len()];
        loop {
            // The target, and the note, that the walk comes to next.
            let mut at_hand = 0;
            let mut notes = self.touched.range(s.start..s.end).peekable();
            let (mut changed, mut read) = (false, FrameBytes::NONE);
            // Nothing goes on behind what does not go there.
            let mut now = FrameBytes::NONE;
            let mut comes = true;
            for (pc, op) in self.reached(s) {
                while targets.get(at_hand).is_some_and(|to| *to < pc) {
                    at_hand += 1;
                }
                if targets.get(at_hand) == Some(&pc) {
                    let at = &mut written[at_hand];
                    *at = if comes { at.and(now) } else { *at };
                    now = *at;
                }
                while let Some((_, noted)) = notes.next_if(|(at, _)| **at <= pc) {
                    read = read.or(noted.without(now));
                }
                match at_frame_pointer(op) {
                    Some((loaded, false)) => read = read.or(loaded.without(now)),
                    Some((stored, true)) => now = now.or(stored),
                    None => {}
                }
                comes = false;
                for to in self.next(pc, op).into_iter().flatten() {
                    let found = if to == pc + op.slots() { None } else { targets.binary_search(&to).ok() };
                    let Some(i) = found else {
                        comes = true;
                        continue;
                    };
                    let before = written[i];
                    written[i] = before.and(now);
                    // What lies ahead sees it this time around.
                    changed |= to <= pc && written[i] != before;
                }
            }
            if !changed {
                let lowest = read.lowest().map_or(0, |off| off.unsigned_abs().into());
                return u32::min(lowest, depth).next_multiple_of(8);
            }
        }
    }

    /// By function, whether it, or one that it calls, calls what is none.
    fn calls_out(&self) -> Vec<bool> {
        let mut calls = vec![Vec::new(); self.p.subprogs.len()];
        let mut out = vec![false; self.p.subprogs.len()];
        for (i, s) in self.p.subprogs.iter().enumerate() {
            for (pc, op) in self.reached(s) {
                match op {
                    Op::Call(CallTarget::Subprog(off)) => {
                        calls[i].extend(target(pc, off).and_then(|to| self.p.subprog_at(to)));
                    }
                    Op::Call(_) | Op::LoadPacket { .. } => out[i] = true,
                    _ => {}
                }
            }
        }
        loop {
            let before = out.clone();
            for (out, callees) in out.iter_mut().zip(&calls) {
                *out |= callees.iter().any(|to| before[*to]);
            }
            if out == before {
                return out;
            }
        }
    }
}

/// What an instruction surely loads, or (`true`) stores, with `r10` as its base.
fn at_frame_pointer(op: Op) -> Option<(FrameBytes, bool)> {
    let bytes = |off: i16, size: Size| FrameBytes::range(off.into(), i64::from(off) + size.bytes() as i64);
    match op {
        Op::Load { size, src: Reg::FP, off, .. }
        | Op::LoadAcquire { size, src: Reg::FP, off, .. }
        | Op::Atomic { size, dst: Reg::FP, off, .. } => Some((bytes(off, size), false)),
        Op::Store { size, dst: Reg::FP, off, .. } | Op::StoreRelease { size, dst: Reg::FP, off, .. } => {
            Some((bytes(off, size), true))
        }
        _ => None,
    }
}
