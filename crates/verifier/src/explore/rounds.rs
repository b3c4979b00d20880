//! Loops that end by themselves: around a `may_goto` (Linux 6.9), whose budget ends them, and through a
//! helper that calls back, which does so a bounded number of times.
//!
//! Idea: a path that comes back to a state that covers its own need not go around again, even if that state's
//! other continuations are still being explored. Since nobody knows yet which numbers these rest on, all count
//! in the comparison; and when they are known, what they rest on must be passed on to the path that ended here.
//! So such ends are kept (`Back`) until everything that was explored from the loop's entry is finished, and then
//! passed on until nothing changes. A state inside the loop that is finished before is not complete: it too
//! covers others only if every number counts. (Linux 6.18: `struct bpf_scc_visit`, `propagate_backedges`.)
//!
//! Numbers that differ from one time around to the next, but that nothing rests on, are forgotten: the second
//! time around they are equal.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::settle::{Certainty, Unsettled};
use super::{Explorer, History, NodeId};
use crate::precision::{self, Wanted};
use crate::program::{Program, Store};
use crate::state::{Ids, Reg, State};

/// The outermost loop that a state is in: the calls that lead to the function, and the loop's number.
type Key = (Vec<usize>, u32);

/// How often marks are passed on before all numbers are marked.
const ROUNDS: u32 = 64;

/// A path that ended at a state that is not complete.
#[derive(Debug)]
pub(super) struct Back {
    /// The state that covers it.
    pub(super) to: NodeId,
    pub(super) history: History,
    pub(super) parent: Option<NodeId>,
    /// Linux 6.18 keeps it as well: it takes what is not settled, and what a callback comes back to, for complete.
    by_linux: bool,
    /// There if the state covers it only as far as was known then.
    pub(super) unsettled: Option<Unsettled>,
}

/// One time that the exploration entered a loop.
#[derive(Debug, Default)]
pub(super) struct Visit {
    /// The first state stored in it; `None` when everything from there on is finished.
    pub(super) entry: Option<NodeId>,
    pub(super) backs: Vec<Back>,
    /// States that are finished, but that walks back may still come through.
    pub(super) finished: Vec<NodeId>,
    /// Paths that turned out not to be covered.
    pub(super) uncovered: Vec<Back>,
    /// How often paths turned out not to be covered.
    pub(super) failures: u32,
    /// While more may become known, every number counts.
    pub(super) exact: bool,
    /// The length of the log where it was entered.
    pub(super) log_len: usize,
}

/// All loops in which states were stored.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    numbers: BTreeMap<Key, usize>,
    pub(super) visits: Vec<Visit>,
}

impl Rounds {
    /// The loop that a state before `pc` is in.
    fn of(&mut self, p: &Program<'_>, state: &State, pc: usize) -> Option<usize> {
        let here = state.frames.iter().skip(1).map(|f| f.callsite).chain([pc]);
        let mut calls = Vec::new();
        for at in here {
            match p.loops[at] {
                0 => calls.push(at),
                number => {
                    let next = self.visits.len();
                    let visit = *self.numbers.entry((calls, number)).or_insert(next);
                    if visit == next {
                        self.visits.push(Visit::default());
                    }
                    return Some(visit);
                }
            }
        }
        None
    }
}

impl Explorer<'_, '_> {
    /// Notes in which loop a state that was just stored lies.
    pub(super) fn enter_round(&mut self, id: NodeId) {
        let node = self.store.node(id);
        let round = self.rounds.of(self.p, &node.state, node.pc);
        self.store.node_mut(id).round = round;
        if let Some(round) = round {
            let visit = &mut self.rounds.visits[round];
            if visit.entry.is_none() {
                (visit.entry, visit.log_len) = (Some(id), self.log.len());
            }
        }
    }

    /// Keeps the end of the running path at a state that covers it and is not complete.
    pub(super) fn go_back(&mut self, to: NodeId, certainty: Certainty) {
        // A state that ends a loop is in one.
        let node = self.store.node(to);
        let Some(round) = node.round else { return };
        let by_callback = self.p.points[node.pc].store == Some(Store::Callback);
        // It may be from another time that the loop was entered, and be done with.
        if self.store.reopen(to) {
            self.rounds.visits[round].finished.push(to);
        }
        self.unsettle(round);
        let unsettled = (certainty == Certainty::Unsettled)
            .then(|| Unsettled { state: self.state.clone(), trail: self.trail });
        let visit = &mut self.rounds.visits[round];
        visit.exact |= unsettled.is_none() && !by_callback;
        let history = self.history.clone();
        let by_linux = unsettled.is_none() && !by_callback;
        visit.backs.push(Back { to, history, parent: self.parent, by_linux, unsettled });
        self.store.edges(i32::from(by_linux));
    }

    /// The running path has ended; so have the states for which it was the last.
    pub(super) fn finish(&mut self) {
        let mut at = self.parent;
        while let Some(id) = at {
            if !self.store.leave(id) {
                return;
            }
            at = self.store.node(id).parent;
            match self.store.node(id).round {
                None => self.store.close(id),
                Some(round) => {
                    self.rounds.visits[round].finished.push(id);
                    if self.rounds.visits[round].entry == Some(id) && !self.leave_round(round) {
                        return;
                    }
                }
            }
        }
    }

    /// Everything from a loop's entry on is finished: what its states rest on is passed around. Says whether the loop is
    /// left: `false` if a path turned out not to be covered, and goes on.
    fn leave_round(&mut self, round: usize) -> bool {
        if self.retry(round) {
            return false;
        }
        let backs = core::mem::take(&mut self.rounds.visits[round].backs);
        self.pass_around(&backs, round);
        self.rounds.visits[round].backs = backs;
        if self.settle(round) {
            return false;
        }
        let visit = core::mem::take(&mut self.rounds.visits[round]);
        let edges = visit.backs.iter().filter(|b| b.by_linux).count();
        self.store.edges(-(edges as i32));
        for id in visit.finished {
            self.store.close(id);
        }
        true
    }

    /// Passes what states rest on to the paths that ended at them, until nothing changes.
    fn pass_around(&mut self, backs: &[Back], round: usize) {
        if !self.marks_precision() {
            return;
        }
        for _ in 0..ROUNDS {
            let mut changed = false;
            // As the kernel does, the newest first.
            for back in backs.iter().rev() {
                let wanted = precision::wanted_by(&self.store.node(back.to).state);
                changed |= self.wants(wanted, back.to, &back.history, back.parent, back.by_linux);
            }
            if !changed {
                return;
            }
        }
        // It takes too long: all numbers count, here and in what leads here.
        for back in backs {
            let wanted = precision::all_numbers(&self.store.node(back.to).state);
            self.wants(wanted, back.to, &back.history, back.parent, false);
        }
        for id in self.rounds.visits[round].finished.clone() {
            let node = self.store.node(id);
            let (history, parent) = (node.history.clone(), node.parent);
            let wanted = precision::all_numbers(&node.state);
            self.wants(wanted, id, &history, parent, false);
        }
        for &id in &self.rounds.visits[round].finished {
            precision::mark_all(&mut self.store.node_mut(id).state);
        }
    }

    /// Wants numbers in a path that ends where `at` is stored. `aloud`: the log tells of it.
    fn wants(
        &mut self,
        wanted: Wanted,
        at: NodeId,
        history: &History,
        parent: Option<NodeId>,
        aloud: bool,
    ) -> bool {
        if wanted.is_empty() {
            return false;
        }
        let node = self.store.node(at);
        let (pc, depth, start) = (node.pc, node.state.depth(), self.start_of(&node.state));
        let from = precision::From { pc, depth, history, parent, start };
        if aloud && self.log.hears_walks() {
            self.log.propagates(&wanted, depth);
            return precision::trace(self.p, &mut self.store, wanted, &from, &mut self.log);
        }
        precision::trace(self.p, &mut self.store, wanted, &from, &mut precision::Silent)
    }

    /// The state that goes on past the `may_goto` at `pc`.
    pub(super) fn past_may_goto(&self, pc: usize) -> State {
        let mut on = self.state.clone();
        on.may_gotos += 1;
        self.forget_around(pc, &mut on);
        on
    }

    /// Forgets in a state that goes on from `pc` what differs from the last time that the path was there.
    pub(super) fn forget_around(&self, pc: usize, on: &mut State) {
        // The last state stored is the one just now.
        let before = self.parent.and_then(|id| self.store.node(id).parent);
        self.forget_since(pc, before, on);
    }

    /// A callback has returned to the call at `pc`.
    pub(super) fn back_at_call(&mut self, pc: usize) {
        let mut state = self.state.clone();
        self.forget_since(pc, self.parent, &mut state);
        self.state = state;
    }

    /// Forgets in `now` what differs from the last time that the path was at `pc`, going back from `at`.
    fn forget_since(&self, pc: usize, mut at: Option<NodeId>, now: &mut State) {
        while let Some(id) = at {
            let node = self.store.node(id);
            if node.pc == pc && same_calls(&node.state, now) {
                forget_what_differs(&node.state, now);
                return;
            }
            at = node.parent;
        }
    }
}

fn same_calls(old: &State, now: &State) -> bool {
    let calls = |s: &State| s.frames.iter().map(|f| f.callsite).collect::<Vec<_>>();
    calls(old) == calls(now)
}

/// Forgets the numbers that nothing rests on and that are not what they were, or not linked as they were: as Linux does, so
/// that the same loops end with the same bounds (`widen_imprecise_scalars`, kernel/bpf/verifier.c, Linux 6.18).
fn forget_what_differs(old: &State, now: &mut State) {
    let mut ids = Ids::default();
    let mut forgets = |a: &Reg, b: &Reg| {
        a.is_scalar()
            && b.is_scalar()
            && !a.precise
            && !b.precise
            && !(a.val == b.val && a.delta == b.delta && ids.matches(a.id, b.id))
    };
    for (a, shared) in old.frames.iter().zip(&mut now.frames).rev() {
        let regs = (0..a.regs.len()).filter(|i| forgets(&a.regs[*i], &shared.regs[*i])).collect::<Vec<_>>();
        let slots = a.stack.slots.iter().zip(&shared.stack.slots).enumerate();
        let slots = slots
            .filter(|(_, (a, b))| a.spill().zip(b.spill()).is_some_and(|((a, _), (b, _))| forgets(a, b)));
        let slots = slots.map(|(i, _)| i).collect::<Vec<_>>();
        if regs.is_empty() && slots.is_empty() {
            continue;
        }
        let b = Rc::make_mut(shared);
        for i in regs {
            b.regs[i] = Reg::unknown();
        }
        for i in slots {
            b.stack.slots[i].spilled = Some(Rc::new(Reg::unknown()));
        }
    }
}
