//! Where paths may meet: end the path, store the state, or go on.

use alloc::format;
use alloc::vec::Vec;

use skep_isa::RegSet;

use super::settle::Certainty;
use super::{Explorer, History, NodeId, iterate};
use crate::program::Store;
use crate::state::{Exactness, Live, State, equal, same_calls};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, limits, report};

impl Explorer<'_, '_> {
    /// Compares with the states stored here; says whether one covers ours. If none does, ours may be stored.
    pub(super) fn visit(&mut self) -> Check<bool> {
        let pc = self.pc;
        let store = self.p.points[pc].store;
        let force = store.is_some() || self.options.test_state_freq || self.history.notable > 40;
        let (jumps, insns) = (self.jumps - self.last_stored.0, self.processed - self.last_stored.1);
        let mut add = force || (jumps >= 2 && insns >= 8);
        let live = self.live(pc, &self.state);
        // The same without the slots that nothing is known to read as yet: found when it is first asked for.
        let mut known_live: Option<Vec<Live>> = None;
        let (covers, every_number) = (self.covers(), self.covers_exactly());
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
                    self.end_at(id, Certainty::Incomplete);
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
                let certainty = self.certainty(id);
                let how = match certainty {
                    Certainty::Complete | Certainty::Unsettled => covers,
                    Certainty::Incomplete => every_number,
                };
                // Who holds states against runs wants to know what nobody reads too.
                let clean = certainty == Certainty::Complete && !self.options.record_states;
                if clean && !node.cleaned && same_calls(&node.state, &self.state) {
                    self.clean(id, &live);
                }
                let live = match certainty {
                    Certainty::Complete | Certainty::Incomplete => &live,
                    Certainty::Unsettled if self.options.record_states => &live,
                    Certainty::Unsettled => known_live.get_or_insert_with(|| {
                        let slots = self.slots.live(self.p, &self.state, pc);
                        live.iter().zip(slots).map(|(live, slots)| Live { slots, ..*live }).collect()
                    }),
                };
                let node = self.store.node(id);
                if equal(&node.state, &self.state, live, how) {
                    self.end_at(id, certainty);
                    return Ok(true);
                }
                self.cost_missed(id, live, how);
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
    fn clean(&mut self, id: NodeId, live: &[Live]) {
        let slots = self.slots.live(self.p, &self.state, self.pc);
        let node = self.store.node_mut(id);
        node.cleaned = true;
        for (frame, (live, slots)) in live.iter().zip(slots).enumerate() {
            if node.state.frames[frame].has_dead(live.regs, slots) {
                node.state.frame_at_mut(frame).forget_dead(live.regs, slots);
            }
        }
    }

    /// The running path ends at a state that covers it, of which more may become known.
    fn end_at(&mut self, id: NodeId, certainty: Certainty) {
        self.store.hit(id);
        self.cost(|c| c.pruned += 1);
        if self.marks_precision() {
            let wanted = crate::precision::wanted_by(&self.store.node(id).state);
            if !wanted.is_empty() {
                self.log.propagates(&wanted, self.state.depth());
                self.trace(wanted);
            }
        }
        match certainty {
            Certainty::Complete => {}
            Certainty::Unsettled | Certainty::Incomplete => self.go_back(id, certainty),
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

    /// How a finished state covers a path.
    pub(super) fn covers(&self) -> Exactness {
        Exactness::Covers {
            track_precision: self.tracks_precision(),
            may_leak: self.p.may_leak(),
            same_bounds: self.bounds_matter,
            same_stack: false,
        }
    }

    /// How a state covers a path if nobody knows yet which of its numbers matter.
    fn covers_exactly(&self) -> Exactness {
        Exactness::Covers {
            track_precision: false,
            may_leak: self.p.may_leak(),
            same_bounds: self.bounds_matter,
            same_stack: true,
        }
    }

    /// What matters in a state before `pc`, by frame: of the registers that some continuation may read, and the whole
    /// stack.
    pub(super) fn live(&self, pc: usize, state: &State) -> Vec<Live> {
        let callers = state.frames.iter().skip(1).map(|f| f.callsite);
        callers.chain([pc]).map(|pc| Live { regs: self.p.live[pc], slots: !0 }).collect()
    }

    /// A state of this path that is the same as ours means that nothing has changed around the loop.
    fn no_progress(&self, old: &State, live: &[Live]) -> Check<()> {
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
        refuse(Code::InfiniteLoop, format!("infinite loop detected at insn {}", self.pc))
            .explain(
                "every way around a loop changes something",
                "registers and stack are as they were the last time around",
                "count the iterations and end the loop at a constant",
            )
            .then(format!("cur state:{}", report::whole(self.p, &self.state, self.state.depth())))
            .then(format!("old state:{}", report::whole(self.p, old, old.depth())))
    }
}
