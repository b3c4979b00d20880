//! Walks every path of the program, each state once.
//!
//! Idea: run the program on a state that stands for many machines. At a branch whose outcome is open, put one
//! side aside and go on with the other. Where paths may meet, compare with the states seen there: one that
//! covers ours makes the rest of this path superfluous; one that is still being explored and equal to ours
//! means a loop without progress. Bounded loops end because their counters differ each time around. The order
//! and the rules for storing states are those of Linux 6.18, so that programs at the limit get its verdict.

mod cost;
mod follow;
mod globals;
mod history;
mod iterate;
mod leave;
mod observe;
mod proved;
mod rounds;
mod settle;
mod slots;
mod store;
mod visit;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::KfuncEffect;
use skep_isa::{CallTarget, Op, Reg, RegSet};

pub use cost::{Difference, InsnCost};
pub use follow::Followed;
pub(crate) use history::{History, Step};
pub(crate) use store::{NodeId, Store};

use globals::Globals;
use proved::Proved;
use rounds::Rounds;
use slots::Slots;

use crate::check::{self, Facts, Masking, Target, speculation};
use crate::contract::{self, Callback, CallbackArgs, Later};
use crate::kernel::IterStep;
use crate::precision::{self, Wanted};
use crate::program::{Extent, Program, target};
use crate::report::Log;
use crate::state::State;
use crate::transfer::{self, Fresh, jump};
use crate::violation::{Check, Explain, refuse};
use crate::{AccessBase, Code, Decision, FrameBytes, InsnFacts, Observed, Options, Stats, limits};

/// A branch, or a callback, that waits.
struct Pending {
    state: State,
    pc: usize,
    history: History,
    parent: Option<NodeId>,
    trail: usize,
    log_len: usize,
}

/// An exploration under way.
pub(crate) struct Explorer<'p, 'a> {
    pub(crate) p: &'p Program<'a>,
    options: &'p Options,
    pub(crate) state: State,
    pub(crate) pc: usize,
    history: History,
    parent: Option<NodeId>,
    pending: Vec<Pending>,
    store: Store,
    rounds: Rounds,
    slots: Slots,
    globals: Globals,
    fresh: Fresh,
    /// Decisions as links to the one before; 0 is the start.
    trails: Vec<(usize, Decision)>,
    trail: usize,
    processed: u32,
    jumps: u32,
    last_stored: (u32, u32),
    max_states_per_insn: u32,
    pub(crate) facts: Vec<InsnFacts>,
    proved: Proved,
    /// How unprivileged additions are masked, by instruction.
    maskings: BTreeMap<usize, Masking>,
    /// The function that a `bpf_loop` calls on the first path, by instruction.
    looped: BTreeMap<usize, u16>,
    /// A masking depends on the bounds of a number: only equal numbers make a state superfluous.
    bounds_matter: bool,
    /// Deepest stack use of each subprogram, bytes.
    pub(crate) depths: Vec<u32>,
    /// Subprograms that timers and work queues call.
    pub(crate) later: Vec<bool>,
    /// Functions that are called back, at once or at another time.
    pub(crate) called_back: Vec<bool>,
    pub(crate) states: Vec<Vec<Observed>>,
    /// By instruction; empty if nobody wants to know.
    pub(crate) costs: Vec<InsnCost>,
    pub(crate) log: Log,
}

/// Where a path goes on, or that it ends.
enum Next {
    Go(usize),
    End,
}

impl<'p, 'a> Explorer<'p, 'a> {
    pub(crate) fn new(p: &'p Program<'a>, options: &'p Options) -> Self {
        let n = p.ops.len();
        Self {
            p,
            options,
            state: State::entry(),
            pc: 0,
            history: History::default(),
            parent: None,
            pending: Vec::new(),
            store: Store::new(n),
            rounds: Rounds::default(),
            slots: Slots::new(p),
            globals: Globals::new(p),
            fresh: Fresh::default(),
            trails: Vec::new(),
            trail: 0,
            processed: 0,
            jumps: 0,
            last_stored: (0, 0),
            max_states_per_insn: 0,
            facts: vec![InsnFacts::default(); n],
            proved: Proved::new(p),
            maskings: BTreeMap::new(),
            looped: BTreeMap::new(),
            bounds_matter: false,
            depths: vec![0; p.subprogs.len()],
            later: vec![false; p.subprogs.len()],
            called_back: vec![false; p.subprogs.len()],
            states: if options.record_states { vec![Vec::new(); n] } else { Vec::new() },
            costs: if options.costs { vec![InsnCost::default(); n] } else { Vec::new() },
            log: Log::new(options),
        }
    }

    /// Walks all paths.
    ///
    /// # Errors
    /// The first refusal, in the state that it was found in.
    pub(crate) fn run(&mut self) -> Check<()> {
        self.log.program(self.p);
        match self.p.extends {
            true => self.enter_global(0)?,
            false => self.log.entry(self.p, 0, &self.state),
        }
        self.walk()?;
        self.verify_globals()
    }

    /// Walks all paths from the running one's place on.
    fn walk(&mut self) -> Check<()> {
        loop {
            match self.step()? {
                Next::Go(pc) => self.pc = pc,
                Next::End => {
                    self.finish();
                    if !self.resume() {
                        self.log.accepted();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the exploration cost so far.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            insns_processed: self.processed,
            max_states_per_insn: self.max_states_per_insn,
            total_states: self.store.total,
            peak_states: self.store.peak,
            mark_read: 0,
        }
    }

    /// The stack that each function needs in the kernel once the program is translated: functions that no path reaches
    /// are gone, and what is put in place of `bpf_loop` and `may_goto` takes some more (`stack_depth_extra`).
    pub(crate) fn final_depths(&self) -> Vec<u32> {
        let reached = self.p.subprogs.iter().zip(&self.depths).filter(|(s, _)| self.facts[s.start].reached);
        let depth = |(s, depth): (&Extent, &u32)| {
            let ops = || (s.start..s.end).filter(|&pc| self.facts[pc].reached);
            let inlined = ops().any(|pc| self.looped.contains_key(&pc) && !self.facts[pc].loop_out_of_line);
            let budget = ops().any(|pc| matches!(self.p.op(pc), Op::MayGoto { .. }));
            depth + if inlined { 24 } else { 0 } + if budget { 16 } else { 0 }
        };
        reached.map(depth).collect()
    }

    /// Takes the facts about instructions, the bytes that each touches of its function's frame through pointers, and by
    /// function the bytes that have escaped.
    pub(crate) fn take_proved(&mut self) -> (Vec<InsnFacts>, BTreeMap<usize, FrameBytes>, Vec<FrameBytes>) {
        let mut insns = core::mem::take(&mut self.facts);
        let proved = core::mem::replace(&mut self.proved, Proved::new(self.p));
        let (touched, escaped) = proved.finish(self.p, &mut insns);
        (insns, touched, escaped)
    }

    /// The decisions on the path to here, oldest first.
    pub(crate) fn path(&self) -> Vec<Decision> {
        let mut path = Vec::new();
        let mut at = self.trail;
        while let Some(&(before, decision)) = at.checked_sub(1).and_then(|i| self.trails.get(i)) {
            path.push(decision);
            at = before;
        }
        path.reverse();
        path
    }

    fn resume(&mut self) -> bool {
        let Some(next) = self.pending.pop() else { return false };
        (self.state, self.pc) = (next.state, next.pc);
        self.slots.resume();
        (self.history, self.parent, self.trail) = (next.history, next.parent, next.trail);
        self.log.back_to(next.log_len);
        true
    }

    fn step(&mut self) -> Check<Next> {
        let pc = self.pc;
        self.processed += 1;
        self.cost(|c| c.steps += 1);
        let most = self.options.most_insns;
        if self.processed > most {
            let words = format!("BPF program is too large. Processed {} insn", self.processed);
            return refuse(Code::TooComplex, words).explain(
                format!("at most {most} instructions over all paths"),
                "more are needed",
                "bound loops more tightly, or move parts to functions or tail calls",
            );
        }
        let points = self.p.points[pc];
        if points.prune && self.visit()? {
            self.log.safe(self.came_from(), pc);
            return Ok(Next::End);
        }
        self.log.begins(self.p, self.came_from(), pc, &self.state);
        self.facts[pc].reached = true;
        if self.options.record_states {
            let observed = self.observe();
            self.states[pc].push(observed);
        }
        let op = self.p.op(pc);
        self.log.insn(self.p, pc, &self.state);
        let facts = check::insn(self.p, &self.state, pc, op)?;
        self.note(pc, &facts)?;
        self.mask(pc, op, &facts)?;
        self.rely(op, &facts);
        self.slots.note(self.p, &self.state, pc, op, &facts);
        self.proved.note(self.p, &self.state, pc, op, &facts);
        self.history.push(pc, points.jump);
        self.jumps += u32::from(counts_as_jump(op));
        let next = self.go(pc, op, &facts)?;
        match next {
            Next::Go(_) if is_frame_change(op, &facts) => {}
            Next::Go(next) => self.log.state(self.p, (pc, op), &facts, next, &self.state),
            Next::End => self.log.end(),
        }
        Ok(next)
    }

    fn go(&mut self, pc: usize, op: Op, facts: &Facts) -> Check<Next> {
        let next = self.p.next(pc);
        let far = |off: i32| target(pc, off).unwrap_or(usize::MAX);
        match op {
            Op::Jump { off, .. } => Ok(Next::Go(far(off))),
            Op::JumpIf { width, op, dst, src, off } => match facts.outcome.taken {
                Some(taken) => {
                    self.facts[pc].goes(taken);
                    self.decided(pc, taken);
                    Ok(Next::Go(if taken { far(off.into()) } else { next }))
                }
                None => {
                    self.facts[pc].goes(true);
                    self.facts[pc].goes(false);
                    let split = jump::split(
                        self.p,
                        &self.state,
                        pc,
                        (width, op),
                        (dst, src),
                        facts.outcome.branches.as_deref(),
                    );
                    self.history.note_linked(split.linked, self.p.points[pc].jump);
                    self.put_aside(Decision { pc, taken: true }, far(off.into()), split.taken)?;
                    self.state = split.not_taken;
                    self.decided(pc, false);
                    Ok(Next::Go(next))
                }
            },
            Op::MayGoto { off } => {
                self.facts[pc].goes(true);
                self.facts[pc].goes(false);
                let on = self.past_may_goto(pc);
                self.put_aside(Decision { pc, taken: false }, next, on)?;
                self.decided(pc, true);
                Ok(Next::Go(far(off.into())))
            }
            Op::Call(CallTarget::Subprog(off)) if facts.helper.is_none() => {
                let to = far(off);
                let callee = self.p.subprog_at(to).unwrap_or(0);
                transfer::enter(&mut self.state, pc, callee);
                self.log.called(self.p, &self.state);
                Ok(Next::Go(to))
            }
            Op::Exit if self.state.depth() > 0 => Ok(self.leave(pc)),
            Op::LoadPacket { .. } if self.state.depth() > 0 => self.legacy_load(pc, op, facts),
            Op::Exit => Ok(Next::End),
            _ if facts.throws => Ok(Next::End),
            _ => {
                if matches!(op, Op::Call(CallTarget::Helper(contract::TAIL_CALL))) {
                    self.tail_call(pc)?;
                }
                if facts.kfunc == Some(KfuncEffect::TakesLock) {
                    self.lock_fails(pc)?;
                }
                if let Op::Call(CallTarget::Subprog(off)) = op
                    && let Some(callee) = self.p.global_callee(pc, off)
                {
                    self.calls_global(callee);
                }
                if let Some(callback) = facts.helper.as_ref().and_then(|h| h.callback) {
                    self.call_back(pc, callback)?;
                }
                if let Some(call) = facts.iter.as_ref().filter(|call| call.function.step == IterStep::Next) {
                    self.iterate(pc, call)?;
                    return Ok(Next::Go(next));
                }
                let slot = transfer::apply(self.p, &mut self.state, pc, op, facts, &mut self.fresh);
                self.history.note_slot(slot, self.p.points[pc].jump);
                Ok(Next::Go(next))
            }
        }
    }

    /// The branch that the path begins behind, or that it came through last.
    fn came_from(&self) -> usize {
        let last = self.trail.checked_sub(1).and_then(|i| self.trails.get(i));
        last.map_or(0, |(_, decision)| decision.pc)
    }

    /// Puts aside what follows if a helper calls back; what follows if it does not, or no more, goes on.
    fn call_back(&mut self, pc: usize, callback: Callback) -> Check<()> {
        let again = match callback.args {
            CallbackArgs::Loop { most } => u64::from(self.state.frame().callback_depth) < most,
            CallbackArgs::MapElem { .. }
            | CallbackArgs::Sample
            | CallbackArgs::Vma { .. }
            | CallbackArgs::Less { .. } => true,
            CallbackArgs::Later(later) => return self.call_later(pc, callback.subprog, later),
        };
        if let CallbackArgs::Loop { .. } = callback.args {
            let first = *self.looped.entry(pc).or_insert(callback.subprog);
            let fits = first == callback.subprog && self.state.reg(Reg(4)).is_null();
            self.facts[pc].loop_out_of_line |= !fits;
        }
        if again {
            let mut state = self.state.clone();
            transfer::call_back(self.p, &mut state, pc, callback, &mut self.fresh);
            let to = self.p.subprogs[usize::from(callback.subprog)].start;
            self.called_back[usize::from(callback.subprog)] = true;
            self.put_aside(Decision { pc, taken: true }, to, state)?;
            if let Some(pending) = self.pending.last_mut() {
                pending.history.note_callback();
            }
            self.decided(pc, false);
        }
        self.state.frame_mut().callback_depth = 0;
        Ok(())
    }

    /// Puts aside what a timer or a work queue does at another time: nothing of this path leads there, and whether
    /// this path is done with does not hang on it.
    fn call_later(&mut self, pc: usize, subprog: u16, later: Later) -> Check<()> {
        self.later[usize::from(subprog)] = true;
        self.called_back[usize::from(subprog)] = true;
        let state = transfer::call_later(self.p, &self.state, subprog, later, &mut self.fresh);
        let to = self.p.subprogs[usize::from(subprog)].start;
        let parent = self.parent.take();
        let put = self.put_aside(Decision { pc, taken: true }, to, state);
        self.parent = parent;
        if let Some(pending) = self.pending.last_mut() {
            pending.history = History::default();
        }
        put
    }

    fn decided(&mut self, pc: usize, taken: bool) {
        self.trails.push((self.trail, Decision { pc, taken }));
        self.trail = self.trails.len();
    }

    /// Puts one side of a branch aside.
    fn put_aside(&mut self, decision: Decision, to: usize, state: State) -> Check<()> {
        let n = self.pending.len() + 1;
        if n > limits::PENDING_JUMPS {
            let words = format!("The sequence of {n} jumps is too complex.");
            return refuse(Code::TooComplex, words);
        }
        self.trails.push((self.trail, decision));
        self.store.fork(self.parent);
        self.pending.push(Pending {
            state,
            pc: to,
            history: self.history.clone(),
            parent: self.parent,
            trail: self.trails.len(),
            log_len: self.log.len(),
        });
        Ok(())
    }

    /// Notes what an instruction accesses, and how deep the stack goes.
    ///
    /// # Errors
    /// When the instruction accesses the context or a socket on one path and something else on another: engines keep
    /// those in a form of their own.
    fn note(&mut self, pc: usize, facts: &Facts) -> Check<()> {
        if let Some(Target::Field { kind, .. }) = facts.target {
            self.facts[pc].field = Some(kind);
        }
        if let Some(target) = facts.target {
            let (before, now) = (self.facts[pc].access, target.base());
            let differs = before.is_some_and(|b| b != now);
            if before.is_some_and(|b| !b.goes_with(now)) {
                let words = "same insn cannot be used with different pointers";
                return refuse(Code::ForbiddenAccess, words).explain(
                    "an access to the context, or to one kind of socket, on every path or on none",
                    format!("another path accesses {before:?} here, this one {now:?}"),
                    "load the field in each branch",
                );
            }
            self.facts[pc].access = Some(match before {
                Some(AccessBase::Kernel) => AccessBase::Kernel,
                _ if now == AccessBase::Kernel || !differs => now,
                _ => AccessBase::Various,
            });
        }
        let stack = match facts.target {
            Some(Target::Stack { frame, min, .. }) => Some((frame, min)),
            _ => None,
        };
        for (frame, off) in facts.touched.iter().copied().chain(stack) {
            let subprog = self.state.frames[frame].subprog;
            let depth = off.unsigned_abs().next_multiple_of(8);
            self.depths[subprog] = self.depths[subprog].max(depth);
        }
        Ok(())
    }

    /// Notes how an addition is masked.
    ///
    /// # Errors
    /// When another path needs another masking.
    fn mask(&mut self, pc: usize, op: Op, facts: &Facts) -> Check<()> {
        let (Some(now), Op::Alu { op, dst, .. }) = (facts.masking, op) else { return Ok(()) };
        self.bounds_matter |= matches!(now, Masking::Pointer { constant: false, .. });
        match self.maskings.insert(pc, now) {
            Some(before) if before != now => speculation::differs(op, dst),
            _ => Ok(()),
        }
    }

    /// Protects the numbers that a check relied on.
    fn rely(&mut self, op: Op, facts: &Facts) {
        if !self.marks_precision() || (facts.precise.is_empty() && facts.precise_slots.is_empty()) {
            return;
        }
        if self.log.hears_walks() {
            return self.rely_aloud(op, facts);
        }
        let mut wanted = Wanted::new();
        wanted.add_regs(self.state.depth(), facts.precise);
        for &(frame, slot) in &facts.precise_slots {
            wanted.add_slot(frame, slot);
        }
        self.trace(wanted);
    }

    /// The same one by one, in the kernel's order: together they mark the same.
    fn rely_aloud(&mut self, op: Op, facts: &Facts) {
        let frame = self.state.depth();
        for &(frame, slot) in &facts.precise_slots {
            let mut wanted = Wanted::new();
            wanted.add_slot(frame, slot);
            self.trace(wanted);
        }
        // A comparison's destination comes first, and that `bpf_loop` has no flags.
        let mut first = None;
        if let Op::JumpIf { dst, .. } = op {
            first = Some(dst);
        } else if op == Op::Call(CallTarget::Helper(contract::LOOP)) {
            first = Some(Reg(4));
        }
        let first = first.filter(|reg| facts.precise.contains(*reg));
        let rest = facts.precise.iter().filter(|r| Some(*r) != first);
        for reg in first.into_iter().chain(rest) {
            let mut wanted = Wanted::new();
            wanted.add_regs(frame, RegSet::EMPTY.with(reg));
            self.trace(wanted);
        }
    }

    fn trace(&mut self, wanted: Wanted) {
        let (pc, depth, history, parent) = (self.pc, self.state.depth(), &self.history, self.parent);
        let start = self.start_of(&self.state);
        let from = precision::From { pc, depth, history, parent, start };
        match self.log.hears_walks() {
            true => precision::trace(self.p, &mut self.store, wanted, &from, &mut self.log),
            false => precision::trace(self.p, &mut self.store, wanted, &from, &mut precision::Silent),
        };
    }

    /// Where the path of a state began.
    fn start_of(&self, state: &State) -> usize {
        match state.frames[0].later {
            0 => self.p.subprogs[state.frames[0].subprog].start,
            // The kernel does not tell where what a timer calls begins.
            _ => 0,
        }
    }

    /// Without `CAP_BPF` every number counts.
    fn marks_precision(&self) -> bool {
        self.p.env.privileged()
    }

    /// Whether numbers that are not marked do not count when states are compared.
    fn tracks_precision(&self) -> bool {
        self.marks_precision() && !self.options.record_states
    }
}

/// Whether the log has shown the frames already.
fn is_frame_change(op: Op, facts: &Facts) -> bool {
    match op {
        Op::Call(CallTarget::Subprog(_)) => facts.helper.is_none(),
        _ => op == Op::Exit,
    }
}

fn counts_as_jump(op: Op) -> bool {
    matches!(op, Op::Jump { .. } | Op::JumpIf { .. } | Op::Call(_) | Op::Exit | Op::MayGoto { .. })
}
