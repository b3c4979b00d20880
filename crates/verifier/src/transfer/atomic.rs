//! Atomic read-modify-write.

use skep_isa::{AtomicOp, Reg as R, Size};

use super::{Fresh, SlotMove, memory};
use crate::check::{Facts, Target, fetched};
use crate::state::{Byte, State};

/// The register that receives the old value has what a load gives; the memory holds anything afterwards.
pub(super) fn rmw(
    s: &mut State,
    facts: &Facts,
    size: Size,
    op: AtomicOp,
    src: R,
    fresh: &mut Fresh,
) -> SlotMove {
    let moved = fetched(op, src).and_then(|reg| memory::load(s, facts, size, false, reg, fresh));
    if let Some(Target::Stack { frame, min, max }) = facts.target {
        let stack = &mut s.frame_at_mut(frame).stack;
        match min == max {
            true => stack.write(min, size.bytes(), Byte::Misc),
            false => stack.smear(min, (max - min) as usize + size.bytes(), false),
        }
    }
    moved
}
