//! Atomic operations, load-acquire, store-release: always aligned, never on the context or the packet.

use alloc::format;

use skep_isa::{AtomicOp, Operand, Reg, Size};

use super::memory::{Intent, Target, access, arena};
use super::{Facts, leak, leaks, readable, writable};
use crate::Code;
use crate::domain::Tnum;
use crate::program::Program;
use crate::state::{self, Kind, Marks, State, type_name};
use crate::violation::{Check, Explain, refuse};

pub(super) fn rmw(
    p: &Program<'_>,
    s: &State,
    size: Size,
    op: AtomicOp,
    dst: Reg,
    src: Reg,
    off: i16,
) -> Check<Facts> {
    readable(s, src)?;
    readable(s, dst)?;
    if op == AtomicOp::Cmpxchg {
        readable(s, Reg::R0)?;
        if leaks(p, s, Reg::R0) {
            return leak(s, Reg::R0, "R0 leaks addr into mem".into());
        }
    }
    if leaks(p, s, src) {
        return leak(s, src, format!("R{} leaks addr into mem", src.0));
    }
    object_takes_atomics(s, dst, "BPF_ATOMIC stores into")?;
    if s.reg(dst).kind == Kind::Arena {
        arena::takes_atomic(dst, op, size)?;
    }
    if let Some(reg) = fetched(op, src) {
        writable(reg)?;
    }
    if fetched(op, src) == Some(dst) {
        return fetched_over_base(dst, off, size);
    }
    access(p, s, dst, off.into(), size.bytes(), Intent::AtomicRead)?;
    access(p, s, dst, off.into(), size.bytes(), Intent::AtomicWrite).map(Facts::target)
}

pub(super) fn load_acquire(
    p: &Program<'_>,
    s: &State,
    size: Size,
    dst: Reg,
    src: Reg,
    off: i16,
) -> Check<Facts> {
    readable(s, src)?;
    writable(dst)?;
    // Linux looks at the register after the load: what replaces its own address is never forbidden. Packets and
    // flow keys are memory like any other then; the context is in a form of the engine's own.
    // What may fault is never read so: no such load looks first (Linux 6.18 lets it fault).
    if src != dst || s.reg(src).kind == Kind::Ctx || may_fault(s.reg(src)) {
        object_takes_atomics(s, src, "BPF_ATOMIC loads from")?;
    }
    access(p, s, src, off.into(), size.bytes(), Intent::LoadAcquire).map(Facts::target)
}

pub(super) fn store_release(
    p: &Program<'_>,
    s: &State,
    size: Size,
    dst: Reg,
    src: Reg,
    off: i16,
) -> Check<Facts> {
    readable(s, src)?;
    readable(s, dst)?;
    object_takes_atomics(s, dst, "BPF_ATOMIC stores into")?;
    let operand = Operand::Reg(src);
    let target: Target = access(p, s, dst, off.into(), size.bytes(), Intent::StoreRelease(operand))?;
    let precise = super::memory::zero_written_to_bytes(s, &target, operand);
    Ok(Facts { target: Some(target), precise, ..Facts::default() })
}

/// The register that receives the old value.
pub(crate) fn fetched(op: AtomicOp, src: Reg) -> Option<Reg> {
    match op {
        AtomicOp::Cmpxchg => Some(Reg::R0),
        AtomicOp::Xchg => Some(src),
        AtomicOp::Add { fetch }
        | AtomicOp::Or { fetch }
        | AtomicOp::And { fetch }
        | AtomicOp::Xor { fetch } => fetch.then_some(src),
    }
}

/// The old value would replace the address: Linux forgets the register before it looks at what it points to.
fn fetched_over_base(base: Reg, off: i16, size: Size) -> Check<Facts> {
    let words = format!("misaligned access off {}+0+{off} size {}", Tnum::UNKNOWN, size.bytes());
    refuse(Code::Misaligned, words).explain(
        "a register for the old value that is not the one with the address",
        format!("r{} holds the address, and would receive the old value", base.0),
        "copy the address to another register first",
    )
}

/// Whether loads through it are made such that look whether something is there.
fn may_fault(reg: &state::Reg) -> bool {
    match reg.kind {
        Kind::Probed => true,
        Kind::Local { marks, .. } => marks.has(Marks::UNTRUSTED),
        Kind::Btf { marks, .. } => {
            let stays = marks.has(Marks::TRUSTED) || marks.has(Marks::RCU) || reg.ref_id != 0;
            marks.has(Marks::UNTRUSTED) || !stays
        }
        _ => false,
    }
}

fn object_takes_atomics(s: &State, base: Reg, what: &str) -> Check<()> {
    let reg = s.reg(base);
    let object = matches!(reg.kind, Kind::Ctx | Kind::FlowKeys | Kind::Sock(_));
    if !object && !reg.kind.is_packet() && !may_fault(reg) {
        return Ok(());
    }
    refuse(Code::ForbiddenAccess, format!("{what} R{} {} is not allowed", base.0, type_name(reg))).explain(
        "memory that takes atomic operations: map values, the stack, ring buffer records",
        format!("r{} is a {}", base.0, type_name(reg)),
        "load, compute and store, or keep the counter in a map",
    )
}
