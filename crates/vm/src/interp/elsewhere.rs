//! Accesses that [`Mem`] did not grant: those of context fields, and faults.

use skep_abi::CtxValue;
use skep_isa::Size;

use super::State;
use crate::Program;
use crate::mem::Mem;
use crate::packet::Layout;
use crate::trap::TrapKind;

/// A load that [`Mem`] did not grant: of a context field, or a fault.
#[inline(never)]
pub(crate) fn load_elsewhere(
    program: &Program,
    mem: &Mem<'_>,
    state: &State<'_>,
    addr: u64,
    size: Size,
) -> Result<u64, TrapKind> {
    let Some(off) = mem.ctx_offset(addr) else { return Err(memory_fault(program, mem, addr, size, false)) };
    let packet = |at: fn(&Layout) -> usize| match &state.packet {
        Some(layout) => Ok(mem.packet_addr(at(layout))),
        None => Err(TrapKind::NoPacket),
    };
    match program.ctx.load(off, size) {
        Some((CtxValue::Scalar, at)) => Ok(mem.ctx_load(at, size)),
        Some((CtxValue::PacketData, _)) => packet(|p| p.data),
        Some((CtxValue::PacketEnd, _)) => packet(|p| p.end),
        Some((CtxValue::PacketMeta, _)) => packet(|p| p.meta),
        Some((CtxValue::FlowKeys, _)) => Ok(state.flow_keys),
        // There is no socket: NULL.
        Some((CtxValue::SockCommonOrNull | CtxValue::SocketOrNull, _)) => Ok(0),
        // Nobody lends these yet: a run that loads one ends.
        Some((CtxValue::Socket | CtxValue::Btf(_) | CtxValue::TracepointBuffer, _)) | None => {
            Err(ctx_fault(program, off, size, false))
        }
    }
}

/// A store that [`Mem`] did not grant: to a context field, or a fault.
#[inline(never)]
pub(crate) fn store_elsewhere(
    program: &Program,
    mem: &mut Mem<'_>,
    addr: u64,
    size: Size,
    v: u64,
) -> Result<(), TrapKind> {
    let Some(off) = mem.ctx_offset(addr) else { return Err(memory_fault(program, mem, addr, size, true)) };
    let Some(native) = program.ctx.store(off, size) else { return Err(ctx_fault(program, off, size, true)) };
    if let Some(v) = native.keep(v) {
        mem.ctx_store(off, size, v);
    }
    Ok(())
}

#[cold]
fn ctx_fault(program: &Program, off: u64, size: Size, write: bool) -> TrapKind {
    TrapKind::Context { off, size: size.bytes() as u64, write, name: program.ctx.name }
}

#[cold]
pub(super) fn memory_fault(program: &Program, mem: &Mem<'_>, addr: u64, size: Size, write: bool) -> TrapKind {
    match mem.ctx_offset(addr) {
        Some(off) => ctx_fault(program, off, size, write),
        None => TrapKind::Memory(mem.fault(addr, size.bytes() as u64, write)),
    }
}
