//! Accesses to the arena of a program, which goes by the lower halves of addresses (kernel/bpf/arena.c and
//! arch/x86/net/bpf_jit_comp.c, Linux 6.18).
//!
//! What the verifier took for an address in the arena may be any number. Where no page is there a load gives 0, and
//! everything else does nothing: an atomic operation leaves its register as it was.

use core::sync::atomic::{Ordering, fence};

use skep_isa::{AtomicOp, Op, Operand, Reg, eval};

use crate::Program;
use crate::mem::{arena_atomic, arena_load, arena_store};
use crate::trap::TrapKind;

/// Does an instruction that accesses the arena.
#[inline(never)]
pub(crate) fn access(program: &Program, regs: &mut [u64; 16], index: u32) -> Result<(), TrapKind> {
    let (Some(arena), Some(op)) = (program.arena(), program.arena_ops.get(index as usize)) else {
        return Err(TrapKind::NoArena);
    };
    let low = |regs: &[u64; 16], base: Reg| regs[base.index() & 15] as u32;
    match *op {
        Op::Load { size, signed, dst, src, off } => {
            let v = arena_load(arena, low(regs, src), off, size).unwrap_or(0);
            regs[dst.index() & 15] = if signed { eval::sign_extend(size, v) } else { v };
        }
        Op::LoadAcquire { size, dst, src, off } => {
            let v = arena_load(arena, low(regs, src), off, size).unwrap_or(0);
            fence(Ordering::Acquire);
            regs[dst.index() & 15] = v;
        }
        Op::Store { size, dst, off, src } => {
            let v = match src {
                Operand::Imm(imm) => imm as u64,
                Operand::Reg(src) => regs[src.index() & 15],
            };
            arena_store(arena, low(regs, dst), off, size, v);
        }
        Op::StoreRelease { size, dst, src, off } => {
            fence(Ordering::Release);
            arena_store(arena, low(regs, dst), off, size, regs[src.index() & 15]);
        }
        Op::Atomic { size, op, dst, src, off } => {
            let found =
                arena_atomic(arena, (low(regs, dst), off), (op, size), regs[src.index() & 15], regs[0]);
            let old = found.map_err(|addr| TrapKind::Misaligned { addr, size: size.bytes() as u64 })?;
            let Some(old) = old else { return Ok(()) };
            match op {
                AtomicOp::Add { fetch: false }
                | AtomicOp::Or { fetch: false }
                | AtomicOp::And { fetch: false }
                | AtomicOp::Xor { fetch: false } => {}
                AtomicOp::Cmpxchg => regs[0] = old,
                AtomicOp::Add { fetch: true }
                | AtomicOp::Or { fetch: true }
                | AtomicOp::And { fetch: true }
                | AtomicOp::Xor { fetch: true }
                | AtomicOp::Xchg => regs[src.index() & 15] = old,
            }
        }
        _ => return Err(TrapKind::NoArena),
    }
    Ok(())
}
