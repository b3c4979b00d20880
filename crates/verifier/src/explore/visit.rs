//! Where paths may meet: end the path, store the state, or go on.

use alloc::format;
use alloc::vec::Vec;

use skep_isa::RegSet;

use super::{Explorer, History, NodeId, iterate};
use crate::program::Store;
use crate::state::{Exactness, State, equal, same_calls};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, limits};

impl Explorer<'_, '_> {
    /// Compares with the states stored here; says whether one covers ours. If none does, ours may be stored.
    pub(super) fn visit(&mut self) -> Check<bool> {
        let pc = self.pc;
        let store = self.p.points[pc].store;
        let force = store.is_some() || self.options.test_state_freq || self.history.notable > 40;
        let (jumps, insns) = (self.jumps - self.last_stored.0, self.processed - self.last_stored.1);
        let mut add = force || (jumps >= 2 && insns >= 8);
        let live = self.live();
        let covers = |track_precision, same_stack| Exactness::Covers {
            track_precision,
            may_leak: self.p.may_leak(),
            same_bounds: self.bounds_matter,
            same_stack,
        };
        let (covers, every_number) = (covers(self.tracks_precision(), false), covers(false, true));
        let mut i = 0;
        let mut seen = 0;
        let list = self.store.list(pc, &self.state);
        while i < self.store.count(list) {
            let id = self.store.nth(list, i);
            let node = self.store.node(id);
            if node.pc != pc {
                i += 1;
                continue;
            }
            seen += 1;
            if node.branches > 0 {
                let goes_around = match store {
                    None => false,
                    Some(Store::MayGoto) => node.state.may_gotos != self.state.may_gotos,
                    Some(Store::Callback) => true,
                    Some(Store::Iterator) => self.iterates(),
                };
                if goes_around && equal(&node.state, &self.state, &live, every_number) {
                    self.end_at(id, true);
                    return Ok(true);
                }
                if !matches!(store, Some(Store::Callback | Store::Iterator)) {
                    self.no_progress(&node.state, &live)?;
                }
                // Iterations of a loop differ: storing each would help nobody.
                if !force && jumps < 20 && insns < 100 {
                    add = false;
                }
            } else {
                let incomplete = self.is_incomplete(id);
                let how = if incomplete { every_number } else { covers };
                if !incomplete && !node.cleaned && same_calls(&node.state, &self.state) {
                    self.clean(id, &live);
                }
                let node = self.store.node(id);
                if equal(&node.state, &self.state, &live, how) {
                    self.end_at(id, incomplete);
                    return Ok(true);
                }
                self.cost_missed(id, &live, how);
            }
            if self.store.miss(id, add, store.is_some()) {
                self.store.evict(list, i);
            } else {
                i += 1;
            }
        }
        self.max_states_per_insn = self.max_states_per_insn.max(seen);
        let enough = !self.p.env.privileged() && seen as usize > limits::UNPRIVILEGED_STATES;
        if add && !enough {
            self.store_state();
        }
        Ok(false)
    }

    /// Takes out of a finished state here what none of its continuations reads (`clean_verifier_state`).
    fn clean(&mut self, id: NodeId, regs: &[RegSet]) {
        let slots = self.slots.live(self.p, &self.state, self.pc);
        let node = self.store.node_mut(id);
        node.cleaned = true;
        for (frame, (regs, slots)) in regs.iter().zip(slots).enumerate() {
            if node.state.frames[frame].has_dead(*regs, slots) {
                node.state.frame_at_mut(frame).forget_dead(*regs, slots);
            }
        }
    }

    /// The running path ends at a state that covers it; `around`: that state is not complete.
    fn end_at(&mut self, id: NodeId, around: bool) {
        self.store.hit(id);
        self.cost(|c| c.pruned += 1);
        if self.marks_precision() {
            let wanted = crate::precision::wanted_by(&self.store.node(id).state);
            if !wanted.is_empty() {
                self.trace(wanted);
            }
        }
        if around {
            self.go_back(id);
        }
    }

    fn store_state(&mut self) {
        self.last_stored = (self.jumps, self.processed);
        self.cost(|c| c.states += 1);
        let history = core::mem::take(&mut self.history);
        let id = self.store.add(self.pc, self.state.clone(), self.parent, history);
        self.enter_round(id);
        self.parent = Some(id);
        self.history = History::default();
    }

    /// The registers that matter, by frame.
    fn live(&self) -> Vec<RegSet> {
        let callers = self.state.frames.iter().skip(1).map(|f| f.callsite);
        callers.chain([self.pc]).map(|pc| self.p.live[pc]).collect()
    }

    /// A state of this path that is the same as ours means that nothing has changed around the loop.
    fn no_progress(&self, old: &State, live: &[RegSet]) -> Check<()> {
        let all = RegSet::from_bits(0x7ff);
        let (a, b) = (old.frame(), self.state.frame());
        let maybe = old.may_gotos == self.state.may_gotos
            && old.callbacks == self.state.callbacks
            && old.frames[0].later == self.state.frames[0].later
            && old.frames.len() == self.state.frames.len()
            && all.iter().all(|r| a.regs[r.index()].same_as(&b.regs[r.index()]));
        if !maybe
            || !equal(old, &self.state, live, Exactness::Same)
            || iterate::depths_differ(old, &self.state)
        {
            return Ok(());
        }
        refuse(Code::InfiniteLoop, format!("infinite loop detected at insn {}", self.pc)).explain(
            "every way around a loop changes something",
            "registers and stack are as they were the last time around",
            "count the iterations and end the loop at a constant",
        )
    }
}
