//! The log's lines on walks back, at level 2: `mark_precise:`, `force_precise:` and `propagating` (`__mark_chain_precision`,
//! `backtrack_insn`, `mark_all_scalars_precise` and `propagate_precision` in `kernel/bpf/verifier.c`, Linux 6.18).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_isa::{Reg, RegSet};

use super::log::{Log, line, whole};
use crate::precision::{Wanted, Witness};
use crate::program::Program;
use crate::state::State;

impl Log {
    /// Whether walks back are written.
    pub(crate) fn hears_walks(&self) -> bool {
        self.keeps_accepted() && self.takes()
    }

    /// A path ends at a state: what that rests on is about to be wanted of the path too.
    pub(crate) fn propagates(&mut self, wanted: &Wanted, depth: usize) {
        if !self.hears_walks() {
            return;
        }
        self.unsay_state();
        for frame in (0..=depth).rev() {
            let (regs, slots) = wanted.of(frame);
            let names = regs.iter().map(register).chain(places(slots).map(|off| format!("fp{off}")));
            let names: Vec<_> = names.collect();
            if !names.is_empty() {
                self.put(&format!("frame {frame}: propagating {}", names.join(",")));
            }
        }
    }
}

/// The kernel writes these lines behind the instruction whose check wanted something.
impl Witness for Log {
    fn part(&mut self, frame: usize, last: Option<usize>, first: usize, subseq: Option<usize>) {
        self.fresh_line();
        let number = |n: Option<usize>| n.map_or(-1, |n| n as i64);
        let (last, subseq) = (number(last), number(subseq));
        self.put(&format!(
            "mark_precise: frame{frame}: last_idx {last} first_idx {first} subseq_idx {subseq} "
        ));
    }

    fn undo(&mut self, p: &Program<'_>, wanted: &Wanted, frame: usize, pc: usize) {
        if wanted.is_empty() {
            return;
        }
        let (regs, stack) = sets(wanted, frame);
        self.put(&format!(
            "mark_precise: frame{frame}: regs={regs} stack={stack} before {pc}: {}",
            line(p, pc)
        ));
    }

    fn marked(&mut self, p: &Program<'_>, wanted: &Wanted, frame: usize, state: &State) {
        for f in (0..=frame.min(state.depth())).rev() {
            let (regs, stack) = sets(wanted, f);
            let known = whole(p, state, f);
            self.put(&format!("mark_precise: frame{f}: parent state regs={regs} stack={stack}: {known}"));
        }
    }

    fn lost(&mut self, depth: usize) {
        self.put(&format!("mark_precise: frame{depth}: falling back to forcing all scalars precise"));
    }

    fn forces(&mut self, state: &State) {
        for (f, frame) in state.frames.iter().enumerate() {
            for (i, _) in frame.regs.iter().enumerate().filter(|(_, r)| r.is_scalar() && !r.precise) {
                self.put(&format!("force_precise: frame{f}: forcing r{i} to be precise"));
            }
            let spills = frame.stack.slots.iter().map(|s| s.spill().map(|(reg, _)| reg));
            for (i, _) in spills.enumerate().filter(|(_, r)| r.is_some_and(|r| r.is_scalar() && !r.precise)) {
                let off = offset(i);
                self.put(&format!("force_precise: frame{f}: forcing fp{off} to be precise"));
            }
        }
    }
}

fn register(reg: Reg) -> String {
    format!("r{}", reg.0)
}

fn offset(slot: usize) -> i64 {
    -8 * (slot as i64 + 1)
}

/// The offsets of the slots whose bits are set.
fn places(slots: u64) -> impl Iterator<Item = i64> {
    (0..64).filter(move |i| slots >> i & 1 != 0).map(offset)
}

/// What is wanted in a frame, as `r1,r2` and `-8,-16`.
fn sets(wanted: &Wanted, frame: usize) -> (String, String) {
    let (regs, slots): (RegSet, u64) = wanted.of(frame);
    let regs: Vec<_> = regs.iter().map(register).collect();
    let slots: Vec<_> = places(slots).map(|off| format!("{off}")).collect();
    (regs.join(","), slots.join(","))
}
