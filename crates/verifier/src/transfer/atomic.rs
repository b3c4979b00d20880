//! Atomic read-modify-write.

use skep_isa::{AtomicOp, Reg as R, Size};

use crate::check::{Facts, Target, fetched};
use crate::domain::Scalar;
use crate::state::{Byte, Reg, State};

/// The memory holds anything afterwards, and so does the register that receives the old value.
pub(super) fn rmw(s: &mut State, facts: &Facts, size: Size, op: AtomicOp, src: R) {
    if let Some(Target::Stack { frame, min, max }) = facts.target {
        let stack = &mut s.frame_at_mut(frame).stack;
        match min == max {
            true => stack.write(min, size.bytes(), Byte::Misc),
            false => stack.smear(min, (max - min) as usize + size.bytes(), false),
        }
    }
    if let Some(reg) = fetched(op, src) {
        s.set(reg, Reg::scalar(Scalar::UNKNOWN.truncate(size.bits())));
    }
}
