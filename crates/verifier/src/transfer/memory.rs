//! Loads and stores.

use alloc::rc::Rc;

use skep_abi::CtxValue;
use skep_isa::{Operand, Reg as R, Size};

use super::call::void;
use super::{Fresh, SlotMove, alu};
use crate::check::{Facts, Target};
use crate::domain::{Bits, Scalar};
use crate::kernel::Loaded;
use crate::program::Program;
use crate::state::{Byte, Kind, Range, Reg, Sock, State, place, reads_low_part};

pub(super) fn load(
    s: &mut State,
    facts: &Facts,
    size: Size,
    signed: bool,
    dst: R,
    fresh: &mut Fresh,
) -> SlotMove {
    let (mut value, moved) = match facts.target {
        Some(Target::Ctx(value)) => (from_context(value, fresh), None),
        Some(Target::Argument(loaded) | Target::Kernel(loaded) | Target::Field { loaded, .. }) => {
            (from_kernel(loaded, fresh), None)
        }
        Some(Target::Result { min, max }) => {
            (Scalar::from_signed(min.into(), max.into()).map_or_else(Reg::unknown, Reg::scalar), None)
        }
        Some(Target::Stack { frame, min, max }) => from_stack(s, frame, min, max, size.bytes(), fresh),
        Some(Target::MapValue { folded: Some(n) }) => (Reg::scalar(Scalar::known(n)), None),
        Some(
            Target::MapValue { folded: None }
            | Target::MapKey
            | Target::Packet
            | Target::Mem
            | Target::Arena
            | Target::Sock(_),
        )
        | None => (Reg::unknown(), None),
    };
    if value.is_scalar() && size != Size::DW {
        if value.width() > size.bits() || signed {
            value.unlink();
        }
        value.val = match signed {
            true => value.val.movsx(Bits::B64, size.bits()),
            false => value.val.truncate(size.bits()),
        };
    }
    s.set(dst, value);
    moved
}

fn from_context(value: CtxValue, fresh: &mut Fresh) -> Reg {
    match value {
        CtxValue::Scalar => Reg::unknown(),
        CtxValue::PacketData => Reg::pointer(Kind::Packet { range: Range::Bytes(0) }),
        CtxValue::PacketMeta => Reg::pointer(Kind::PacketMeta { range: 0 }),
        CtxValue::PacketEnd => Reg::pointer(Kind::PacketEnd),
        CtxValue::FlowKeys => Reg::pointer(Kind::FlowKeys),
        CtxValue::SockCommonOrNull => Reg::pointer_or_null(Kind::Sock(Sock::Common), fresh.id()),
        CtxValue::Socket => Reg::pointer(Kind::Sock(Sock::Full)),
        CtxValue::TracepointBuffer => Reg::pointer(Kind::TracepointBuffer),
        // These are arguments, with their number in the kernel's types.
        CtxValue::Btf(_) => Reg::NOT_INIT,
        CtxValue::SocketOrNull => Reg::pointer_or_null(Kind::Sock(Sock::Full), fresh.id()),
    }
}

fn from_kernel(loaded: Loaded, fresh: &mut Fresh) -> Reg {
    match (loaded.kind, loaded.nullable) {
        (Kind::Scalar, _) => Reg::unknown(),
        (kind, true) => Reg::pointer_or_null(kind, fresh.id()),
        (kind, false) => Reg::pointer(kind),
    }
}

/// What a load of `size` bytes from the stack gives, before it is cut to that size.
fn from_stack(
    s: &mut State,
    frame: usize,
    min: i32,
    max: i32,
    size: usize,
    fresh: &mut Fresh,
) -> (Reg, SlotMove) {
    let stack = &mut s.frame_at_mut(frame).stack;
    let (slot, byte) = place(min);
    let zero = stack.all_zero(min, (max - min) as usize + size, min == max);
    let from_spill = min == max
        && stack
            .slot(min)
            .and_then(|s| s.spill())
            .is_some_and(|(_, spilled)| reads_low_part(byte, size, spilled));
    if !from_spill {
        // Zeros that come from a spilled 0 rest on that number.
        let rests_on = stack.slot(min).is_some_and(|s| s.spill().is_some());
        let moved = (zero && min == max && rests_on).then_some((frame, slot));
        return (if zero { Reg::scalar(Scalar::known(0)) } else { Reg::unknown() }, moved);
    }
    let Some(spilled) = stack.slots.get_mut(slot).and_then(|s| s.spilled.as_mut()) else {
        return (Reg::unknown(), None);
    };
    if spilled.is_scalar() && spilled.width() as usize <= size * 8 {
        alu::link(Rc::make_mut(spilled), fresh);
    }
    ((**spilled).clone(), Some((frame, slot)))
}

pub(super) fn store(
    p: &Program<'_>,
    s: &mut State,
    facts: &Facts,
    size: Size,
    src: Operand,
    fresh: &mut Fresh,
) -> SlotMove {
    let Some(Target::Stack { frame, min, max }) = facts.target else { return None };
    let (size, may_leak) = (size.bytes(), p.may_leak());
    s.destroy_dynptrs(frame, min, (max - min) as usize + size, &void(p));
    let zero = match src {
        Operand::Reg(r) => s.reg(r).is_null(),
        Operand::Imm(i) => i == 0,
    };
    if min != max {
        s.frame_at_mut(frame).stack.smear(min, (max - min) as usize + size, zero);
        return None;
    }
    let (slot, byte) = place(min);
    let mut value = match src {
        Operand::Reg(r) => {
            let fits = s.reg(r).width() as usize <= size * 8;
            if byte == 0 && fits && p.env.privileged() {
                alu::link(s.reg_mut(r), fresh);
            }
            s.reg(r).clone()
        }
        Operand::Imm(i) => Reg::scalar(Scalar::known(i64::from(i) as u64)),
    };
    // A dynptr that was given is no spill (`is_spillable_regtype`).
    let spills = byte == 0
        && !matches!(value.kind, Kind::Dynptr(_))
        && (value.is_pointer() || (value.is_scalar() && p.env.privileged()));
    if !spills {
        let byte = if zero { Byte::Zero } else { Byte::Misc };
        s.frame_at_mut(frame).stack.write(min, size, byte);
        return None;
    }
    if value.is_scalar() && value.width() as usize > size * 8 {
        value.unlink();
    }
    s.frame_at_mut(frame).stack.spill(min, size, value, may_leak);
    Some((frame, slot))
}
