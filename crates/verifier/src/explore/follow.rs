//! Follows one path, to tell whether any run can take it.
//!
//! A verifier that refuses a program names the path that led it there. Another that knows more about numbers may
//! know that no run takes that path. So the instructions of the path are gone through in their order, and nothing
//! else: no state makes another superfluous, and no loop forgets what it counts. What holds at a step holds for
//! every run that came along the path; where a branch is then known to go the other way, no run goes on.

use alloc::vec;
use alloc::vec::Vec;

use skep_isa::Op;

use super::{Explorer, Next};
use crate::check;
use crate::program::target;
use crate::state::State;
use crate::violation::Check;

/// What is known about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// A run may come to its last instruction, for all that is known.
    Open,
    /// No run takes it: the branch at this place of the path is known to go the other way.
    Dead {
        /// Index into the path.
        at: usize,
    },
    /// It is no path of this program: nothing leads from the instruction at this place to the next.
    Astray {
        /// Index into the path.
        at: usize,
    },
}

impl Explorer<'_, '_> {
    /// Goes along a path, up to its last instruction, which is not looked at.
    ///
    /// # Errors
    /// The refusal of an instruction before the last.
    pub(crate) fn follow(&mut self, path: &[usize]) -> Check<Followed> {
        if path.first() != Some(&0) {
            return Ok(Followed::Astray { at: 0 });
        }
        let mut dead = 0;
        let mut waiting = vec![(0, self.state.clone())];
        while let Some((at, state)) = waiting.pop() {
            let Some(&to) = path.get(at + 1) else {
                (self.pc, self.state) = (path[at], state);
                return Ok(Followed::Open);
            };
            let states = self.states_at(path[at], to, state)?;
            if states.is_empty() {
                if !self.may_branch(path[at], to) {
                    return Ok(Followed::Astray { at });
                }
                dead = dead.max(at);
            }
            waiting.extend(states.into_iter().map(|state| (at + 1, state)));
        }
        Ok(Followed::Dead { at: dead })
    }

    /// Whether the running instruction is safe in the running state.
    ///
    /// # Errors
    /// Its refusal.
    pub(crate) fn check_here(&self) -> Check<()> {
        check::insn(self.p, &self.state, self.pc, self.p.op(self.pc)).map(drop)
    }

    /// The states at `to`, directly after the instruction at `pc`.
    fn states_at(&mut self, pc: usize, to: usize, before: State) -> Check<Vec<State>> {
        let Some(Some(op)) = self.p.ops.get(pc).copied() else { return Ok(Vec::new()) };
        (self.pc, self.state) = (pc, before);
        let facts = check::insn(self.p, &self.state, pc, op)?;
        if let Op::JumpIf { off, .. } = op
            && to == self.p.next(pc)
            && target(pc, off.into()) == Some(to)
        {
            // Both sides lead there: what was known before holds on both.
            return Ok(vec![self.state.clone()]);
        }
        let next = self.go(pc, op, &facts)?;
        let aside = self.pending.drain(..).filter(|p| p.pc == to).map(|p| p.state);
        let mut states: Vec<State> = aside.collect();
        if matches!(next, Next::Go(pc) if pc == to) {
            states.push(self.state.clone());
        }
        Ok(states)
    }

    /// Whether `to` is one of the two instructions after a conditional jump.
    fn may_branch(&self, pc: usize, to: usize) -> bool {
        let Some(Some(Op::JumpIf { off, .. })) = self.p.ops.get(pc) else { return false };
        to == self.p.next(pc) || target(pc, (*off).into()) == Some(to)
    }
}
