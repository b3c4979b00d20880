//! Ends of paths in a callback's loop that are settled when the loop is left.
//!
//! A finished state inside such a loop is not complete while paths that went back to the loop's call are not: more may
//! become known about what it rests on ([`super::rounds`]). Comparing every number with it is sound, but numbers differ
//! that nothing rests on, and the paths become many. Linux 6.18 takes such a state for complete, which is wrong.
//!
//! Here a path ends at such a state if it covers the path by what is known so far, and this is looked at again when
//! everything from the loop's entry on is explored, and what states rest on was passed around. A path that is not covered
//! then goes on from where it ended.
//!
//! Why this is sound: when the loop is left, each end in it holds by the last of the marks. Take a run that leaves the
//! explored states, and its first instruction at which it does: up to there each of its states is one of an explored
//! state, up to what that state's continuations do not tell apart, since the paths that ended lead to explored states by
//! ends that hold. So there is no such instruction.
//!
//! That loops end rests on this: an end leads to a state that was finished before, and thus from one to the next back in
//! time, unless at a call that calls back, of which there are only so many. A path that goes on after all would spoil this,
//! since states that are finished have ends that lead to those that it comes from. So when one does, all states of the loop
//! that are not complete are taken out of comparison, and paths end at new ones only.

use alloc::vec::Vec;

use super::rounds::Back;
use super::{Explorer, NodeId, Pending};
use crate::state::{Live, State, equal};

/// How often paths of one loop may turn out not to be covered before every number counts.
const FAILURES: u32 = 2;

/// How much is known of what a finished state rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Everything.
    Complete,
    /// Perhaps not everything: whether a path ends at it is settled when the loop is left.
    Unsettled,
    /// Perhaps not everything, and every number counts.
    Incomplete,
}

/// What ended, to go on if it is not covered after all.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) state: State,
    pub(super) trail: usize,
}

impl Explorer<'_, '_> {
    /// Whether more may become known about what a finished state rests on.
    pub(super) fn certainty(&self, id: NodeId) -> Certainty {
        let node = self.store.node(id);
        let Some(visit) = node.round.map(|round| &self.rounds.visits[round]) else {
            return Certainty::Complete;
        };
        // What runs at another time has no part in the states of the loop's entry.
        let apart = node.state.frames[0].later > 0;
        match (visit.backs.is_empty(), visit.exact || apart) {
            (true, _) => Certainty::Complete,
            (false, true) => Certainty::Incomplete,
            (false, false) if node.unsettled && !node.closed => Certainty::Unsettled,
            (false, false) => Certainty::Complete,
        }
    }

    /// The running path ends at a state that is not complete: no state on it, back to the loop's entry, is.
    pub(super) fn unsettle(&mut self, round: usize) {
        let entry = self.rounds.visits[round].entry;
        let mut at = self.parent;
        while let Some(id) = at {
            let node = self.store.node_mut(id);
            if core::mem::replace(&mut node.unsettled, true) || entry == Some(id) {
                return;
            }
            at = node.parent;
        }
    }

    /// Looks again at the ends that were not settled; says whether a path goes on.
    pub(super) fn settle(&mut self, round: usize) -> bool {
        let backs = core::mem::take(&mut self.rounds.visits[round].backs);
        let (holds, uncovered): (Vec<_>, Vec<_>) = backs.into_iter().partition(|back| self.holds(back));
        let visit = &mut self.rounds.visits[round];
        visit.backs = holds;
        if uncovered.is_empty() {
            return false;
        }
        visit.failures += 1;
        visit.exact |= visit.failures >= FAILURES;
        visit.uncovered = uncovered;
        for id in visit.finished.clone() {
            if self.store.node(id).unsettled {
                self.store.unlist(id);
            }
        }
        self.retry(round)
    }

    /// Whether the state still covers the path.
    fn holds(&mut self, back: &Back) -> bool {
        let Some(unsettled) = &back.unsettled else { return true };
        let node = self.store.node(back.to);
        self.slots.resume();
        let slots = self.slots.live(self.p, &node.state, node.pc);
        self.slots.resume();
        let live = self.live(node.pc, &node.state);
        let every = self.options.record_states;
        let live = live.into_iter().zip(slots);
        let live: Vec<_> =
            live.map(|(live, slots)| Live { slots: if every { !0 } else { slots }, ..live }).collect();
        equal(&node.state, &unsettled.state, &live, self.covers())
    }

    /// Goes on with a path of the loop that was not covered, if there is one.
    pub(super) fn retry(&mut self, round: usize) -> bool {
        let visit = &mut self.rounds.visits[round];
        let Some(Back { to, history, parent, unsettled: Some(unsettled), .. }) = visit.uncovered.pop() else {
            return false;
        };
        let mut at = parent;
        while let Some(id) = at {
            let node = self.store.node_mut(id);
            node.branches += 1;
            if node.branches > 1 {
                break;
            }
            visit.finished.retain(|other| *other != id);
            if visit.entry == Some(id) {
                break;
            }
            at = node.parent;
        }
        let pc = self.store.node(to).pc;
        let Unsettled { state, trail } = unsettled;
        let log_len = visit.log_len;
        self.pending.push(Pending { state, pc, history, parent, trail, log_len });
        true
    }
}
