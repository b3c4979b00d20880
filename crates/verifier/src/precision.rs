//! Finds which earlier numbers a verdict rests on.
//!
//! Idea: most numbers never matter for safety, so states that differ only in them count as equal. When a check
//! does use a number (a size, a pointer's offset, a decided branch), walk the path backwards from there. At
//! each instruction that wrote a wanted register or slot, want what it was computed from instead. At each
//! stored state that is passed, mark what is wanted then as *precise*; stop when nothing is wanted, or what is
//! wanted was marked before.
//!
//! A walk that comes upon something that it cannot follow marks every number of every state that it would
//! still have passed, which is always sound.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{AluOp, CallTarget, Op, Operand, Reg, RegSet};

use crate::check::fetched;
use crate::contract;
use crate::explore::{History, NodeId, Step, Store};
use crate::program::Program;
use crate::state::{Frame, Reg as Known, State};
use crate::transfer::jump::Place;

/// Wanted registers and slots, by frame.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    frames: Vec<FrameWanted>,
}

#[derive(Clone, Copy, Debug, Default)]
struct FrameWanted {
    regs: RegSet,
    /// Bit i is slot i.
    slots: u64,
}

/// Something that the walk cannot follow.
struct Lost;

/// What is told of walks, for the log. [`Silent`] costs nothing.
pub(crate) trait Witness {
    /// The walk comes to a part of the path, from the instruction `last` back to `first`, where a stored state is or the
    /// function begins. `subseq`: the `first` of the part that follows it.
    fn part(&mut self, frame: usize, last: Option<usize>, first: usize, subseq: Option<usize>);
    /// Before an instruction is undone.
    fn undo(&mut self, p: &Program<'_>, wanted: &Wanted, frame: usize, pc: usize);
    /// What was wanted is marked in a stored state.
    fn marked(&mut self, p: &Program<'_>, wanted: &Wanted, frame: usize, state: &State);
    /// The walk is lost, in the `depth`-th frame.
    fn lost(&mut self, depth: usize);
    /// Every number of a stored state will be marked.
    fn forces(&mut self, state: &State);
}

/// Nobody listens.
pub(crate) struct Silent;

impl Witness for Silent {
    fn part(&mut self, _: usize, _: Option<usize>, _: usize, _: Option<usize>) {}
    fn undo(&mut self, _: &Program<'_>, _: &Wanted, _: usize, _: usize) {}
    fn marked(&mut self, _: &Program<'_>, _: &Wanted, _: usize, _: &State) {}
    fn lost(&mut self, _: usize) {}
    fn forces(&mut self, _: &State) {}
}

impl Wanted {
    pub(crate) fn new() -> Self {
        Self { frames: vec![FrameWanted::default(); crate::limits::FRAMES + 1] }
    }

    pub(crate) fn add_regs(&mut self, frame: usize, regs: RegSet) {
        self.frames[frame].regs = self.frames[frame].regs.union(regs);
    }

    pub(crate) fn add_slot(&mut self, frame: usize, slot: usize) {
        self.frames[frame].slots |= 1 << slot;
    }

    /// What is wanted in a frame: registers, and slots by bit.
    pub(crate) fn of(&self, frame: usize) -> (RegSet, u64) {
        let FrameWanted { regs, slots } = self.frames[frame];
        (regs, slots)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.iter().all(|f| f.regs.is_empty() && f.slots == 0)
    }

    fn has(&self, place: Place) -> bool {
        match place {
            Place::Reg(f, r) => self.frames[f].regs.contains(r),
            Place::Slot(f, i) => self.frames[f].slots >> i & 1 != 0,
        }
    }

    fn add(&mut self, place: Place) {
        match place {
            Place::Reg(f, r) => self.add_regs(f, RegSet::EMPTY.with(r)),
            Place::Slot(f, i) => self.add_slot(f, i),
        }
    }

    /// Whether a register is wanted; it is not any longer.
    fn take(&mut self, frame: usize, reg: Reg) -> bool {
        let set = &mut self.frames[frame].regs;
        let had = set.contains(reg);
        *set = set.without(RegSet::EMPTY.with(reg));
        had
    }

    fn want(&mut self, frame: usize, reg: Reg) {
        if reg != Reg::FP {
            self.add_regs(frame, RegSet::EMPTY.with(reg));
        }
    }

    /// Undoes one instruction, from what is wanted after it to what is wanted before.
    fn undo(&mut self, p: &Program<'_>, step: &Step, frame: &mut usize) -> Result<(), Lost> {
        let f = *frame;
        let slot = step.slot.map(|(f, i)| (usize::from(f), usize::from(i)));
        match p.op(step.pc as usize) {
            Op::Alu { op: AluOp::Mov, dst, src, .. } => {
                if self.take(f, dst)
                    && let Operand::Reg(src) = src
                {
                    self.want(f, src);
                }
            }
            Op::MovSx { dst, src, .. } => {
                if self.take(f, dst) {
                    self.want(f, src);
                }
            }
            Op::Alu { dst, src: Operand::Reg(src), .. } => {
                if self.has(Place::Reg(f, dst)) {
                    self.want(f, src);
                }
            }
            Op::Alu { src: Operand::Imm(_), .. } | Op::Neg { .. } | Op::Swap { .. } => {}
            Op::LoadImm64 { dst, .. } => {
                self.take(f, dst);
            }
            Op::AddrSpaceCast { dst, .. } => {
                self.take(f, dst);
            }
            Op::Load { dst, .. } | Op::LoadAcquire { dst, .. } => {
                if self.take(f, dst)
                    && let Some((frame, slot)) = slot
                {
                    self.add_slot(frame, slot);
                }
            }
            Op::Store { src, .. } => self.undo_store(f, slot, Some(src)),
            Op::StoreRelease { src, .. } => self.undo_store(f, slot, Some(Operand::Reg(src))),
            Op::Atomic { op, src, .. } => {
                // The slot holds anything afterwards; the register what the slot held before.
                if let Some((frame, slot)) = slot {
                    self.frames[frame].slots &= !(1 << slot);
                }
                if fetched(op, src).is_some_and(|reg| self.take(f, reg))
                    && let Some((frame, slot)) = slot
                {
                    self.add_slot(frame, slot);
                }
            }
            // Back into the function that it left, with 0.
            Op::LoadPacket { .. } if step.left => {
                if f + 1 >= self.frames.len() {
                    return Err(Lost);
                }
                self.take(f, Reg::R0);
                *frame = f + 1;
            }
            Op::LoadPacket { .. } => {
                self.take(f, Reg::R0);
            }
            Op::JumpIf { dst, src, .. } => {
                self.share(step);
                if let Operand::Reg(src) = src
                    && (self.has(Place::Reg(f, dst)) || self.has(Place::Reg(f, src)))
                {
                    self.want(f, dst);
                    self.want(f, src);
                }
                self.share(step);
            }
            // It reads nothing; what was forgotten past a `may_goto` was no less known before.
            Op::Jump { .. } | Op::MayGoto { .. } => {}
            // Into the callback: its index, key and value come from nowhere, its context is the third argument. The
            // caller has the registers that it had before.
            Op::Call(call @ (CallTarget::Helper(_) | CallTarget::Kfunc { .. })) if step.callback => {
                let Some(caller) = f.checked_sub(1) else { return Err(Lost) };
                // In the callback and in the call; a kernel function's gets nothing of its caller's.
                let ctx = match call {
                    CallTarget::Helper(contract::LOOP | contract::USER_RINGBUF_DRAIN) => {
                        Some((Reg(2), Reg(3)))
                    }
                    CallTarget::Helper(contract::FIND_VMA) => Some((Reg(3), Reg(4))),
                    CallTarget::Helper(_) => Some((Reg(4), Reg(3))),
                    CallTarget::Kfunc { .. } | CallTarget::Subprog(_) => None,
                };
                if let Some((ctx, given)) = ctx
                    && self.take(f, ctx)
                {
                    self.want(caller, given);
                }
                for r in 1..=5 {
                    self.take(f, Reg(r));
                }
                if !self.frames[f].regs.is_empty() || self.frames[f].slots != 0 {
                    return Err(Lost);
                }
                *frame = caller;
            }
            // Back into the function that another program ran in the place of: its result comes from there.
            Op::Call(CallTarget::Helper(_)) if step.left => {
                if f + 1 >= self.frames.len() {
                    return Err(Lost);
                }
                self.take(f, Reg::R0);
                *frame = f + 1;
            }
            Op::Call(CallTarget::Helper(_) | CallTarget::Kfunc { .. }) => {
                self.take(f, Reg::R0);
                if (1..=5).any(|r| self.has(Place::Reg(f, Reg(r)))) {
                    return Err(Lost);
                }
            }
            // Verified on its own: nothing is known of what it returns.
            Op::Call(CallTarget::Subprog(off)) if p.global_callee(step.pc as usize, off).is_some() => {
                self.take(f, Reg::R0);
                if (1..=5).any(|r| self.has(Place::Reg(f, Reg(r)))) {
                    return Err(Lost);
                }
            }
            Op::Call(CallTarget::Subprog(_)) => {
                let Some(caller) = f.checked_sub(1) else { return Err(Lost) };
                for r in 1..=5 {
                    if self.take(f, Reg(r)) {
                        self.want(caller, Reg(r));
                    }
                }
                // At entry a frame has nothing but its arguments.
                if !self.frames[f].regs.is_empty() || self.frames[f].slots != 0 {
                    return Err(Lost);
                }
                *frame = caller;
            }
            Op::Exit => {
                let callee = f + 1;
                if callee >= self.frames.len() {
                    return Err(Lost);
                }
                // A callback returns to the call; its caller's registers are those before the call.
                if !step.callback && self.take(f, Reg::R0) {
                    self.want(callee, Reg::R0);
                }
                *frame = callee;
            }
            Op::CallIndirect { .. } | Op::JumpIndirect { .. } => {
                return Err(Lost);
            }
        }
        Ok(())
    }

    fn undo_store(&mut self, frame: usize, slot: Option<(usize, usize)>, src: Option<Operand>) {
        let Some((f, i)) = slot else { return };
        if !self.has(Place::Slot(f, i)) {
            return;
        }
        self.frames[f].slots &= !(1 << i);
        if let Some(Operand::Reg(src)) = src {
            self.want(frame, src);
        }
    }

    /// What was learned about one of the linked registers was learned about all.
    fn share(&mut self, step: &Step) {
        if let Some(linked) = &step.linked
            && linked.iter().any(|l| self.has(*l))
        {
            linked.iter().for_each(|l| self.add(*l));
        }
    }

    /// Marks what is wanted in a stored state; what is no number, or was marked before, is wanted no more.
    fn mark(&mut self, state: &mut State) {
        for (f, wanted) in self.frames.iter_mut().enumerate() {
            if wanted.regs.is_empty() && wanted.slots == 0 {
                continue;
            }
            if f >= state.frames.len() {
                *wanted = FrameWanted::default();
                continue;
            }
            let frame = state.frame_at_mut(f);
            for r in wanted.regs.iter() {
                if !mark(&mut frame.regs[r.index()]) {
                    wanted.regs = wanted.regs.without(RegSet::EMPTY.with(r));
                }
            }
            for i in 0..64 {
                if wanted.slots >> i & 1 == 0 {
                    continue;
                }
                let spilled = frame.stack.slots.get_mut(i).and_then(|s| s.spilled.as_mut());
                if !spilled.is_some_and(|reg| mark(Rc::make_mut(reg))) {
                    wanted.slots &= !(1 << i);
                }
            }
        }
    }
}

/// Marks a number; says whether it was not marked before.
fn mark(reg: &mut Known) -> bool {
    let new = reg.is_scalar() && !reg.precise;
    reg.precise |= reg.is_scalar();
    new
}

/// Where a walk begins: at an instruction that is not undone itself, behind what led to it.
pub(crate) struct From<'h> {
    pub(crate) pc: usize,
    /// The running frame.
    pub(crate) depth: usize,
    /// The way from `parent`.
    pub(crate) history: &'h History,
    pub(crate) parent: Option<NodeId>,
    /// Where the path begins: where the first function is entered.
    pub(crate) start: usize,
}

/// Marks everything that is wanted there, and what it comes from, in the stored states of the path; says whether
/// anything was not marked before.
pub(crate) fn trace<W: Witness>(
    p: &Program<'_>,
    store: &mut Store,
    mut wanted: Wanted,
    from: &From<'_>,
    witness: &mut W,
) -> bool {
    let mut changed = false;
    let mut frame = from.depth;
    let mut at = from.parent;
    let mut first = at.map_or(from.start, |id| store.node(id).pc);
    witness.part(frame, Some(from.pc), first, None);
    let mut lost = walk(p, &mut wanted, &from.history.steps, &mut frame, witness);
    while let Some(id) = at {
        let node = store.node_mut(id);
        if lost {
            witness.forces(&node.state);
            changed |= mark_all(&mut node.state);
            at = node.parent;
            continue;
        }
        if wanted.is_empty() {
            return changed;
        }
        wanted.mark(&mut node.state);
        witness.marked(p, &wanted, frame, &node.state);
        if wanted.is_empty() {
            return changed;
        }
        changed = true;
        debug_assert_eq!(frame, node.state.depth(), "the walk keeps count of the frames");
        at = node.parent;
        let subseq = first;
        first = at.map_or(from.start, |id| store.node(id).pc);
        let steps = &store.node(id).history.steps;
        witness.part(frame, steps.last().map(|s| s.pc as usize), first, Some(subseq));
        lost = walk(p, &mut wanted, steps, &mut frame, witness);
    }
    changed
}

/// Walks back over some steps, as long as something is wanted; says whether it got lost.
fn walk<W: Witness>(
    p: &Program<'_>,
    wanted: &mut Wanted,
    steps: &[Step],
    frame: &mut usize,
    witness: &mut W,
) -> bool {
    for step in steps.iter().rev() {
        witness.undo(p, wanted, *frame, step.pc as usize);
        if wanted.undo(p, step, frame).is_err() {
            witness.lost(*frame);
            return true;
        }
    }
    false
}

/// Marks every number of a state; says whether any was not marked before.
pub(crate) fn mark_all(state: &mut State) -> bool {
    let mut changed = false;
    state.for_each_reg(|reg| changed |= mark(reg));
    changed
}

/// What a state that was explored before has marked.
pub(crate) fn wanted_by(old: &State) -> Wanted {
    wanted_where(old, |reg| reg.is_scalar() && reg.precise)
}

/// Every number of a state.
pub(crate) fn all_numbers(state: &State) -> Wanted {
    wanted_where(state, Known::is_scalar)
}

fn wanted_where(state: &State, precise: impl Fn(&Known) -> bool) -> Wanted {
    let mut wanted = Wanted::new();
    for (f, frame) in state.frames.iter().enumerate() {
        let Frame { regs, stack, .. } = &**frame;
        for (i, reg) in regs.iter().enumerate() {
            if precise(reg) {
                wanted.want(f, Reg(i as u8));
            }
        }
        for (i, slot) in stack.slots.iter().enumerate() {
            if slot.spill().is_some_and(|(reg, _)| precise(reg)) {
                wanted.add_slot(f, i);
            }
        }
    }
    wanted
}
