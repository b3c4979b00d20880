//! An iterator's next element: what follows if there is one, and if there is none.
//!
//! Iterators end: some time they say that there is no element more, and never give one again. So a path that comes back to
//! the call in a state that an earlier one covers need not go around again (`process_iter_next_call`, kernel/bpf/verifier.c,
//! Linux 6.18; see [`super::rounds`]).

use super::Explorer;
use crate::Decision;
use crate::check::IterCall;
use crate::state::{Kept, State};
use crate::transfer;
use crate::violation::Check;

impl Explorer<'_, '_> {
    /// Puts aside what follows with an element; what follows without one goes on.
    pub(super) fn iterate(&mut self, pc: usize, call: &IterCall) -> Check<()> {
        if call.iter.as_ref().is_some_and(|iter| !iter.drained) {
            let mut state = self.state.clone();
            transfer::advance(&mut state, call, true, &mut self.fresh);
            self.forget_around(pc, &mut state);
            self.put_aside(Decision { pc, taken: true }, self.p.next(pc), state)?;
            self.decided(pc, false);
        }
        transfer::advance(&mut self.state, call, false, &mut self.fresh);
        Ok(())
    }

    /// Whether the iterator that `r1` points to may give an element.
    pub(super) fn iterates(&self) -> bool {
        let reg = self.state.reg(skep_isa::Reg(1));
        let (crate::state::Kind::Stack { frame }, Some(var)) = (reg.kind, reg.val.as_const()) else {
            return false;
        };
        let off = reg.off.wrapping_add(var as i32);
        let slot = self.state.frames.get(usize::from(frame)).filter(|_| off < 0);
        let kept = slot.and_then(|f| f.stack.slot(off)).and_then(|slot| slot.kept());
        matches!(kept, Some(Kept::Iter(iter)) if !iter.drained)
    }
}

/// Whether an iterator that still gives elements has given more since (`iter_active_depths_differ`).
pub(super) fn depths_differ(old: &State, new: &State) -> bool {
    let depth = |slot: &crate::state::Slot| match slot.kept() {
        Some(Kept::Iter(iter)) => Some((iter.drained, iter.depth)),
        Some(Kept::Irq(_)) | None => None,
    };
    let differs = |(a, b)| matches!((depth(a), depth(b)), (Some((false, a)), Some((_, b))) if a != b);
    old.frames.iter().zip(&new.frames).any(|(a, b)| a.stack.slots.iter().zip(&b.stack.slots).any(differs))
}
