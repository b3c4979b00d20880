//! Which stack slots matter: what a finished state's continuations read before they overwrite it.
//!
//! Idea: while paths are explored, note for each instruction which slots it may read, and which it overwrites whole
//! each time. From these marks follows backwards, as in any liveness analysis,
//!
//! ```text
//! live(pc) = read(pc) ∪ (⋃ live(successors) − overwritten(pc))
//! ```
//!
//! Marks belong to an *instance* of a function: the chain of calls that leads to it. An instance has marks for its own
//! frame and for those of its callers, as far as it reads or writes there; what is live at its entry counts as read by
//! the call. Marks only grow and overwriting only shrinks, so each change is carried backwards at once. (Linux 6.18,
//! kernel/bpf/liveness.c, keeps such marks as well.)
//!
//! Why a slot that is dead in a finished state S may hold anything in a new state N at the same place: every
//! continuation of S was explored, up to ends and to states that were finished themselves, whose continuations were
//! explored under the same chain of calls (states of other chains are never compared). So each instruction on a
//! continuation has its marks. If a run from N could read the slot before it overwrites it, take the first such
//! instruction: up to there N's run does what one of S does, since nothing that it rests on differs; so S's exploration
//! passed there, the read was marked, and each instruction before it, passed by that path, does not always overwrite
//! the slot: the slot is live at S. An instruction that no path has come to is on no continuation of S, and counts as
//! one that overwrites everything.
//!
//! A call reads through each pointer to the stack that it is given: what a check noted, and where it noted nothing,
//! everything from there up.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{CallTarget, Op, Size};

use crate::check::{Facts, Target};
use crate::liveness;
use crate::program::Program;
use crate::state::{Kind, State, place};

/// Index of an instance.
type Id = usize;

/// No successor.
const NONE: u32 = u32::MAX;

/// What one instruction does with the slots of one frame; bit i is slot i.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    read: u64,
    /// Not always overwritten.
    keep: u64,
    live: u64,
}

/// Whether paths came to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Never,
    /// Each overwrites something.
    Overwriting,
    Plain,
}

/// A function under one chain of calls.
#[derive(Debug)]
struct Instance {
    caller: Option<(Id, usize)>,
    subprog: usize,
    /// The function's first slot.
    start: usize,
    seen: Vec<Seen>,
    /// By frame, by instruction; empty where it touches nothing.
    frames: Vec<Vec<Marks>>,
}

impl Instance {
    /// Makes room for what it does in a frame.
    fn touch(&mut self, frame: usize) {
        if self.frames[frame].is_empty() {
            let keep = |seen: &Seen| if *seen == Seen::Never { 0 } else { !0 };
            self.frames[frame] =
                self.seen.iter().map(|s| Marks { keep: keep(s), ..Marks::default() }).collect();
        }
    }
}

/// The marks of a program.
#[derive(Debug)]
pub(super) struct Slots {
    instances: Vec<Instance>,
    /// By the call and the function.
    known: BTreeMap<(Option<(Id, usize)>, usize), Id>,
    /// Those of the running state's frames, with the calls that made them.
    chain: Vec<(Id, usize)>,
    next: Vec<[u32; 2]>,
    /// Predecessors: those of `pc` are `before[first[pc]..first[pc + 1]]`.
    first: Vec<u32>,
    before: Vec<u32>,
    work: Vec<(Id, usize, usize)>,
}

/// What an instruction does in each frame.
#[derive(Default)]
struct Effects {
    /// Frame, slots read, slots overwritten.
    list: Vec<(usize, u64, u64)>,
}

impl Effects {
    fn add(&mut self, frame: usize, read: u64, overwritten: u64) {
        match self.list.iter_mut().find(|(f, ..)| *f == frame) {
            Some((_, r, o)) => {
                *r |= read;
                *o |= overwritten;
            }
            None => self.list.push((frame, read, overwritten)),
        }
    }
}

/// The slots from `off` on, `len` bytes.
fn slots(off: i32, len: usize) -> u64 {
    if len == 0 || off >= 0 {
        return 0;
    }
    let last = off.saturating_add(len as i32 - 1).min(-1);
    (place(last).0..=place(off).0).fold(0, |set, slot| set | 1u64.checked_shl(slot as u32).unwrap_or(0))
}

/// The slots that `len` bytes from `off`, which is negative, on cover whole.
fn whole(off: i32, len: usize) -> u64 {
    let (begin, end) = (off / 8 * 8, (off + len as i32).div_euclid(8) * 8);
    if begin < end { slots(begin, (end - begin) as usize) } else { 0 }
}

/// What an instruction reads and overwrites, before it is applied.
fn effects(p: &Program<'_>, s: &State, op: Op, facts: &Facts) -> Effects {
    let mut effects = Effects::default();
    if let Some(Target::Stack { frame, min, max }) = facts.target {
        let mut store = |size: Size| {
            let (size, fixed) = (size.bytes(), min == max);
            let overwritten = if fixed { whole(min, size) } else { 0 };
            // Who may not see addresses may not write over parts of one either: that is looked at.
            let looks = !p.may_leak() && overwritten == 0;
            let read = if looks { slots(min, (max - min) as usize + size) } else { 0 };
            effects.add(frame, read, overwritten);
        };
        match op {
            Op::Store { size, .. } | Op::StoreRelease { size, .. } => store(size),
            Op::Load { size, .. } | Op::LoadAcquire { size, .. } | Op::Atomic { size, .. } => {
                effects.add(frame, slots(min, (max - min) as usize + size.bytes()), 0);
            }
            _ => effects.add(frame, !0, 0),
        }
    }
    if !matches!(op, Op::Call(_)) {
        return effects;
    }
    let writes = facts.helper.iter().flat_map(|h| &h.stack_writes);
    for &(frame, off, len) in &facts.stack_reads {
        effects.add(frame, slots(off, len), 0);
    }
    for w in writes.clone().filter(|w| w.whole) {
        effects.add(w.frame, 0, whole(w.off, w.len));
    }
    // What a function of the program reads is seen in it, unless it is verified on its own.
    if matches!(op, Op::Call(CallTarget::Subprog(_))) && facts.helper.is_none() {
        return effects;
    }
    for reg in liveness::effects(p, op).0.iter() {
        let reg = s.reg(reg);
        let Kind::Stack { frame } = reg.kind else { continue };
        let (frame, off) = (usize::from(frame), i64::from(reg.off).saturating_add(reg.val.smin()));
        let mut noted =
            facts.stack_reads.iter().map(|r| (r.0, r.1)).chain(writes.clone().map(|w| (w.frame, w.off)));
        if noted.any(|(f, o)| f == frame && i64::from(o) == off) {
            continue;
        }
        let up = (-512..0).contains(&off).then(|| slots(off as i32, (-off) as usize));
        effects.add(frame, up.unwrap_or(!0), 0);
    }
    effects
}

impl Slots {
    pub(super) fn new(p: &Program<'_>) -> Self {
        let n = p.ops.len();
        let mut next = vec![[NONE; 2]; n];
        let mut first = vec![0; n + 2];
        for pc in 0..n {
            let Some(op) = p.ops[pc] else { continue };
            for (to, next) in liveness::next_slots(p, pc, op).zip(&mut next[pc]) {
                *next = to as u32;
                first[to + 2] += 1;
            }
        }
        for pc in 2..first.len() {
            first[pc] += first[pc - 1];
        }
        let mut before = vec![0; first[n + 1] as usize];
        for (pc, next) in next.iter().enumerate() {
            for &to in next.iter().filter(|to| **to != NONE) {
                let at = &mut first[to as usize + 1];
                before[*at as usize] = pc as u32;
                *at += 1;
            }
        }
        Self {
            instances: Vec::new(),
            known: BTreeMap::new(),
            chain: Vec::new(),
            next,
            first,
            before,
            work: Vec::new(),
        }
    }

    /// Forgets all marks, when no state is left.
    pub(super) fn clear(&mut self) {
        self.instances.clear();
        self.known.clear();
        self.chain.clear();
    }

    /// Another path goes on.
    pub(super) fn resume(&mut self) {
        self.chain.clear();
    }

    /// Finds the instances of a state's frames.
    fn enter(&mut self, p: &Program<'_>, s: &State) {
        let frame = s.frame();
        if self.chain.len() == s.frames.len()
            && self.chain.last().is_some_and(|&(id, callsite)| {
                callsite == frame.callsite && self.instances[id].subprog == frame.subprog
            })
        {
            return;
        }
        self.chain.clear();
        for (depth, frame) in s.frames.iter().enumerate() {
            let caller = self.chain.last().map(|&(id, _)| (id, frame.callsite));
            let next = self.instances.len();
            let id = *self.known.entry((caller, frame.subprog)).or_insert(next);
            if id == next {
                let extent = p.subprogs[frame.subprog];
                self.instances.push(Instance {
                    caller,
                    subprog: frame.subprog,
                    start: extent.start,
                    seen: vec![Seen::Never; extent.end - extent.start],
                    frames: vec![Vec::new(); depth + 1],
                });
            }
            self.chain.push((id, frame.callsite));
        }
    }

    /// Notes what the instruction at `pc` does in a state that it was found safe in.
    pub(super) fn note(&mut self, p: &Program<'_>, s: &State, pc: usize, op: Op, facts: &Facts) {
        self.enter(p, s);
        let Some(&(id, _)) = self.chain.last() else { return };
        let instance = &mut self.instances[id];
        let at = pc - instance.start;
        let touches = facts.target.is_some() || matches!(op, Op::Call(_));
        if !touches && instance.seen[at] == Seen::Plain {
            return;
        }
        let effects = if touches { effects(p, s, op, facts) } else { Effects::default() };
        let overwrites = effects.list.iter().any(|e| e.2 != 0);
        for &(frame, ..) in &effects.list {
            instance.touch(frame);
        }
        let first = instance.seen[at] == Seen::Never;
        instance.seen[at] = match (instance.seen[at], overwrites) {
            (Seen::Never | Seen::Overwriting, true) => Seen::Overwriting,
            (_, false) | (Seen::Plain, true) => Seen::Plain,
        };
        for (frame, marks) in instance.frames.iter_mut().enumerate().filter(|(_, m)| !m.is_empty()) {
            let effect = effects.list.iter().find(|e| e.0 == frame);
            let (read, overwritten) = effect.map_or((0, 0), |e| (e.1, e.2));
            let marks = &mut marks[at];
            let (read, keep) = (marks.read | read, marks.keep | !overwritten);
            if first || read != marks.read || keep != marks.keep {
                (marks.read, marks.keep) = (read, keep);
                self.work.push((id, frame, pc));
            }
        }
        self.carry();
    }

    /// Carries changes backwards.
    fn carry(&mut self) {
        while let Some((id, frame, pc)) = self.work.pop() {
            let instance = &mut self.instances[id];
            let start = instance.start;
            let marks = &mut instance.frames[frame];
            let after = self.next[pc].iter().filter(|to| **to != NONE);
            let after = after.fold(0, |set, to| set | marks[*to as usize - start].live);
            let here = &mut marks[pc - start];
            let live = here.read | (after & here.keep);
            if live == here.live {
                continue;
            }
            here.live = live;
            let before = self.first[pc] as usize..self.first[pc + 1] as usize;
            self.work.extend(self.before[before].iter().map(|pc| (id, frame, *pc as usize)));
            if let (true, Some((caller, call))) =
                (pc == start && frame + 1 < instance.frames.len(), instance.caller)
            {
                let instance = &mut self.instances[caller];
                instance.touch(frame);
                instance.frames[frame][call - instance.start].read |= live;
                self.work.push((caller, frame, call));
            }
        }
    }

    /// The slots of each frame that continuations of a finished state at `pc` read, which has the calls of `s`.
    pub(super) fn live(&mut self, p: &Program<'_>, s: &State, pc: usize) -> Vec<u64> {
        self.enter(p, s);
        let depth = self.chain.len() - 1;
        let at = |i: usize, pc: usize, frame: usize| {
            let instance = &self.instances[self.chain[i].0];
            instance.frames[frame].get(pc - instance.start).map_or(0, |m| m.live)
        };
        let in_frame = |frame: usize| {
            (frame..depth).fold(at(depth, pc, frame), |live, i| {
                let call = &s.frames[i + 1];
                let back = if call.callback { call.callsite } else { p.next(call.callsite) };
                live | at(i, back, frame)
            })
        };
        (0..=depth).map(in_frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_from_the_frame_pointer_down() {
        assert_eq!(slots(-8, 8), 1);
        assert_eq!(slots(-4, 4), 1);
        assert_eq!(slots(-16, 8), 2);
        assert_eq!(slots(-12, 8), 3);
        assert_eq!(slots(-512, 512), !0);
        assert_eq!(slots(-8, 0), 0);
        assert_eq!(whole(-8, 8), 1);
        assert_eq!(whole(-12, 12), 1);
        assert_eq!(whole(-12, 8), 0);
        assert_eq!(whole(-512, 512), !0);
    }
}
