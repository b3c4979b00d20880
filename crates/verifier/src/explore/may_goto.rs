//! Loops that `may_goto` bounds (Linux 6.9): the run has a budget, and when it is spent the loop is left.
//!
//! Idea: since the budget ends the loop, a path that comes back to a state of its own that covers it need not
//! go around again, although that state's other continuations are still being explored. What the state was
//! explored for must then hold for every number in it, so all of them become precise, all the way back. And
//! numbers that differ from one time around to the next, but that nothing rests on, are forgotten: the second
//! time around they are equal.

use alloc::rc::Rc;

use skep_isa::RegSet;

use super::{Explorer, NodeId};
use crate::precision;
use crate::state::{Exactness, Reg, State, equal, refs_and_calls_match};

impl Explorer<'_, '_> {
    /// The state that goes on past the `may_goto` at `pc`.
    pub(super) fn past_may_goto(&self, pc: usize) -> State {
        let mut on = self.state.clone();
        on.may_gotos += 1;
        if let Some(before) = self.last_time_at(pc) {
            forget_what_differs(&self.store.node(before).state, &mut on);
        }
        on
    }

    /// The state in which this path was at `pc` the last time, other than just now.
    fn last_time_at(&self, pc: usize) -> Option<NodeId> {
        let mut at = self.store.node(self.parent?).parent;
        while let Some(id) = at {
            let node = self.store.node(id);
            if node.pc == pc && refs_and_calls_match(&node.state, &self.state) {
                return Some(id);
            }
            at = node.parent;
        }
        None
    }

    /// Whether a state of this path, stored here before it went past a `may_goto`, covers ours in every number.
    pub(super) fn closes_loop(&mut self, id: NodeId, live: &[RegSet]) -> bool {
        let old = &self.store.node(id).state;
        let every_number = Exactness::Covers {
            track_precision: false,
            may_leak: self.p.may_leak(),
            same_bounds: self.bounds_matter,
        };
        if old.may_gotos == self.state.may_gotos || !equal(old, &self.state, live, every_number) {
            return false;
        }
        if self.tracks_precision() {
            self.trace(precision::all_numbers(&self.state));
        }
        true
    }
}

/// Forgets the numbers that nothing rests on and that are not what they were.
fn forget_what_differs(old: &State, now: &mut State) {
    let forgets =
        |a: &Reg, b: &Reg| a.is_scalar() && b.is_scalar() && !a.precise && !b.precise && a.val != b.val;
    for (a, b) in old.frames.iter().zip(&mut now.frames) {
        let b = Rc::make_mut(b);
        for (a, b) in a.regs.iter().zip(&mut b.regs) {
            if forgets(a, b) {
                *b = Reg::unknown();
            }
        }
        for (a, b) in a.stack.slots.iter().zip(&mut b.stack.slots) {
            let whole = |s: &crate::state::Slot| s.spill().is_some_and(|(_, size)| size == 8);
            let both_whole = whole(a) && whole(b);
            if let (Some(a), Some(b)) = (&a.spilled, &mut b.spilled)
                && both_whole
                && forgets(a, b)
            {
                *b = Rc::new(Reg::unknown());
            }
        }
    }
}
