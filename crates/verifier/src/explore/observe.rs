//! What is known before an instruction, for who holds it against concrete runs ([`Options::record_states`](crate::Options)).

use alloc::format;
use alloc::vec::Vec;

use skep_isa::Reg;

use super::Explorer;
use crate::domain::{Bits, Scalar};
use crate::state::{Byte, Kind, Range, Reg as Known, Slot, known};
use crate::verified::{Base, Observed, ObservedSlot, Pointer, Value};

impl Explorer<'_, '_> {
    pub(super) fn observe(&self) -> Observed {
        let regs = &self.state.frame().regs;
        let live = self.p.live[self.pc];
        let counts = |i: usize| regs[i].is_scalar() && live.contains(Reg(i as u8));
        let known = known(self.p, &self.state);
        let words: Vec<_> = known.iter().map(|k| format!("{}={}", k.name, k.value)).collect();
        let pointers = (0..regs.len()).filter(|i| *i == Reg::FP.index() || live.contains(Reg(*i as u8)));
        let pointers = pointers.filter_map(|i| Some((Reg(i as u8), self.pointer(&regs[i])?)));
        let slots = self.state.frames.iter().enumerate().flat_map(|(f, frame)| {
            let slots = frame.stack.slots.iter().enumerate();
            slots.filter_map(move |(i, slot)| self.slot(f, i, slot))
        });
        Observed {
            frames: self.state.frames.len(),
            numbers: core::array::from_fn(|i| counts(i).then_some(regs[i].val)),
            pointers: pointers.collect(),
            slots: slots.collect(),
            text: words.join(" "),
        }
    }

    /// Where a register points; `None` if it is no pointer, or to memory of the kernel's own.
    fn pointer(&self, reg: &Known) -> Option<Pointer> {
        let base = match reg.kind {
            Kind::Ctx => Base::Ctx,
            Kind::Map(idx) if usize::from(idx) < self.p.spec.maps.len() => Base::Map(idx.into()),
            // Of a map of maps, it is the map inside.
            Kind::MapValue(idx) => {
                let def = self.p.spec.maps.get(usize::from(idx)).filter(|def| !def.kind.holds_maps())?;
                Base::Value { map: idx.into(), size: def.value_size }
            }
            Kind::Stack { frame } => Base::Stack { frame: frame.into() },
            Kind::Packet { range: Range::Bytes(there) } => Base::Packet { fixed: reg.off, there },
            Kind::PacketEnd => Base::PacketEnd,
            Kind::Map(_)
            | Kind::NotInit
            | Kind::Scalar
            | Kind::MapKey(_)
            | Kind::Func(_)
            | Kind::Packet { range: Range::AtEnd | Range::BeyondEnd }
            | Kind::PacketMeta { .. }
            | Kind::Mem { .. }
            | Kind::Slice { .. }
            | Kind::Dynptr(_)
            | Kind::FlowKeys
            | Kind::TracepointBuffer
            | Kind::Sock(_)
            | Kind::Btf { .. }
            | Kind::Local { .. }
            | Kind::Probed
            | Kind::Arena
            | Kind::Buffer { .. } => return None,
        };
        let off = reg.val.add(Bits::B64, &Scalar::known(i64::from(reg.off) as u64));
        Some(Pointer { base, off, nullable: reg.nullable })
    }

    /// What a slot is known to hold, if it is anything.
    fn slot(&self, frame: usize, slot: usize, known: &Slot) -> Option<ObservedSlot> {
        let value = known.spill().filter(|(_, size)| *size == 8).and_then(|(reg, _)| match reg.is_scalar() {
            true => Some(Value::Number(reg.val)),
            false => self.pointer(reg).map(Value::Pointer),
        });
        let zeros = core::array::from_fn(|i| known.bytes[i] == Byte::Zero);
        let says = value.is_some() || zeros != [false; 8];
        says.then(|| ObservedSlot { frame, off: -8 * (slot as i32 + 1), value, zeros })
    }
}
