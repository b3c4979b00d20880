//! Ways out of a function that was called, and calls that may fail.

use skep_isa::{Op, Reg};

use super::{Explorer, Next};
use crate::Decision;
use crate::check::Facts;
use crate::domain::Scalar;
use crate::state;
use crate::transfer::{self, Left};
use crate::violation::Check;

impl Explorer<'_, '_> {
    /// Leaves the running function, with what is in `r0`.
    pub(super) fn leave(&mut self, pc: usize) -> Next {
        self.log.leaves(self.p, &self.state);
        let to = match transfer::leave(&mut self.state) {
            None => return Next::End,
            Some(Left::Called(call)) => self.p.next(call),
            Some(Left::CalledBack(call)) => {
                self.history.note_callback();
                self.back_at_call(call);
                call
            }
        };
        self.log.returned(self.p, pc, to, &self.state);
        Next::Go(to)
    }

    /// Puts aside what follows if a legacy load finds its bytes; if they are behind the packet, it leaves the function
    /// with 0 (`check_ld_abs`, kernel/bpf/verifier.c, Linux 6.18).
    pub(super) fn legacy_load(&mut self, pc: usize, op: Op, facts: &Facts) -> Check<Next> {
        let mut found = self.state.clone();
        transfer::apply(self.p, &mut found, pc, op, facts, &mut self.fresh);
        self.put_aside(Decision { pc, taken: false }, self.p.next(pc), found)?;
        self.decided(pc, true);
        self.history.note_left();
        self.state.set(Reg::R0, state::Reg::scalar(Scalar::known(0)));
        Ok(self.leave(pc))
    }

    /// Puts aside what follows if a lock is not taken (`PROCESS_LOCK_FAIL`).
    pub(super) fn lock_fails(&mut self, pc: usize) -> Check<()> {
        let mut state = self.state.clone();
        transfer::lock_fails(&mut state);
        self.put_aside(Decision { pc, taken: false }, self.p.next(pc), state)?;
        self.decided(pc, true);
        Ok(())
    }

    /// Puts aside what follows in the caller of this function if its tail call succeeds.
    pub(super) fn tail_call(&mut self, pc: usize) -> Check<()> {
        if self.state.depth() == 0 {
            return Ok(());
        }
        let mut state = self.state.clone();
        if let Some(call) = transfer::leave_by_tail_call(self.p, &mut state) {
            self.put_aside(Decision { pc, taken: true }, self.p.next(call), state)?;
            if let Some(pending) = self.pending.last_mut() {
                pending.history.note_left();
            }
            self.decided(pc, false);
        }
        Ok(())
    }
}
