//! The stack: which bytes an access touches, and what may be read from and written over them.

use alloc::format;
use alloc::string::String;

use skep_isa::{Operand, Reg, RegSet};

use super::super::{dynptr, leak};
use super::{Intent, Target, not_memory};
use crate::program::Program;
use crate::state::{self, Byte, Kind, State, place, reads_low_part};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, limits};

/// The offsets of the first byte, all bytes inside the stack.
pub(crate) fn stack_bounds(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    off: i32,
    size: i64,
    what: &str,
) -> Check<(i32, i32)> {
    let reg = s.reg(base);
    let (min, max, known) = match reg.val.as_const() {
        Some(var) => {
            let at = (var as i64).wrapping_add(off.into());
            (at, at, true)
        }
        None => {
            let outside = |n: i64| n >= limits::VAR_OFF || n <= -limits::VAR_OFF;
            if outside(reg.val.smin()) || outside(reg.val.smax()) {
                let words = format!("invalid unbounded variable-offset{what} stack R{}", base.0);
                return refuse(Code::OutOfBounds, words).explain(
                    "a bounded offset",
                    format!("the variable part is in [{}, {}]", reg.val.smin(), reg.val.smax()),
                    "bound the index on both sides first",
                );
            }
            (reg.val.smin() + i64::from(off), reg.val.smax() + i64::from(off), false)
        }
    };
    let Kind::Stack { frame } = reg.kind else { return not_memory(p, s, base) };
    let used = i64::from(s.frames[usize::from(frame)].stack.depth());
    let lowest = if what.contains("write") || p.may_leak() { -i64::from(limits::STACK) } else { -used };
    if min >= lowest && min < 0 && max.saturating_add(size) <= 0 && size >= 0 {
        return Ok((min as i32, max as i32));
    }
    let words = match known {
        true => format!("invalid{what} stack R{} off={min} size={size}", base.0),
        false => format!(
            "invalid variable-offset{what} stack R{} var_off={} off={off} size={size}",
            base.0,
            reg.val.tnum()
        ),
    };
    refuse(Code::OutOfBounds, words).explain(
        format!("bytes from fp{lowest} to fp-1"),
        format!("the access covers fp{min:+} to fp{:+}", max.saturating_add(size) - 1),
        "keep buffers and indices inside the function's 512 bytes of stack",
    )
}

pub(super) fn stack_read(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    target: &Target,
    size: usize,
    intent: Intent,
) -> Check<()> {
    let Target::Stack { frame, min, max } = *target else { return Ok(()) };
    let stack = &s.frames[frame].stack;
    if min != max {
        if intent.is_atomic() && !matches!(intent, Intent::LoadAcquire) {
            let words = format!(
                "variable offset stack pointer cannot be passed into helper function; var_off={} off={} size={size}",
                s.reg(base).val.tnum(),
                s.reg(base).off
            );
            return refuse(Code::ForbiddenAccess, words);
        }
        return initialised(p, s, base, frame, min, (max - min) as usize + size);
    }
    let uninit = |at: i32| match stack.byte(at) {
        Byte::Invalid => !p.may_leak(),
        Byte::Iter | Byte::Irq | Byte::Dynptr => true,
        Byte::Spill | Byte::Misc | Byte::Zero => false,
    };
    let Some((reg, spilled)) = stack.slot(min).and_then(state::Slot::spill) else {
        if (min..min + size as i32).any(uninit) {
            return uninitialised(format!("invalid read from stack off {min}+0 size {size}"));
        }
        return Ok(());
    };
    if !reg.is_scalar() {
        if size != 8 || spilled != 8 {
            return refuse(Code::ForbiddenAccess, "invalid size of register fill").explain(
                "all 8 bytes of a spilled pointer",
                format!("{size} bytes"),
                "load the pointer whole",
            );
        }
        if matches!(intent, Intent::AtomicRead) && !p.may_leak() {
            return refuse(Code::PointerLeak, format!("leaking pointer from stack off {min}"));
        }
        return Ok(());
    }
    let fits = reads_low_part(place(min).1, size, spilled);
    if !fits && (min..min + size as i32).any(uninit) {
        return uninitialised(format!("invalid read from stack off {min}+0 size {size}"));
    }
    Ok(())
}

fn uninitialised<T>(words: String) -> Check<T> {
    refuse(Code::Uninitialized, words).explain(
        "stack bytes that were written before",
        "some of them were not",
        "initialise the whole object: = {} or memset",
    )
}

/// Every byte of a stack range may be read as data.
pub(crate) fn initialised(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    frame: usize,
    off: i32,
    len: usize,
) -> Check<()> {
    let stack = &s.frames[frame].stack;
    if p.may_leak() && !stack.keeps(off, len) {
        return Ok(());
    }
    for at in off..off + len as i32 {
        let ok = match stack.byte(at) {
            Byte::Misc | Byte::Zero => true,
            Byte::Iter | Byte::Irq | Byte::Dynptr => false,
            Byte::Invalid => p.may_leak(),
            Byte::Spill if p.may_leak() => true,
            Byte::Spill => stack.slot(at).and_then(state::Slot::spill).is_some_and(|(r, _)| r.is_scalar()),
        };
        if !ok {
            let words = format!("invalid read from stack R{} off {off}+{} size {len}", base.0, at - off);
            return uninitialised(words);
        }
    }
    Ok(())
}

pub(super) fn stack_write(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    target: &Target,
    size: usize,
    intent: Intent,
) -> Check<()> {
    let Target::Stack { frame, min, max } = *target else { return Ok(()) };
    let stack = &s.frames[frame].stack;
    let pointer_at =
        |at: i32| stack.slot(at).and_then(state::Slot::spill).is_some_and(|(r, _)| r.is_pointer());
    let stored = intent.stored().map(|v| s.reg(v));
    dynptr::may_be_destroyed(stack, min, (max - min) as usize + size)?;
    if min != max {
        if intent.is_atomic() && !matches!(intent, Intent::StoreRelease(_)) {
            return Ok(());
        }
        for at in min..max + size as i32 {
            if p.may_leak() {
                break;
            }
            if !matches!(stack.byte(at), Byte::Misc | Byte::Zero) {
                let words = format!("spilled ptr in range of var-offset stack write; insn, ptr off: {at}");
                return refuse(Code::ForbiddenAccess, words);
            }
        }
        return Ok(());
    }
    if !p.may_leak() && pointer_at(min) && size != 8 {
        return refuse(Code::ForbiddenAccess, "attempt to corrupt spilled pointer on stack");
    }
    if let (Some(Kind::Dynptr(_)), Some(reg), false) = (stored.map(|v| v.kind), intent.stored(), p.may_leak())
    {
        // It is no spill, but a number from then on. Linux 6.18 lets that pass.
        return leak(s, reg, format!("R{} leaks addr into stack", reg.0));
    }
    if let Some(value) = stored
        && value.is_pointer()
        && !matches!(value.kind, Kind::Dynptr(_))
    {
        if size != 8 {
            return refuse(Code::ForbiddenAccess, "invalid size of register spill");
        }
        if matches!(value.kind, Kind::Stack { .. }) && frame != s.depth() {
            return refuse(
                Code::ForbiddenAccess,
                "cannot spill pointers to stack into stack frame of the caller",
            );
        }
        // The key is there while the callback runs: an array's is in the helper's own memory, also in Linux.
        let outlives = s.frames.iter().rposition(|f| f.callback).is_some_and(|callback| frame < callback);
        if matches!(value.kind, Kind::MapKey(_)) && outlives {
            return unsupported("a pointer to a map's key in the stack of a callback's caller");
        }
    }
    let _ = base;
    Ok(())
}

/// A register whose being zero makes stack bytes zero without a spill that would remember where from.
pub(crate) fn zero_written_to_bytes(s: &State, target: &Target, src: Operand) -> RegSet {
    // What lies in a pointer's field is NULL or the right object.
    if let (Target::Field { .. }, Operand::Reg(src)) = (*target, src)
        && s.reg(src).is_null()
    {
        return RegSet::EMPTY.with(src);
    }
    let (Target::Stack { min, max, .. }, Operand::Reg(src)) = (*target, src) else { return RegSet::EMPTY };
    let as_bytes = min != max || min % 8 != 0;
    if as_bytes && s.reg(src).is_null() { RegSet::EMPTY.with(src) } else { RegSet::EMPTY }
}
